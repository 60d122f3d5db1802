"""Every error that retrain raises on purpose, under one base class.

The three branches under the base tell a caller what to do: a `ConfigurationError` or a `DataError` will not go
away by trying again, an `UnavailableError` may.

    RetrainError
    ├── ConfigurationError            somebody has to change a declaration, a suite, a setting or an installation
    │   ├── DeclarationError          the declaration of a model
    │   ├── SuiteError                an expectation suite that cannot be read, is empty or names something unknown
    │   ├── ConnectionConfigError     an unknown or incomplete connection
    │   ├── MissingDependencyError    an optional library that is not installed
    │   └── ContractError             a document or record that does not follow its contract
    ├── DataError                     the data (or a model) is not what it was declared to be
    │   ├── UnreadableDataError       not there, truncated, not the declared format
    │   ├── MissingColumnError        a declared column is not in the data
    │   ├── DigestMismatchError       the bytes are not those that were recorded
    │   └── UserCodeError             `prepare`, `train` or a metric of the user raised or broke its contract
    ├── UnavailableError              a service did not answer; the same call may succeed later
    │   ├── StoreUnavailableError
    │   ├── LedgerUnavailableError
    │   └── RegistryUnavailableError
    ├── LedgerError
    │   ├── SequenceConflictError     another writer was first (fencing)
    │   ├── ClaimLostError            the claim was taken over while its owner was away
    │   └── ChainBrokenError          the hash chain does not verify: an event was changed or removed
    ├── PromotionRefusedError         a version may not become champion
    └── JobFailedError                a job ended without a result
"""


class RetrainError(Exception):
    """Base class: what happened, what was expected, and what to do about it."""

    def __init__(self, what: str, *, expected: str | None = None, remedy: str | None = None) -> None:
        self.what = what
        self.expected = expected
        self.remedy = remedy
        parts = [what.rstrip(".")]
        if expected:
            parts.append(f"Expected {expected.rstrip('.')}")
        if remedy:
            parts.append(remedy.rstrip("."))
        super().__init__(". ".join(parts) + ".")

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.what, self.expected, self.remedy))


def _rebuild(cls: type[RetrainError], what: str, expected: str | None, remedy: str | None) -> RetrainError:
    return cls(what, expected=expected, remedy=remedy)


class ConfigurationError(RetrainError):
    """Somebody has to change a declaration, a setting or an installation; a retry cannot help."""


class DeclarationError(ConfigurationError):
    """The declaration of a model is wrong."""


class SuiteError(ConfigurationError):
    """An expectation suite cannot be read, is empty, or names an unknown expectation or severity."""


class ConnectionConfigError(ConfigurationError):
    """A connection is unknown or lacks a field."""


class MissingDependencyError(ConfigurationError):
    """An optional library is not installed."""


class ContractError(ConfigurationError):
    """A document or record does not follow its contract: a job, an event, a plan."""


class DataError(RetrainError):
    """The data (or a model) is not what it was declared to be; a retry on the same bytes cannot help."""


class UnreadableDataError(DataError):
    """An object is not there, is truncated or is not of the declared format."""


class MissingColumnError(DataError):
    """A declared column is not in the data."""


class DigestMismatchError(DataError):
    """The bytes are not those that were recorded."""


class UserCodeError(DataError):
    """Code of the user raised, or broke its contract."""


class UnavailableError(RetrainError):
    """A service did not answer; the same call may succeed later."""


class StoreUnavailableError(UnavailableError):
    """An object store did not answer."""


class LedgerUnavailableError(UnavailableError):
    """The ledger's database did not answer."""


class RegistryUnavailableError(UnavailableError):
    """The MLflow server did not answer."""


class LedgerError(RetrainError):
    """The ledger refused."""


class SequenceConflictError(LedgerError):
    """The stream has moved on since the caller looked: another writer was first."""


class ClaimLostError(LedgerError):
    """The claim was taken over while its owner was away; its work may not be committed."""


class ChainBrokenError(LedgerError):
    """The hash chain does not verify: an event was changed, removed or inserted."""


class PromotionRefusedError(RetrainError):
    """A version may not become champion."""


class JobFailedError(RetrainError):
    """A job ended without a result."""
