"""Reading and writing job documents: a path, a URI of the store, or standard input."""

import json
import sys
from pathlib import Path

from retrain.exceptions import ContractError
from retrain.records import JobRequest, JobResult


def read_request(source: str) -> JobRequest:
    """Read a job document; ContractError says what of it cannot be understood."""
    try:
        document = json.loads(_read(source))
    except ValueError as error:  # not JSON, or not even text
        raise ContractError(f"the job document {source} is not JSON: {error}", expected="one JSON object") from error
    return JobRequest.from_dict(document)


def _read(source: str) -> bytes:
    if source == "-":
        return sys.stdin.buffer.read()
    if "://" in source:
        from retrain.data import storage

        return storage.read_bytes(source)
    try:
        return Path(source).read_bytes()
    except OSError as error:
        raise ContractError(
            f"the job document {source} cannot be read: {error.strerror}", expected="a readable JSON file"
        ) from error


def write_result(target: str, result: JobResult) -> None:
    """Write a result to a path (its folders are made) or a URI; whoever reads it sees all of it or nothing."""
    text = json.dumps(result.to_dict())
    if "://" in target:
        from retrain.data import storage

        storage.write_bytes(target, text.encode())
        return
    path = Path(target)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + ".tmp")
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(path)
