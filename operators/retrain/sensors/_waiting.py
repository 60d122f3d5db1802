"""What retrain's sensors share: the three ways of waiting go through the same code and end in the same state."""

from abc import abstractmethod
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseSensorOperator, PokeReturnValue
from airflow.sdk.exceptions import AirflowFailException, AirflowSensorTimeout, AirflowSkipException

from retrain.exceptions import DeclarationError, UnavailableError
from retrain.triggers.failures import error_of, is_final

if TYPE_CHECKING:
    from airflow.sdk import Context
    from airflow.triggers.base import BaseTrigger


def after_time(text: str | None) -> datetime | None:
    """Read a sensor's `after` once it is rendered: ISO 8601, in UTC where it names no zone; None where it is empty."""
    if not text:
        return None
    try:
        after = datetime.fromisoformat(text)
    except ValueError:
        raise DeclarationError(f"after={text!r}", expected="an ISO time") from None
    return after if after.tzinfo else after.replace(tzinfo=UTC)


class WaitingSensor(BaseSensorOperator):
    """Looks, and looks again; what it waited for is its XCom.

    A service that does not answer is asked again and named in the log. A declaration that cannot work fails the task at
    once, without a retry. Any other error fails it with a retry. `timeout`, `poke_interval`, `soft_fail`, `never_fail`
    and `silent_fail` mean in every mode what they mean for Airflow's sensors; deferred, a sensor looks every
    `poke_interval` and leaves `exponential_backoff` to the two modes that occupy a worker.
    """

    def __init__(self, *, deferrable: bool, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.deferrable = deferrable
        self._told: Mapping[str, Any] | None = None

    @abstractmethod
    def look(self, context: "Context") -> dict[str, Any] | None:
        """Look once; return what the task returns, None as long as it is not there."""

    @abstractmethod
    def trigger(self) -> "BaseTrigger":
        """Return the trigger that makes the same decision in the triggerer."""

    def poke(self, context: "Context") -> PokeReturnValue:
        """Look once; where nothing is there yet and the sensor is deferrable, leave the worker."""
        found = self._look(context)
        if found is None and self.deferrable:
            # Not an Exception: it passes through all that the base class does about failures.
            self.defer(trigger=self.trigger(), method_name="execute_complete", timeout=timedelta(seconds=self.timeout))
        return PokeReturnValue(is_done=found is not None, xcom_value=found)

    def execute_complete(self, context: "Context", event: Mapping[str, Any]) -> Any:
        """Go on with what the trigger saw, as if this look had seen it."""
        self._told = event
        return self.execute(context)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: "Context") -> Any:
        """Resume; a wait that took too long ends as it would have in a worker."""
        try:
            return super().resume_execution(next_method, next_kwargs, context)
        except AirflowSkipException as skip:
            # Airflow lets never_fail skip a time-out of the triggerer, and fail one of a worker.
            if isinstance(skip.__cause__, AirflowSensorTimeout) and not self.soft_fail:
                raise skip.__cause__ from None
            raise

    def _look(self, context: "Context") -> dict[str, Any] | None:
        try:
            if self._told is None:
                return self.look(context)
            if error := error_of(self._told):
                raise error
            return dict(self._told)
        except UnavailableError as error:
            self.log.warning("asking again in %s s: %s", self.poke_interval, error)
        except Exception as error:
            if is_final(error):
                raise AirflowFailException(str(error)) from error
            if not self.silent_fail:
                raise
            self.log.exception("silent_fail: asking again in %s s", self.poke_interval)
        return None
