"""What must hold when the year is over; whatever does not is a finding, and the demo fails."""

import base64
import json
import urllib.request
from collections.abc import Sequence

from retrain.ledger import Ledger
from retrain.registry import champion
from scripts.demo.settings import Settings
from scripts.demo.year import MODEL, Month
from scripts.services.airflow import Airflow


def findings(settings: Settings, airflow: Airflow, ledger: Ledger, months: Sequence[Month], wanted: int) -> list[str]:
    """Return what is off, in words."""
    found = []
    if len(months) != wanted:
        found.append(f"{len(months)} of {wanted} months were done")
    if not (report := ledger.verify()).ok:
        found.append(f"the ledger's chain is broken: {report.problems[:3]}")
    found += _champion(settings, ledger)
    for dag_id in (f"{MODEL}.data", f"{MODEL}.train"):
        for run in airflow.runs(dag_id):
            if run["state"] == "failed":
                found.append(f"the run {run['dag_run_id']} of {dag_id} failed")
    return found


def _champion(settings: Settings, ledger: Ledger) -> list[str]:
    current = champion(ledger, MODEL)
    if current is None:
        return ["no version was ever promoted"]
    request = urllib.request.Request(
        f"{settings.mlflow_url}/api/2.0/mlflow/registered-models/alias?name={MODEL}&alias=champion"
    )
    login = base64.b64encode(f"admin:{settings.password}".encode()).decode()
    request.add_header("Authorization", f"Basic {login}")
    with urllib.request.urlopen(request, timeout=30) as answer:
        shown = str(json.load(answer)["model_version"]["version"])
    if shown != current.version:
        return [f"MLflow's champion is version {shown}, the ledger's is {current.version}"]
    return []
