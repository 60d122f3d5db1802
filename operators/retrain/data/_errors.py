"""What a store raises, sorted into "the object is the problem" and "the store is the problem".

Stores disagree: s3fs turns a wrong access key and a forbidden object into the same PermissionError, a dead
endpoint stays a botocore exception, and a local disk speaks OSError. The libraries are recognised by the module
of their exception, because importing them to ask would load every one of them.
"""

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from retrain.exceptions import RetrainError, StoreUnavailableError, UnreadableDataError

_CREDENTIAL_CODES = frozenset(
    {
        "AccountProblem", "ExpiredToken", "InvalidAccessKeyId", "InvalidSecurity", "InvalidToken", "NotSignedUp",
        "RequestTimeTooSkewed", "SignatureDoesNotMatch", "TokenRefreshRequired",
    }
)  # fmt: skip
_OBJECT_ERRNOS = frozenset({errno.ENAMETOOLONG, errno.EINVAL, errno.ELOOP, errno.EISDIR, errno.ENOTDIR})
_CLIENT_LIBRARIES = (
    "botocore", "aiobotocore", "aiohttp", "s3fs", "gcsfs", "google", "adlfs", "azure", "fsspec",
    "dvc", "dvc_data", "dvc_objects", "scmrepo",
)  # fmt: skip


@contextmanager
def reading(uri: str, probe: Callable[[], object] | None = None) -> Iterator[None]:
    """Translate what a store raises while `uri` is read or listed.

    UnreadableDataError: not there, or not allowed. StoreUnavailableError: no answer, or refused credentials.
    `probe` reads a byte of the object: S3 answers HEAD without a body, so its 403 says why only to a GET.
    """
    try:
        yield
    except RetrainError:
        raise
    except Exception as error:
        code = service_code(error)
        translated = _translate(error, uri, _asked_again(probe) or code if code == "403" else code)
        if translated is None:
            raise
        raise translated from error


@contextmanager
def writing(uri: str) -> Iterator[None]:
    """Translate whatever a store raises while `uri` is written into StoreUnavailableError.

    A missing bucket, a full disk and a refused key are all repaired at the store, after which the same call succeeds.
    """
    try:
        yield
    except RetrainError:
        raise
    except Exception as error:
        if not isinstance(error, OSError) and not _from_client_library(error):
            raise
        raise StoreUnavailableError(
            f"{uri} could not be written: {_brief(error)}",
            expected="a store that exists, accepts these credentials and has room",
            remedy="Check the bucket or folder, the credentials' right to write and the free space, then try again",
        ) from error


def _asked_again(probe: Callable[[], object] | None) -> str | None:
    try:
        if probe is not None:
            probe()
    except Exception as error:
        return service_code(error)
    return None


def _translate(error: Exception, uri: str, code: str | None) -> RetrainError | None:
    if code in _CREDENTIAL_CODES:
        return StoreUnavailableError(
            f"The store of {uri} refused the credentials ({code})",
            expected="an access key that the store knows",
            remedy="Correct the connection's or the environment's credentials and try again",
        )
    if isinstance(error, FileNotFoundError):
        return UnreadableDataError(
            f"{uri} is not there",
            expected="an existing object",
            remedy="Check the spelling, and whether the object was moved or deleted after it was listed",
        )
    if isinstance(error, PermissionError):
        return UnreadableDataError(
            f"{uri} may not be read: permission denied",
            expected="the right to read and list it",
            remedy="Grant it to this user or key (S3 says so of a missing object too, where listing is not allowed)",
        )
    # botocore's, for a bucket that cannot exist; DVC's, for a revision or repository that does not.
    bad_name = type(error).__name__ in ("ParamValidationError", "RevError", "NotDvcRepoError")
    if bad_name or (isinstance(error, OSError) and error.errno in _OBJECT_ERRNOS):
        return UnreadableDataError(f"{uri} cannot be opened: {_brief(error)}", expected="the URI of one object")
    if isinstance(error, OSError) or _from_client_library(error):
        return StoreUnavailableError(
            f"The store of {uri} did not answer: {_brief(error)}",
            expected="a store that is reachable with valid credentials",
            remedy="Check the endpoint, the network and the credentials; the same call may succeed later",
        )
    return None


def service_code(error: BaseException) -> str | None:
    """Return the S3 error code, which s3fs keeps only on the cause of the error that it raises."""
    for link in (error, error.__cause__):
        response = getattr(link, "response", None)
        if isinstance(response, dict):
            code = response.get("Error", {}).get("Code")
            return None if code is None else str(code)
    return None


def _from_client_library(error: Exception) -> bool:
    return type(error).__module__.partition(".")[0] in _CLIENT_LIBRARIES


def _brief(error: Exception) -> str:
    first_line = (str(error).splitlines() or [""])[0][:200]
    return f"{type(error).__name__}: {first_line}" if first_line else type(error).__name__
