"""The few questions that are asked of MLflow's registry, each with its answer for "there is none"."""

from collections.abc import Mapping
from typing import Any

from retrain.training.tracking import connect, translated

# MLflow names an absent model or version by the first, an absent alias by the second.
_ABSENT = frozenset({"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"})


class RegistryClient:
    """MLflow's registry at `tracking_uri`; connects on first use.

    Every call raises RegistryUnavailableError when MLflow does not answer, ConnectionConfigError when it refuses the
    credentials.
    """

    def __init__(self, tracking_uri: str) -> None:
        self.tracking_uri = tracking_uri
        self._mlflow: Any = None

    @property
    def mlflow(self) -> Any:
        """The `MlflowClient` behind it."""
        if self._mlflow is None:
            self._mlflow = connect(self.tracking_uri)
        return self._mlflow

    def check(self) -> None:
        """Ask something that needs a login."""
        client = self.mlflow
        with translated(self.tracking_uri):
            client.search_registered_models(max_results=1)

    def version(self, model: str, version: str) -> Any | None:
        """Return MLflow's model version, or None when there is no such version."""
        return self._ask(lambda client: client.get_model_version(model, version))

    def model_uri(self, model: str, version: str) -> str | None:
        """Return where the files of a version are, or None when there is no such version."""
        found = self.version(model, version)
        return None if found is None else uri_of(found)

    def aliases(self, model: str) -> dict[str, str]:
        """Return version by alias; empty when there is no such model."""
        found = self._ask(lambda client: client.get_registered_model(model))
        return {name: str(version) for name, version in found.aliases.items()} if found is not None else {}

    def set_alias(self, model: str, alias: str, version: str) -> bool:
        """Point an alias at a version; False when there is no such version."""
        if self.version(model, version) is None:
            return False
        with translated(self.tracking_uri):
            _twice(self.mlflow.set_registered_model_alias, model, alias, version)
        return True

    def set_tags(self, model: str, version: str, tags: Mapping[str, str]) -> None:
        """Set those tags of a version that differ; nothing happens when there is no such version."""
        found = self.version(model, version)
        if found is None:
            return
        with translated(self.tracking_uri):
            for name, value in tags.items():
                if found.tags.get(name) != value:
                    _twice(self.mlflow.set_model_version_tag, model, version, name, value)

    def delete_alias(self, model: str, alias: str) -> None:
        """Remove an alias; nothing happens when it is not there."""
        with translated(self.tracking_uri):
            self.mlflow.delete_registered_model_alias(model, alias)

    def _ask(self, question: Any) -> Any:
        from retrain.training.tracking import import_mlflow

        import_mlflow()
        from mlflow.exceptions import MlflowException

        client = self.mlflow
        with translated(self.tracking_uri):
            try:
                return question(client)
            except MlflowException as error:
                if error.error_code in _ABSENT:
                    return None
                raise


def _twice(write: Any, *arguments: str) -> None:
    """Write something new to MLflow's registry, once more if it is refused.

    Of two that set a new tag or alias at once MLflow's database refuses one; by then it is there, and is overwritten.
    """
    from mlflow.exceptions import MlflowException

    try:
        write(*arguments)
    except MlflowException:
        write(*arguments)


def uri_of(version: Any) -> str:
    """Return where the files of MLflow's model version are: the logged model, where the loop has registered it."""
    return str(version.tags.get("retrain.model_uri") or f"models:/{version.name}/{version.version}")
