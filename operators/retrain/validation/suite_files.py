"""Suites that lie in files: JSON, YAML, and the folder of a Great Expectations project."""

import io
import json
import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from retrain.data import storage
from retrain.exceptions import MissingDependencyError, RetrainError, SuiteError, UnreadableDataError

GX_PREFIX = "gx:"
_YAML = (".yaml", ".yml")
_GX_FILE = "great_expectations.yml"


def read_document(source: str | os.PathLike[str]) -> tuple[Any, str]:
    """Return the document of a path or URI, parsed, and its URI; SuiteError where it cannot be read or parsed."""
    uri = storage.normalise(source)
    content = _content(uri)
    try:
        return (_yaml(content) if uri.lower().endswith(_YAML) else json.loads(content)), uri
    except ValueError as error:
        raise SuiteError(
            f"The suite {uri} does not parse: {' '.join(str(error).split())[:300]}",
            expected="a JSON document, or YAML in a file named .yaml or .yml",
            remedy="Correct the document at the place that is named",
        ) from error


def read_project(reference: str) -> tuple[Any, str]:
    """Return the suite document that `gx:<folder>#<name>` names, and its URI.

    The folder is that of `great_expectations.yml`, or holds it as `gx/`. Where the project has one suite, its name may
    be left out. The files are read as they lie: GX's own file context would write into the folder, and drop an
    expectation that it does not know.
    """
    folder, _, name = reference.removeprefix(GX_PREFIX).partition("#")
    if not folder:
        raise SuiteError(f"{reference!r} names no folder", expected="gx:<folder>#<suite name>")
    root = _project_folder(folder)
    store = _expectations_folder(root)
    names = _suite_names(store)
    if not name and len(names) == 1:
        name = names[0]
    if name not in names:
        raise SuiteError(
            f"{reference!r} names {'the suite ' + repr(name) if name else 'no suite'}, which is not in {store}",
            expected=f"one of {names}" if names else "a suite in it",
            remedy=f"Write gx:{folder}#<suite name>",
        )
    return read_document(f"{store}/{name}.json")


def to_yaml(document: Mapping[str, Any]) -> str:
    """Return a suite document as YAML that a person can edit, in the order that it has."""
    written = io.StringIO()
    yaml = _ruamel()
    yaml.default_flow_style, yaml.allow_unicode, yaml.width, yaml.sort_base_mapping_type_on_output = (
        False,
        True,
        110,
        False,
    )
    yaml.dump(dict(document), written)
    return written.getvalue()


def _content(uri: str) -> bytes:
    try:
        return storage.read_bytes(uri)
    except UnreadableDataError as error:
        raise SuiteError(
            f"The suite {uri} cannot be read: {error.what}",
            expected="a JSON or YAML document",
            remedy=error.remedy or "Check the path",
        ) from error


def _yaml(content: bytes) -> Any:
    yaml = _ruamel()
    from ruamel.yaml.error import YAMLError

    try:
        return yaml.load(content)
    except YAMLError as error:
        raise ValueError(str(error)) from error


def _ruamel() -> Any:
    try:
        from ruamel.yaml import YAML  # comes with great-expectations
    except ImportError as error:
        raise MissingDependencyError(
            "A suite in YAML needs ruamel.yaml", remedy="pip install 'airflow-provider-retrain[jobs]'"
        ) from error
    return YAML(typ="safe", pure=True)


def _project_folder(folder: str) -> str:
    folder = storage.normalise(folder)
    for candidate in (folder, storage.join(folder, "gx")):
        if storage.exists(storage.join(candidate, _GX_FILE)):
            return candidate
    raise SuiteError(
        f"{folder} is no project of Great Expectations: there is no {_GX_FILE} in it",
        expected="the folder that holds it, usually named gx",
        remedy="Correct the folder in gx:<folder>#<suite name>",
    )


def _expectations_folder(root: str) -> str:
    """Return where the project keeps its suites, as its settings say."""
    settings, uri = read_document(storage.join(root, _GX_FILE))
    settings = settings if isinstance(settings, Mapping) else {}
    name = settings.get("expectations_store_name", "expectations_store")
    stores = settings.get("stores")
    store = stores.get(name) if isinstance(stores, Mapping) else None
    backend = store.get("store_backend") if isinstance(store, Mapping) else None
    backend = backend if isinstance(backend, Mapping) else {}
    kind, folder = backend.get("class_name"), backend.get("base_directory")
    if kind != "TupleFilesystemStoreBackend" or not isinstance(folder, str) or "$" in folder:
        raise SuiteError(
            f"{uri} keeps its suites in {kind or 'no store'} at {folder or 'no place'}",
            expected="TupleFilesystemStoreBackend with a base_directory, written out",
            remedy="Name the suite's JSON file or URI itself",
        )
    if os.path.isabs(folder):
        return storage.normalise(folder)
    try:
        return storage.join(root, folder)
    except RetrainError as error:
        raise SuiteError(f"{uri} keeps its suites outside its folder: {folder}") from error


def _suite_names(folder: str) -> list[str]:
    """Return the names of the suites under a folder; a slash in a name is a folder on disk."""
    fs, path = storage.filesystem(folder)
    base = path.rstrip("/") + "/"
    found = fs.find(base) if storage.exists(folder) else []
    return sorted(unquote(one)[len(unquote(base)) :].removesuffix(".json") for one in found if one.endswith(".json"))
