"""Errors on their way from the triggerer to the task that waits."""

from collections.abc import Mapping
from typing import Any

from retrain import exceptions
from retrain.exceptions import ConfigurationError, ConnectionConfigError, RetrainError, UnavailableError


def is_final(error: Exception) -> bool:
    """Say whether only a changed declaration or installation helps: such a wait fails at once, without a retry.

    A connection that is not found is not final: Airflow says the same of a secrets backend that does not answer.
    """
    return isinstance(error, ConfigurationError) and not isinstance(error, ConnectionConfigError)


def ends_wait(error: Exception, *, patient: bool) -> bool:
    """Say whether a deferred sensor goes back to its worker with this error instead of looking again."""
    return is_final(error) or not (patient or isinstance(error, UnavailableError))


def describe_error(error: Exception) -> dict[str, Any]:
    """Put an error into an event."""
    if isinstance(error, RetrainError):
        return {"type": type(error).__name__, "what": error.what, "expected": error.expected, "remedy": error.remedy}
    return {"type": "DataError", "what": f"{type(error).__name__}: {error}", "expected": None, "remedy": None}


def error_of(event: Mapping[str, Any]) -> RetrainError | None:
    """Take an error out of an event; None if there is none."""
    told = event.get("error")
    if told is None:
        return None
    kind = getattr(exceptions, str(told["type"]), exceptions.DataError)
    error: RetrainError = kind(told["what"], expected=told["expected"], remedy=told["remedy"])
    return error
