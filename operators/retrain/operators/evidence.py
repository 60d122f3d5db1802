"""The evidence of a judged version, kept where the task's link finds it."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from retrain.operators.job import RetrainOperator, actor
from retrain.plugin.addresses import XCOM_KEY, page_path

if TYPE_CHECKING:
    from airflow.sdk import Context

    from retrain.ledger import Ledger


def keep_evidence(task: RetrainOperator, context: "Context", ledger: "Ledger", registry: Any, version: str) -> bool:
    """Write the bundle of a version and its page into the store, push where the page lies, and say whether it does.

    What is decided is in the ledger: a page that cannot be drawn is logged and changes nothing about it. `registry` is
    None where MLflow cannot be asked.
    """
    from retrain.audit.evidence import bundle
    from retrain.audit.keeping import keep

    try:
        made = bundle(
            ledger,
            task.model_spec.model,
            version,
            now=datetime.now(UTC),
            made_by=actor(context),
            client=registry,
        )
        kept = keep(made, task.store_uri)
    except Exception as error:
        task.log.warning("The evidence of version %s is not kept: %s", version, error, exc_info=True)
        return False
    task.log.info("evidence of version %s: %s (%s)", version, kept.bundle_uri, kept.digest)
    context["ti"].xcom_push(key=XCOM_KEY, value={"evidence": kept.page_uri})
    return True


def evidence_address(context: "Context", base_url: str) -> str:
    """Return the address of the page that a task has kept; relative to Airflow's own where no base is configured."""
    ti = context["ti"]
    path = page_path(ti.dag_id, ti.run_id, ti.task_id, getattr(ti, "map_index", -1), "evidence")
    return f"{base_url}/{path}" if base_url else path
