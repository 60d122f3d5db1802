"""The operator that decides whether to retrain."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import timezone

from retrain.loop.streams import Kind, model_stream
from retrain.operators.job import RetrainOperator, actor, final_errors, run_name

if TYPE_CHECKING:
    from airflow.sdk import Asset, AssetAlias, Context


class RetrainDecideOperator(RetrainOperator):
    """Ask the policy whether to retrain now, and write the answer, also "no", with its reasons to the ledger.

    A "yes" wakes whatever is scheduled on `wakes`. The event is only a wake-up call: the decision itself waits in the
    ledger, where the training DAG finds it, also when the event is lost.

    XCom: `{"retrain", "trigger", "reasons"}`.

    :param rules: the policy: rules or their dictionaries
    :param wakes: the asset of the wish, and the alias through which the event is emitted only on "yes"
    """

    def __init__(self, *, rules: Sequence[Any], wakes: "tuple[Asset, AssetAlias] | None" = None, **kwargs: Any) -> None:
        if wakes is not None:
            kwargs["outlets"] = [*kwargs.get("outlets", []), wakes[1]]
        super().__init__(**kwargs)
        self.rules = [rule if isinstance(rule, dict) else rule.to_dict() for rule in rules]
        self.wakes = wakes

    @final_errors
    def execute(self, context: "Context") -> dict[str, Any]:
        """Read the history, decide, record, wake."""
        from retrain.loop import history
        from retrain.loop.requests import open_requests
        from retrain.policy import decide, rule_from_dict

        spec = self.model_spec
        with self.open_ledger() as ledger:
            waiting = open_requests(ledger, spec.model)
            facts = history(ledger, spec)
            rules = [rule_from_dict(rule) for rule in self.rules]
            decision = decide(facts, rules, timezone.utcnow(), min_partitions=spec.holdout + 1)
            payload = {**decision.to_dict(), "history": facts.to_dict()}
            if waiting:
                # One wish is enough: the training plans with all the data that is there when it starts.
                payload |= {"retrain": False, "reasons": [f"a retraining is wanted already ({waiting[0].key})"]}
            answer = ledger.append(
                model_stream(spec.model), Kind.DECIDED, run_name(context), payload, actor=actor(context)
            ).event.payload
        for reason in answer["reasons"]:
            self.log.info("%s: %s", "retrain" if answer["retrain"] else "no retraining", reason)
        if self.wakes is not None and (answer["retrain"] or waiting):
            asset, alias = self.wakes
            context["outlet_events"][alias].add(asset, extra={"model": spec.model, "trigger": answer["trigger"]})
        return {name: answer[name] for name in ("retrain", "trigger", "reasons")}
