"""The operator that turns wanted retrainings into one plan."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowSkipException

from retrain.exceptions import ContractError
from retrain.loop.streams import Kind, model_stream
from retrain.operators.job import LONGEST_JOB, RetrainOperator, actor, final_errors, run_name

if TYPE_CHECKING:
    from airflow.sdk import Context

    from retrain.ledger import Ledger


class TrainingPlanOperator(RetrainOperator):
    """Collect what asks for a retraining, claim it, and choose what to train on and what to judge by.

    Skips when nothing asks. When the data does not suffice it says so in the ledger and skips; the wish is answered.
    XCom: `{"plan_uri", "claims", "requests", ...}`; the plan itself lies in the store.

    :param reason: why a person asks (templated; from the form of a manual run); None when the DAG was not run by hand
    :param overrides: parameters of the training for this run only: a dictionary, or one as JSON (templated)
    """

    template_fields = ("reason", "overrides")

    def __init__(
        self, *, reason: str | None = None, overrides: Mapping[str, Any] | str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.reason = reason
        self.overrides = overrides

    @final_errors
    def execute(self, context: "Context") -> dict[str, Any]:
        """Gather the wishes, claim them, plan."""
        from retrain.loop.requests import claim_requests

        model = self.model_spec.model
        with self.open_ledger() as ledger:
            if _is_asked_for(context):
                self._request(ledger, context)
            claims, wishes = claim_requests(ledger, model, run_name(context), lease=LONGEST_JOB)
            if not claims:
                raise AirflowSkipException(f"Nothing asks for a retraining of {model}")
            return self._plan(ledger, context, claims, wishes)

    def _request(self, ledger: "Ledger", context: "Context") -> None:
        payload = {"reason": self.reason or "no reason given", "params": self._overrides()}
        ledger.append(
            model_stream(self.model_spec.model), Kind.REQUESTED, run_name(context), payload, actor=actor(context)
        )

    def _overrides(self) -> dict[str, Any]:
        found = self.overrides
        if isinstance(found, str):
            try:
                found = json.loads(found) if found else {}
            except json.JSONDecodeError:
                found = self.overrides
        if found is not None and not isinstance(found, Mapping):
            raise ContractError(
                f"overrides is {self.overrides!r}",
                expected="a dictionary, or one as JSON",
                remedy='Template it as "{{ params.params | tojson }}"',
            )
        return dict(found or {})

    def _plan(
        self, ledger: "Ledger", context: "Context", claims: list[Any], wishes: list[dict[str, Any]]
    ) -> dict[str, Any]:
        from retrain.data import save_snapshot, storage
        from retrain.jobs.steps import fingerprint
        from retrain.loop import plan_training

        spec = self.model_spec
        plan = plan_training(ledger, spec)
        if plan.blocked or plan.snapshot is None:
            payload = {"reason": plan.blocked, "requests": wishes}
            ledger_key = run_name(context)
            ledger.append_all([_entry(spec.model, Kind.SKIPPED, ledger_key, payload, actor(context))], claims=claims)
            raise AirflowSkipException(f"{spec.model} cannot be retrained now: {plan.blocked}")
        params = {**spec.params}
        for wish in wishes:
            params.update(wish.get("params") or {})
        snapshot_uri = save_snapshot(plan.snapshot, self.store_uri)
        document = {**plan.to_dict(), "snapshot_uri": snapshot_uri, "params": params}
        uri = storage.join(self.store_uri, "plans", spec.model, f"{fingerprint(document)}.json")
        storage.write_json(uri, document)
        return {
            "plan_uri": uri,
            "claims": [claim.to_dict() for claim in claims],
            "requests": wishes,
            "rows": plan.snapshot.rows,
            "partitions": len(plan.snapshot.partitions),
            "holdout": [ref.partition for ref in plan.holdout],
            "champion": plan.champion["version"] if plan.champion else None,
        }


def _is_asked_for(context: "Context") -> bool:
    run: Any = context.get("dag_run")
    kind = getattr(run, "run_type", "")
    return str(getattr(kind, "value", kind)) in ("manual", "operator_triggered")


def _entry(model: str, kind: Kind, key: str, payload: dict[str, Any], who: str) -> Any:
    from retrain.ledger import Entry

    return Entry(model_stream(model), kind, key, payload, actor=who)
