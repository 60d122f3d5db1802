"""The operator that asks a person before a version is promoted; it holds neither a worker nor a trigger."""

from collections.abc import Mapping
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import Param
from airflow.sdk.exceptions import AirflowSkipException, ParamValidationError, TaskAwaitingInput
from airflow.sdk.execution_time.hitl import upsert_hitl_detail

from retrain.exceptions import RetrainError
from retrain.hooks.mlflow import MlflowHook
from retrain.loop.approval import COMMENT, Answer, Standing, by_timeout
from retrain.operators.evidence import evidence_address, keep_evidence
from retrain.operators.job import RetrainOperator, actor, final_errors
from retrain.operators.links import EvidencePageLink
from retrain.operators.release import judged_by_this_run
from retrain.records import Approval, OnTimeout

if TYPE_CHECKING:
    from airflow.sdk import Context

    from retrain.ledger import Event, Ledger


class ModelApproveOperator(RetrainOperator, ApprovalOperator):
    """Ask a person whether a judged version may be promoted, where the declaration wants that; skips where not.

    The task waits in `awaiting_input` with the gate's numbers and links, that to the whole evidence of the version
    first, which is kept before anybody is asked; it is answered in Airflow's UI or API. Answer,
    person and comment are recorded in the ledger for the run that judged, once: a retry finds them, and what a run that
    died has not asked to the end the next run asks. An answer that breaks the form, or is given by somebody who may not
    give it, is asked for again; the deadline stays.

    XCom: `{"approved", "by", "comment", "note"}`.

    :param judged: what the gate's task returned (templated); None when nothing was trained
    """

    template_fields = ("judged",)
    operator_extra_links = (EvidencePageLink(),)

    def __init__(self, *, judged: Any, params: Any = None, **kwargs: Any) -> None:  # noqa: ARG002
        # `params` are those of the DAG, which Airflow hands to every task: they are not what is asked here.
        approval = _approval(kwargs.get("spec"))
        super().__init__(
            subject="",
            params={
                "comment": Param(
                    "",
                    type="string",
                    source="task",
                    maxLength=COMMENT,
                    title="Comment",
                    description="Recorded with your name and your answer.",
                )
            },
            defaults=self.APPROVE if approval.on_timeout is OnTimeout.APPROVE else self.REJECT,
            assigned_users=[{"id": name, "name": name} for name in approval.approvers] or None,
            **kwargs,
        )
        self.judged = judged

    @property
    def approval(self) -> Approval:
        """What is declared."""
        return _approval(self.spec)

    @final_errors
    def execute(self, context: "Context") -> Any:
        """Ask, unless nothing needs approval or it was answered already."""
        from retrain.loop.approval import answer_of, newest

        model = self.model_spec.model
        with self.open_ledger() as ledger:
            if self.judged is not None:
                judged: Event | None = judged_by_this_run(ledger, model, self.judged, context)
            else:
                judged = newest(ledger, model, Standing.ASK, self.approval)
            if judged is None:
                raise AirflowSkipException(f"No version of {model} waits for approval")
            if (answered := answer_of(ledger, model, judged.key)) is not None:
                return _told(answered)
            return self._ask(context, ledger, judged)

    def execute_complete(self, context: "Context", event: dict[str, Any], key: str = "") -> Any:
        """Record the answer, or ask again where it does not count."""
        return self._answered(context, event, key)

    @final_errors
    def _answered(self, context: "Context", event: dict[str, Any], key: str) -> Any:
        from retrain.loop.approval import record_answer
        from retrain.loop.streams import Kind, model_stream

        model = self.model_spec.model
        with self.open_ledger() as ledger:
            judged = ledger.get(model_stream(model), Kind.JUDGED, key)
            if judged is None:
                raise AirflowSkipException(f"The ledger does not know what was asked about {model}: {key}")
            answer, problem = self._read(event, judged)
            if answer is None:
                self.log.warning("%s; it is asked again", problem)
                return self._ask(context, ledger, judged)
            return _told(record_answer(ledger, model, judged, answer, actor=actor(context)))

    def _ask(self, context: "Context", ledger: "Ledger", judged: "Event") -> Any:
        from retrain.loop.approval import note_asking, question, record_answer, standing

        model, approval = self.model_spec.model, self.approval
        to_do, why, _ = standing(ledger, model, judged, approval)
        if to_do is not Standing.ASK:
            raise AirflowSkipException(why)
        left = note_asking(ledger, model, judged, approval, actor=actor(context)) - datetime.now(UTC)
        if left <= timedelta(0):
            return _told(record_answer(ledger, model, judged, by_timeout(approval), actor=actor(context)))
        kept = self._show_challenger(context, ledger, judged.payload["version"])
        links = self._links(context, judged, kept)
        self.subject, self.body = question(model, judged, approval, links, separate=self._separates)
        return self._park(context, left, judged.key)

    def _park(self, context: "Context", left: timedelta, key: str) -> NoReturn:
        """Put the question where people see it, and wait outside of the worker.

        Not by the base class's `execute`: Airflow allows no operator's `execute` within another, and the answer has to
        come back with the key of what was asked about, because another verdict may be there by then.
        """
        upsert_hitl_detail(
            ti_id=context["ti"].id,
            options=self.options,
            subject=self.subject,
            body=self.body,
            defaults=self.defaults,
            multiple=False,
            params=self.serialized_params,
            assigned_users=self.assigned_users,
        )
        for notifier in self.notifiers:
            notifier(context)
        raise TaskAwaitingInput(method_name="execute_complete", kwargs={"key": key}, timeout=left)

    def _read(self, event: Mapping[str, Any], judged: "Event") -> tuple[Answer | None, str]:
        """Return the answer, or None and why it does not count."""
        from retrain.loop.approval import askers

        if event.get("timedout") or event.get("error_type") == "timeout":
            return by_timeout(self.approval), ""
        chosen, form = event.get("chosen_options") or [], event.get("params_input") or {}
        try:
            if len(chosen) != 1:
                raise ValueError(f"{len(chosen)} options were chosen")
            self.validate_chosen_options(chosen)
            self.validate_params_input(form)
        except (ValueError, TypeError, AttributeError, ParamValidationError) as error:
            return None, f"the answer breaks its form ({error})"
        user = event.get("responded_by_user") or {}
        names = {str(user[field]) for field in ("id", "name") if user.get(field)}
        approves = chosen[0] == self.APPROVE
        if not _everybody_is_admin():
            if self.approval.approvers and names.isdisjoint(self.approval.approvers):
                return None, f"{sorted(names)} is none of the approvers {list(self.approval.approvers)}"
            # To reject one's own model takes nobody else.
            if approves and self._separates and (both := names & askers(judged)):
                return None, f"{sorted(both)} asked for this training and may not approve what came of it"
        note = "no login: whether somebody else has approved is not known" if _everybody_is_admin() else ""
        person = str(user.get("name") or user.get("id") or "") or None
        return Answer(approves, person, str(form.get("comment") or ""), note), ""

    @property
    def _separates(self) -> bool:
        return self.approval.four_eyes and not _everybody_is_admin()

    def _show_challenger(self, context: "Context", ledger: "Ledger", version: str) -> bool:
        """Set MLflow's aliases and keep the evidence; say whether it is kept. Nothing of this hinders the question."""
        from retrain.registry import reconcile

        with ExitStack() as stack:
            registry = None
            try:
                registry = stack.enter_context(self.registry())
                reconcile(ledger, registry, self.model_spec.model)
            except RetrainError as error:
                self.log.warning("MLflow's aliases could not be set: %s", error)
            return keep_evidence(self, context, ledger, registry, version)

    def _links(self, context: "Context", judged: "Event", kept: bool) -> dict[str, str]:
        from airflow.sdk import conf

        ui, model, payload = MlflowHook(self.mlflow_conn_id).ui_url, self.model_spec.model, judged.payload
        dag_id, _, run_id = judged.key.partition("/")
        base = str(conf.get("api", "base_url", fallback="") or "").rstrip("/")
        return {
            "All evidence": evidence_address(context, base) if kept else "",
            "Version in MLflow": f"{ui}/#/models/{model}/versions/{payload['version']}",
            "Run in MLflow": f"{ui}/#/experiments/0/runs/{payload['run_id']}" if payload.get("run_id") else "",
            "Training": f"{base}/dags/{dag_id}/runs/{run_id}" if run_id else "",
        }


def _approval(spec: Any) -> Approval:
    document = spec.approval.to_dict() if hasattr(spec, "approval") and spec.approval else None
    if isinstance(spec, Mapping):
        document = spec.get("approval")
    return Approval.from_dict(document) if document else Approval()


def _everybody_is_admin() -> bool:
    """Say whether Airflow runs without a login, so that nobody can be told from anybody else."""
    from airflow.sdk import conf

    return bool(conf.getboolean("core", "simple_auth_manager_all_admins", fallback=False))


def _told(answered: "Event") -> dict[str, Any]:
    from retrain.loop.streams import Kind

    return {"approved": answered.kind == Kind.APPROVED, **{k: answered.payload[k] for k in ("by", "comment", "note")}}
