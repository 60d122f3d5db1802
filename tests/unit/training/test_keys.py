import dataclasses
import platform
from typing import Any

import pytest

from retrain.exceptions import DeclarationError
from retrain.records import ModelSpec
from retrain.training import training_key
from retrain.training.keys import environment, library_versions

SPEC = ModelSpec("m", "d", "x/{partition}", "y", "a:fit", "roc_auc", "/srv/project")


def key(spec: ModelSpec = SPEC, **changes: Any) -> str:
    fields: dict[str, Any] = {
        "snapshot_digest": "s",
        "params": {"a": 1},
        "code_digest": "c",
        "versions": {"numpy": "2"},
    }
    return training_key(spec, **{**fields, **changes})


def test_key_changes_with_whatever_decides_what_is_trained() -> None:
    changed = [
        key(snapshot_digest="t"),
        key(params={"a": 2}),
        key(code_digest="d"),
        key(versions={"numpy": "3"}),
        key(dataclasses.replace(SPEC, target="z")),
        key(dataclasses.replace(SPEC, train="a:other")),
        key(dataclasses.replace(SPEC, query="session")),
        key(dataclasses.replace(SPEC, prepare="a:prepare")),
    ]
    assert len({key(), *changed}) == len(changed) + 1


def test_key_does_not_change_with_how_the_model_is_judged_or_where_the_project_lies() -> None:
    other = dataclasses.replace(SPEC, metric="log_loss", margin=0.5, holdout=3, project_root="/other", window=7)
    assert key(other) == key()


def test_the_environment_is_told_whole_and_a_patch_of_python_does_not_train_again() -> None:
    told, decides = environment(), library_versions()
    assert told["python"] == platform.python_version()
    assert decides["python"] == told["python"].rpartition(".")[0]
    assert {name: told[name] for name in decides if name != "python"}.items() <= decides.items()
    assert {"mlflow", "scipy"} <= set(told) - set(decides)


def test_key_does_not_depend_on_the_order_of_parameters() -> None:
    assert key(params={"a": 1, "b": 2}) == key(params={"b": 2, "a": 1})


def test_parameters_that_are_not_json_are_refused() -> None:
    with pytest.raises(DeclarationError, match="are not JSON"):
        key(params={"a": object()})
    with pytest.raises(DeclarationError, match="are not JSON"):
        key(params={"a": float("nan")})
