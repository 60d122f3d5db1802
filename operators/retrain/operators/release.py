"""Operators of a release: promote, roll back, guard what was promoted, tell deployers outside."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowSkipException

from retrain.exceptions import ContractError, PromotionRefusedError
from retrain.loop.streams import Kind, model_stream
from retrain.operators import lineage
from retrain.operators.evidence import keep_evidence
from retrain.operators.job import JobOperator, RetrainOperator, actor, final_errors, run_name
from retrain.operators.links import EvidencePageLink
from retrain.records import Alarm, GateStatus

if TYPE_CHECKING:
    from airflow.sdk import Context

    from retrain.ledger import Event, Ledger
    from retrain.loop.guard import Guarded
    from retrain.registry import Champion


class _ReleaseOperator(JobOperator):
    """What the ways to change the champion share: the checks of a registered version, and the asset's event."""

    def check_loads(
        self, context: "Context", event: Mapping[str, Any] | None, ledger: "Ledger", *versions: "Champion"
    ) -> dict[str, dict[str, Any]]:
        """Load versions in a job, each in a clean process; return a verdict by version."""
        from retrain.loop.release import digest_of

        model = self.model_spec.model
        models = {
            one.version: {"model_uri": one.model_uri, "digest": digest_of(ledger, model, one.version)}
            for one in versions
        }
        result = self.run(context, self.request(context, ("check_loads",), {"models": models}), event, ledger)
        found: dict[str, dict[str, Any]] = result.outputs["check_loads"]
        for version, verdict in found.items():
            self.log.info("version %s: %s: %s", version, verdict["status"], "; ".join(verdict["reasons"]))
        return found

    def announce(self, context: "Context", ledger: "Ledger") -> None:
        """Let the event of the asset, where the task has one, say what has become champion and why."""
        from retrain.loop.notices import last_notice

        events = context["outlet_events"]
        told = last_notice(ledger, self.model_spec.model) or {}
        for asset in self.outlets:
            events[asset].extra = dict(told)


class ModelPromoteOperator(_ReleaseOperator):
    """Make a version champion if its gate passed, or a person approved it; skips, with the reasons, if not.

    The artifact's bytes are compared with those that were judged. Then the ledger is written, fenced against concurrent
    promotions, and MLflow's aliases follow it; a task that is killed in between ends, when tried again, in the same one
    promotion. Where nothing was trained in this run it finishes what an earlier run, dead for good, has left: a
    promotion, or aliases that lag behind the ledger.
    XCom: `{"version", "previous", "created", "reasons"}`.

    :param judged: what the gate's task returned (templated); None when nothing was trained
    """

    template_fields = ("judged",)
    operator_extra_links = (EvidencePageLink(),)

    def __init__(self, *, judged: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.judged = judged

    def work(self, context: "Context", event: Mapping[str, Any] | None) -> dict[str, Any]:
        """Promote through the ledger, then show it in MLflow."""
        from retrain.loop.approval import Standing, standing
        from retrain.loop.release import promote_judged, unfinished_promotion
        from retrain.registry import champion, reconcile

        spec = self.model_spec
        with self.open_ledger() as ledger, self.registry() as registry:
            if self.judged is not None:
                judged: Event | None = judged_by_this_run(ledger, spec.model, self.judged, context)
            else:
                judged = unfinished_promotion(ledger, spec.model, spec.approval)
            to_do, why = Standing.LEAVE, f"No promotion of {spec.model} is left undone"
            if judged is not None:
                to_do, why, _ = standing(ledger, spec.model, judged, spec.approval)
            if judged is None or to_do is not Standing.PROMOTE:
                # A promotion ends in this by itself; before it, a champion that MLflow has lost would stand in its way.
                if champion(ledger, spec.model) is not None:
                    reconcile(ledger, registry, spec.model)
                if judged is not None:
                    keep_evidence(self, context, ledger, registry, judged.payload["version"])
                raise AirflowSkipException(why if to_do is Standing.LEAVE else f"A person has to be asked: {why}")
            self._check_bytes(context, event, ledger, judged)
            done = promote_judged(ledger, registry, spec.model, judged, actor=actor(context), approval=spec.approval)
            self.announce(context, ledger)
            keep_evidence(self, context, ledger, registry, judged.payload["version"])
            return done

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> Any:
        """Tell OpenLineage, where its provider is installed, which version became champion."""
        return lineage.released(self, task_instance)

    def _check_bytes(
        self, context: "Context", event: Mapping[str, Any] | None, ledger: "Ledger", judged: "Event"
    ) -> None:
        from retrain.loop.release import recorded_digest

        digest = recorded_digest(judged.payload)
        if digest is None:  # of a verdict of old: there is nothing to compare with
            return
        inputs = {"model_uri": judged.payload["model_uri"], "digest": digest}
        result = self.run(context, self.request(context, ("check_bytes",), inputs), event, ledger)
        found = result.outputs["check_bytes"]
        if found["status"] != GateStatus.PASS:
            raise PromotionRefusedError(
                f"version {judged.payload['version']} of {self.model_spec.model} is not what was judged: "
                + "; ".join(found["reasons"]),
                expected="the very files that gate and serving check have seen",
                remedy="Find out who changed the artifact in MLflow's store, and train again",
            )


class RollbackModelOperator(_ReleaseOperator):
    """Make an earlier version champion again: the one before, or a named one. Refused when that one does not load.

    XCom: `{"version", "previous", "created"}`.

    :param version: the version; None for the previous champion (templated)
    :param reason: why; recorded with who asked (templated)
    :param retire: the version that is gone back from may not become champion again (templated)
    """

    template_fields = ("version", "reason", "retire")

    def __init__(
        self, *, reason: str, version: str | int | None = None, retire: bool | str = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.reason = reason
        self.version = version
        self.retire = retire

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> Any:
        """Tell OpenLineage, where its provider is installed, which version became champion again."""
        return lineage.released(self, task_instance)

    def work(self, context: "Context", event: Mapping[str, Any] | None) -> dict[str, Any]:
        """Load the version, roll back through the ledger, then show it in MLflow."""
        from retrain.loop.release import Demand, finished_rollback, roll_back, rollback_target

        model = self.model_spec.model
        demand = Demand(
            key=run_name(context),
            actor=actor(context),
            reason=self.reason,
            version=str(self.version) if self.version else None,
            retire=str(self.retire).lower() == "true",
        )
        with self.open_ledger() as ledger, self.registry() as registry:
            done = finished_rollback(ledger, registry, model, demand.key)
            if done is None:
                target = rollback_target(ledger, model, demand.version)
                check = self.check_loads(context, event, ledger, target)[target.version]
                done = roll_back(ledger, registry, model, demand, target=target, check=check)
            self.announce(context, ledger)
            return done


class ModelGuardOperator(_ReleaseOperator):
    """Take a promotion back when an alarm of `rollback_on` goes off on one of the first partitions after it.

    Once for each promotion, and never back from what a rollback made champion. The version that is gone back from is
    retired. Where there is nothing to guard, or no alarm, it skips; also where the version before does not load, which
    is recorded: then a person has to choose.
    XCom: `{"version", "previous", "created"}`.
    """

    def work(self, context: "Context", event: Mapping[str, Any] | None) -> dict[str, Any]:
        """Look at the champion; roll back if it has to be."""
        from retrain.loop.guard import finish, guarded, note_serves, wants_serving_check

        spec = self.model_spec
        with self.open_ledger() as ledger:
            if (done := finish(ledger, spec.model, actor=actor(context))) is not None:
                return self._shown(context, ledger, done)
            found = guarded(ledger, spec)
            if found is None:
                raise AirflowSkipException(f"No promotion of {spec.model} is guarded")
            served = wants_serving_check(ledger, spec, found)
            if found.decay is None and not served:
                raise AirflowSkipException(f"No alarm: version {found.champion.version} stays")
            looked_at = [*([found.champion] if served else []), found.target]
            verdicts = self.check_loads(context, event, ledger, *looked_at)
            own = verdicts.get(found.champion.version, {"status": None, "reasons": []})
            said = "; ".join(own["reasons"])
            if found.decay is None and own["status"] != GateStatus.FAIL:
                note_serves(ledger, spec.model, found, actor=actor(context), reason=said)
                raise AirflowSkipException(f"No alarm: version {found.champion.version} stays")
            reason = found.decay or f"it does not serve any more: {said}"
            return self._take_back(context, ledger, found, reason, verdicts[found.target.version])

    def _shown(self, context: "Context", ledger: "Ledger", done: dict[str, Any]) -> dict[str, Any]:
        from retrain.registry import reconcile

        with self.registry() as registry:
            reconcile(ledger, registry, self.model_spec.model)
        self.announce(context, ledger)
        return done

    def _take_back(
        self, context: "Context", ledger: "Ledger", found: "Guarded", reason: str, check: dict[str, Any]
    ) -> dict[str, Any]:
        from retrain.loop.guard import ALARM, note_alarm
        from retrain.loop.release import Demand, roll_back

        model, who = self.model_spec.model, actor(context)
        alarm = Alarm.DECAY if found.decay else Alarm.SERVING
        demand = Demand(f"{ALARM}{found.key}", who, reason, retire=True, alarm=alarm)
        try:
            with self.registry() as registry:
                done = roll_back(ledger, registry, model, demand, target=found.target, check=check)
        except PromotionRefusedError as error:
            note_alarm(ledger, model, found, alarm, actor=who, reason=reason, refused=str(error))
            self.log.error("%s, but there is no way back: %s", reason, error)
            # Skipped and not failed: a retraining may help, and the decision on it comes after this task.
            raise AirflowSkipException(f"{reason}, but there is no way back: {error}") from error
        note_alarm(ledger, model, found, alarm, actor=who, reason=reason)
        self.announce(context, ledger)
        return done


class ReleaseNotifyOperator(RetrainOperator):
    """Tell a webhook of every promotion and rollback that it has not confirmed yet; skips where there is none.

    Each notice carries the id of the ledger's event as `Idempotency-Key`: it is told at least once, and whether the
    receiver is there changes nothing about the release. XCom: the ids of what was told.

    :param webhook_conn_id: connection of type `http`
    """

    needs_mlflow = False

    def __init__(self, *, webhook_conn_id: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.webhook_conn_id = webhook_conn_id

    @final_errors
    def execute(self, context: "Context") -> list[str]:
        """Tell, and record that it was told."""
        from retrain.hooks.webhook import WebhookHook
        from retrain.loop.notices import note_told, notice, pending_notices

        model, hook, told = self.model_spec.model, WebhookHook(self.webhook_conn_id), []
        with self.open_ledger() as ledger:
            for event in pending_notices(ledger, model):
                document = notice(event)
                hook.post(document, key=document["id"])
                note_told(ledger, model, event, receiver=self.webhook_conn_id, actor=actor(context))
                told.append(document["id"])
        if not told:
            raise AirflowSkipException(f"The receiver knows of every release of {model}")
        self.log.info("told of %s", told)
        return told


def judged_by_this_run(ledger: "Ledger", model: str, judged: Any, context: "Context") -> "Event":
    """Return this run's verdict from the ledger: what XCom says is only that there is one."""
    if not isinstance(judged, Mapping) or "register" not in judged:
        raise ContractError(f"judged is {judged!r:.200}", expected="the return value of the gate's task")
    event = ledger.get(model_stream(model), Kind.JUDGED, run_name(context))
    if event is None:
        raise ContractError(
            f"the ledger holds no verdict of the run {run_name(context)}",
            expected="a task with gate and registration before the promotion, in the same DAG run",
        )
    return event
