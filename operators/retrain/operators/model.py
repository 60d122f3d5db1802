"""Operators of a retraining: train, evaluate, gate, register."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from retrain.exceptions import RetrainError
from retrain.loop.streams import Kind, model_stream
from retrain.operators import lineage
from retrain.operators.job import JobOperator, actor, is_about_data, run_name
from retrain.operators.links import MlflowRunLink, ModelVersionLink

if TYPE_CHECKING:
    from airflow.sdk import Context


# Of an error's text; a traceback belongs into the log.
REASON = 2_000
ALL_STEPS = ("train", "serving", "evaluate", "gate", "register")
# Where a step's output is found by a later job, when the steps run in tasks of their own.
_INPUT_OF = {
    "train": "trained",
    "serving": "serving",
    "evaluate": "evaluated",
    "gate": "gated",
    "register": "registered",
}


class ModelTrainOperator(JobOperator):
    """Train a challenger, and by default also try it where it will serve, judge and register it, in one job.

    A retry finds the run of the first try by its key (data, code, parameters, versions) and never trains twice. When
    gate and registration are among the steps, the verdict is committed to the ledger and the requests are answered.

    XCom: the plan's dictionary with the output of each step added.

    :param plan: what `TrainingPlanOperator` returned, or the return value of the step before (templated)
    :param steps: which steps share this task's job
    :param benchmark: versions that the challenger is also compared with, which decides nothing: a list, or as text
        `1, 2` (templated)
    """

    template_fields = ("plan", "benchmark")
    operator_extra_links = (MlflowRunLink(), ModelVersionLink())
    default_steps: ClassVar[tuple[str, ...]] = ALL_STEPS

    def __init__(
        self,
        *,
        plan: Any,
        steps: tuple[str, ...] | None = None,
        benchmark: Sequence[str | int] | str = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.plan = plan
        self.benchmark = benchmark
        self.steps = steps or self.default_steps

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> Any:
        """Tell OpenLineage, where its provider is installed, what was trained on and which version came of it."""
        return lineage.trained(self, task_instance, self.plan)

    def work(self, context: "Context", event: Mapping[str, Any] | None) -> dict[str, Any]:
        """Run the steps; commit the verdict when it is known."""
        try:
            return self._train(context, event)
        except Exception as error:
            # A wrong connection or a server that is down is mended elsewhere: then the next sweep goes on.
            if is_about_data(error):
                self._give_up(context, error)
            raise

    def _give_up(self, context: "Context", error: Exception) -> None:
        """Record that what asked for this retraining gets no model from it; not, that it is done: it can be cleared."""
        from retrain.ledger import Entry

        payload = {"reason": str(error)[:REASON], "requests": list(self.plan.get("requests") or ())}
        stream = model_stream(self.model_spec.model)
        entry = Entry(stream, Kind.FAILED, run_name(context), payload, actor=actor(context))
        try:
            with self.open_ledger() as ledger:
                ledger.append_all([entry])
        except RetrainError as other:
            self.log.warning("that the training failed could not be recorded: %s", other)

    def _train(self, context: "Context", event: Mapping[str, Any] | None) -> dict[str, Any]:
        from retrain.data import storage
        from retrain.loop.facts import versions_to_compare

        plan = storage.read_json(self.plan["plan_uri"])
        inputs = {
            "snapshot_uri": plan["snapshot_uri"],
            "holdout": plan["holdout"],
            "profiles": plan["profiles"],
            "champion": plan["champion"],
            "params": plan["params"],
            **{_INPUT_OF[step]: self.plan[step] for step in ALL_STEPS if step in self.plan},
        }
        with self.open_ledger() as ledger:
            inputs["benchmark"] = versions_to_compare(ledger, self.model_spec.model, self.benchmark)
            request = self.request(context, tuple(self.steps), inputs)
            result = self.run(context, request, event, ledger)
        state = {**self.plan, **result.outputs}
        if "gate" in state:
            self.log.info("gate: %s", "; ".join([state["gate"]["status"], *state["gate"]["reasons"]]))
            if "register" in state:
                self._commit(context, plan, state)
        context["ti"].xcom_push(key="mlflow", value=self._mlflow_place(state))
        return state

    def _mlflow_place(self, state: Mapping[str, Any]) -> dict[str, Any]:
        from retrain.hooks.mlflow import MlflowHook

        trained, registered = state.get("train") or {}, state.get("register") or {}
        return {
            "ui_url": MlflowHook(self.mlflow_conn_id).ui_url,
            "model": self.model_spec.model,
            "run_id": trained.get("run_id"),
            "experiment_id": trained.get("experiment_id"),
            "version": registered.get("version"),
        }

    def _commit(self, context: "Context", plan: Mapping[str, Any], state: Mapping[str, Any]) -> None:
        """Append the verdict and answer the requests, in the transaction that proves that they are still ours."""
        from retrain.ledger import Claim, Entry

        spec, trained, evaluated = self.model_spec, state["train"], state["evaluate"]
        version = str(state["register"]["version"])
        payload = {
            "version": version,
            "champion": plan["champion"]["version"] if plan["champion"] else None,
            "verdict": state["gate"],
            # None where no check is declared, and where none was made, which the verdict then says.
            "serving": serving if (serving := state.get("serving")) and serving["status"] else None,
            "case_uri": evaluated["case_uri"],
            "pictures": state["register"].get("pictures") or {},
            "benchmark": evaluated["benchmark"],
            "requests": state["requests"],
            "run_id": trained["run_id"],
            "model_uri": trained["model_uri"],
            "artifact_digest": trained.get("artifact_digest"),
            "training_key": trained["training_key"],
            "code": trained.get("code_digest"),
            "params": plan["params"],
            "environment": trained.get("environment"),
            "frame": trained.get("frame"),
            "profile_uri": trained["profile_uri"],
            "snapshot_uri": plan["snapshot_uri"],
            "partitions": [ref["partition"] for ref in plan["snapshot"]["partitions"]],
            "known": plan["known"],
            "holdout": evaluated["holdout"],
            "predictions_uri": evaluated["predictions_uri"],
            "losses_uri": evaluated["losses_uri"],
            "metric_name": evaluated["metric"],
            "metric": evaluated["challenger"],
            "champion_metric": evaluated.get("champion"),
        }
        entry = Entry(model_stream(spec.model), Kind.JUDGED, run_name(context), payload, actor=actor(context))
        with self.open_ledger() as ledger:
            ledger.append_all([entry], claims=[Claim.from_dict(claim) for claim in state["claims"]])


class ModelServingCheckOperator(ModelTrainOperator):
    """Load the trained artifact in the declared environment and feed it; needs the output of a training in `plan`."""

    default_steps = ("serving",)


class ModelEvaluateOperator(ModelTrainOperator):
    """Score champion and challenger on the plan's hold-out; needs the output of a training step in `plan`."""

    default_steps = ("evaluate",)


class ModelGateOperator(ModelTrainOperator):
    """Judge the kept predictions; needs the output of an evaluation in `plan`."""

    default_steps = ("gate",)


class ModelRegisterOperator(ModelTrainOperator):
    """Register the trained model as a version of the registered model, and commit the gate's verdict."""

    default_steps = ("register",)
