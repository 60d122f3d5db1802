"""The tree of errors: told apart by what a caller can do, and whole after a journey between processes."""

import copy
import inspect
import pickle
import re

import pytest

from retrain import exceptions
from retrain.exceptions import ContractError, RetrainError

CLASSES = [found for _, found in inspect.getmembers(exceptions, inspect.isclass) if issubclass(found, RetrainError)]


@pytest.mark.parametrize("kind", CLASSES)
def test_an_error_survives_pickling_with_all_its_parts(kind) -> None:
    error = kind("the file x is empty.", expected="rows", remedy="Deliver it again")
    for again in (pickle.loads(pickle.dumps(error)), copy.deepcopy(error)):
        assert type(again) is kind
        assert (again.what, again.expected, again.remedy) == (error.what, error.expected, error.remedy)
        assert str(again) == str(error)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({}, "It broke."),
        ({"expected": "that it holds."}, "It broke. Expected that it holds."),
        ({"remedy": "Mend it."}, "It broke. Mend it."),
        ({"expected": "that it holds", "remedy": "Mend it"}, "It broke. Expected that it holds. Mend it."),
    ],
)
def test_a_message_is_made_of_sentences_with_one_full_stop_each(parts: dict, message: str) -> None:
    assert str(RetrainError("It broke.", **parts)) == message
    assert str(RetrainError("It broke", **parts)) == message


def test_every_error_ends_in_error() -> None:
    assert all(found.__name__.endswith("Error") for found in CLASSES)


def test_the_tree_in_the_docstring_is_the_tree_of_the_classes() -> None:
    drawn: dict[str, str | None] = {}
    above: list[str] = []
    for line in (exceptions.__doc__ or "").splitlines():
        match = re.match(r"^(    [│├└─ ]*)(\w+Error)\b", line)
        if not match:
            continue
        depth = (len(match[1]) - 4) // 4
        above = [*above[:depth], match[2]]
        drawn[match[2]] = above[-2] if depth else None
    assert drawn == {
        found.__name__: None if found is RetrainError else found.__bases__[0].__name__ for found in CLASSES
    }


def test_an_error_is_caught_by_what_can_be_done_about_it() -> None:
    with pytest.raises(exceptions.ConfigurationError):
        raise ContractError("x")
    assert not issubclass(exceptions.UnavailableError, exceptions.ConfigurationError | exceptions.DataError)
