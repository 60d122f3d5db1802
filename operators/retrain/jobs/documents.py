"""Reading and writing job documents: a path, a URI of the store, or standard input."""

import json
import sys
from pathlib import Path

from retrain.exceptions import ContractError
from retrain.records import JobRequest, JobResult


def read_request(source: str) -> JobRequest:
    """Read a job document; ContractError says what of it cannot be understood."""
    if source == "-":
        text = sys.stdin.read()
    elif "://" in source:
        from retrain.data import storage

        text = storage.read_bytes(source).decode()
    else:
        try:
            text = Path(source).read_text(encoding="utf-8")
        except OSError as error:
            raise ContractError(
                f"the job document {source} cannot be read: {error.strerror}", expected="a readable JSON file"
            ) from error
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        raise ContractError(f"the job document {source} is not JSON: {error}", expected="one JSON object") from error
    return JobRequest.from_dict(document)


def write_result(target: str, result: JobResult) -> None:
    """Write a result to a path (its folders are made) or a URI."""
    text = json.dumps(result.to_dict())
    if "://" in target:
        from retrain.data import storage

        storage.write_bytes(target, text.encode())
        return
    path = Path(target)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
