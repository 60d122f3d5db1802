"""What the documentation shows is what the code is."""

import ast
import json
from collections.abc import Iterator
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import click
import pytest

from retrain.cli import COMMANDS, app
from retrain.loop.streams import Kind
from retrain.provider import get_provider_info
from retrain.records import JobRequest, JobResult, ModelSpec
from tests.unit.docs import documents, names
from tests.unit.docs.documents import DOCUMENTS, REPOSITORY, Block

README, CLI, CONCEPTS = REPOSITORY / "README.md", REPOSITORY / "docs" / "cli.md", REPOSITORY / "docs" / "concepts.md"
PYTHON = documents.blocks("python")
TAKEN = [block for block in documents.blocks() if block.source]
JSON = documents.blocks("json")
COMMAND_LINES = sorted({line for document in DOCUMENTS for line in documents.command_lines(document)})
LINKS = [(document, target) for document in DOCUMENTS for target in documents.links(document)]


@pytest.mark.parametrize("block", TAKEN, ids=str)
def test_a_block_that_names_its_file_is_in_it(block: Block) -> None:
    assert block.text in (REPOSITORY / str(block.source)).read_text(encoding="utf-8")


@pytest.mark.parametrize("block", [block for block in PYTHON if not block.source], ids=str)
def test_a_python_block_compiles(block: Block) -> None:
    compile(block.text, str(block.document), "exec")


@pytest.mark.parametrize("block", PYTHON, ids=str)
def test_names_that_a_python_block_imports_exist(block: Block) -> None:
    for node in _nodes(block, ast.ImportFrom):
        if str(node.module).split(".")[0] == "retrain":
            assert {alias.name for alias in node.names} <= names.exported(str(node.module))


@pytest.mark.parametrize("block", PYTHON, ids=str)
def test_arguments_that_a_python_block_passes_exist(block: Block) -> None:
    imported = {
        alias.asname or alias.name: str(node.module)
        for node in _nodes(block, ast.ImportFrom)
        if str(node.module).split(".")[0] == "retrain"
        for alias in node.names
    }
    for call in _nodes(block, ast.Call):
        name = call.func.id if isinstance(call.func, ast.Name) else ""
        home = imported.get(name) or ("retrain.operators" if name.endswith("Operator") else None)
        if home is None:
            continue
        home = _lazy_home(home, name)
        known = names.keywords(home, name) or set()
        if name == "ContinuousTraining":
            known |= {field.name for field in fields(ModelSpec)}
        assert {keyword.arg for keyword in call.keywords if keyword.arg} <= known, f"{name} takes {sorted(known)}"


@pytest.mark.parametrize("block", JSON, ids=str)
def test_a_json_block_is_what_the_code_reads(block: Block) -> None:
    document = json.loads(block.text)
    if "steps" in document:
        JobRequest.from_dict(document)
    elif "outputs" in document:
        JobResult.from_dict(document)
    elif "conn_type" in document:
        _check_connection(document)


def test_documented_jobs_show_a_request_and_its_results() -> None:
    shown = [json.loads(block.text) for block in JSON if block.document.name == "job-contract.md"]
    assert [("steps" in document, document.get("status")) for document in shown] == [
        (True, None),
        (False, "succeeded"),
        (False, "failed"),
    ]


@pytest.mark.parametrize(("document", "target"), LINKS, ids=lambda value: str(getattr(value, "name", value)))
def test_a_link_leads_somewhere(document: Path, target: str) -> None:
    if target.startswith(("http://", "https://")):
        return
    path, _, anchor = target.partition("#")
    where = (document.parent / path).resolve() if path else document
    assert where.exists()
    if anchor:
        assert anchor in documents.anchors(where)


def test_every_document_is_linked_from_another() -> None:
    linked = {(document.parent / target.partition("#")[0]).resolve() for document, target in LINKS}
    assert {path for path in DOCUMENTS if path.name != "README.md"} <= linked


@pytest.mark.parametrize("line", COMMAND_LINES)
def test_a_command_line_exists_with_its_options(line: str) -> None:
    words = line.split()[1:]
    command: click.Command = app
    while isinstance(command, click.Group) and words and words[0][0].islower():
        found = command.get_command(click.Context(command), words.pop(0))
        assert found is not None
        command = found
    known = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in words if word.startswith("-") and word != "--help"} <= known


def test_every_command_is_in_the_reference() -> None:
    listed = {tuple(word for word in line.split()[1:3] if word[0].islower()) for line in documents.command_lines(CLI)}
    assert set(_leaves()) <= listed


def test_every_parameter_of_the_declaration_is_in_the_table_with_its_default() -> None:
    rows = documents.rows(README, "## Configuration")
    known = names.defaults("retrain.templates.continuous_training", "ContinuousTraining")
    assert set(known) <= set(rows)
    for name, default in known.items():
        if default is ...:
            assert rows[name] == "required"
        elif isinstance(default, int | float | str) and default not in (30.0,):
            assert rows[name] == f"`{json.dumps(default) if isinstance(default, str) else default}`"


def test_every_field_of_a_model_is_in_the_table_with_its_default() -> None:
    rows = documents.rows(README, "## Configuration")
    for field in fields(ModelSpec):
        assert field.name in rows
        if isinstance(field.default, int | float | str) and field.default is not MISSING:
            shown = json.dumps(field.default) if isinstance(field.default, str) else field.default
            assert rows[field.name] == f"`{shown}`"


def test_every_kind_of_event_is_explained() -> None:
    assert {kind.value for kind in Kind} <= set(documents.rows(CONCEPTS, "### Events"))


def test_every_setting_is_mentioned() -> None:
    text = README.read_text(encoding="utf-8")
    for name in get_provider_info()["config"]["retrain"]["options"]:
        assert f"AIRFLOW__RETRAIN__{name.upper()}" in text


def test_every_decision_says_when_it_is_violated() -> None:
    records = sorted((REPOSITORY / "docs" / "adr").glob("0*.md"))
    assert [path.name[:4] for path in records] == [f"{number:04d}" for number in range(1, len(records) + 1)]
    for path in records:
        text = path.read_text(encoding="utf-8")
        assert all(f"**{part}" in text for part in ("Decided.**", "Why.**", "Consequences.**", "Violated when**"))


def test_the_picture_is_small_enough_for_a_repository() -> None:
    assert (REPOSITORY / "docs" / "images" / "flights.png").stat().st_size < 150_000


def _nodes(block: Block, kind: type[Any]) -> Iterator[Any]:
    try:
        parsed = ast.parse(block.text)
    except SyntaxError:  # an excerpt: indented, or the head of a function
        if not block.text.startswith(" "):
            return
        parsed = ast.parse("if True:\n" + block.text)
    yield from (node for node in ast.walk(parsed) if isinstance(node, kind))


def _lazy_home(module: str, name: str) -> str:
    """Follow the tables of packages that load their names when they are first used."""
    for candidate in names.lazy_homes(module, name):
        return candidate
    return module


def _leaves() -> Iterator[tuple[str, ...]]:
    for name in COMMANDS:
        command = app.get_command(click.Context(app), name)
        if isinstance(command, click.Group):
            yield from ((name, child) for child in command.commands)
        else:
            yield (name,)


def _check_connection(document: dict[str, Any]) -> None:
    known = {one["connection-type"]: one["conn-fields"] for one in get_provider_info()["connection-types"]}
    assert document["conn_type"] in known
    assert set(document) <= {"conn_type", "host", "port", "schema", "login", "password", "extra"}
    assert set(document.get("extra", {})) <= set(known[document["conn_type"]])
