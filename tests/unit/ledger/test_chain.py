import hashlib
import json
from datetime import UTC, datetime, timedelta, timezone
from enum import IntEnum, StrEnum

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrain.exceptions import ContractError
from retrain.ledger import GENESIS, canonical_json, event_hash
from retrain.ledger.chain import MAX_PAYLOAD_BYTES, payload_text, read_time, write_time

texts = st.text(st.characters(exclude_categories=["Cs"]))
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(texts, inner, max_size=5), max_leaves=20
)

FIELDS = {
    "stream": "model:flight-delays",
    "sequence": 1,
    "kind": "promoted",
    "key": "version/1",
    "version": 1,
    "payload": '{"größe":0.5}',
    "actor": None,
    "recorded_at": "2013-01-31T12:00:00.000001Z",
    "previous_hash": GENESIS,
}


@settings(deadline=None, max_examples=50)
@given(values)
def test_canonical_json_reads_back_to_itself(value):
    text = canonical_json(value)

    assert canonical_json(json.loads(text)) == text


@settings(deadline=None, max_examples=50)
@given(st.dictionaries(texts, values, max_size=5))
def test_the_order_of_members_does_not_matter(document):
    assert canonical_json(dict(reversed(document.items()))) == canonical_json(document)


def test_the_form_is_sorted_compact_and_utf_8():
    assert canonical_json({"ü": 1, "b": [1.0, True, None, (2,)], "a": "é\n\x7f\x01"}) == (
        '{"a":"é\\n\x7f\\u0001","b":[1.0,true,null,[2]],"ü":1}'
    )


def test_enums_are_written_as_their_values():
    class Colour(StrEnum):
        RED = "red"

    class Size(IntEnum):
        BIG = 3

    assert canonical_json({Colour.RED: [Colour.RED, Size.BIG]}) == '{"red":["red",3]}'


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"auc": float("nan")}, r"\['auc'\] is nan.*finite number or null"),
        ([float("inf")], r"\[0\] is inf"),
        ({1: "a"}, "key 1 .int.*strings"),
        ({"when": datetime(2013, 1, 1, tzinfo=UTC)}, "datetime.*isoformat"),
        ({"a": {1}}, "set"),
        ("\ud800", "half a character"),
        ({"\udfff": 1}, "half a character"),
    ],
)
def test_what_json_cannot_carry_is_refused_with_its_place(value, message):
    with pytest.raises(ContractError, match=message):
        canonical_json(value)


def test_a_value_that_contains_itself_is_refused():
    value: list = []
    value.append(value)

    with pytest.raises(ContractError, match="contains itself"):
        canonical_json(value)


def test_a_payload_is_an_object_and_not_too_large():
    with pytest.raises(ContractError, match="payload of model:a x 1 is a list"):
        payload_text([], "model:a x 1")  # type: ignore[arg-type]
    with pytest.raises(ContractError, match=r"1,000,008 bytes.*at most 1,000,000.*URI and digest"):
        payload_text({"a": "x" * MAX_PAYLOAD_BYTES}, "model:a x 1")


def test_the_hash_is_over_the_documented_bytes():
    documented = (
        '{"actor":null,"key":"version/1","kind":"promoted","payload":"{\\"größe\\":0.5}","previous_hash":"'
        + "0" * 64
        + '","recorded_at":"2013-01-31T12:00:00.000001Z","sequence":1,"stream":"model:flight-delays","version":1}'
    )

    assert event_hash(**FIELDS) == hashlib.sha256(documented.encode()).hexdigest()


@pytest.mark.parametrize("name", FIELDS)
def test_every_field_is_in_the_hash(name):
    other = {**FIELDS, name: FIELDS[name] + 1 if isinstance(FIELDS[name], int) else "other"}

    assert event_hash(**other) != event_hash(**FIELDS)


@settings(deadline=None, max_examples=50)
@given(st.datetimes(timezones=st.just(UTC)))
def test_times_read_back(moment):
    assert read_time(write_time(moment)) == moment


def test_times_are_utc_of_fixed_width():
    moment = datetime(2013, 1, 1, 1, 30, tzinfo=timezone(timedelta(hours=2)))

    assert write_time(moment) == "2012-12-31T23:30:00.000000Z"
    with pytest.raises(ContractError, match="no time zone"):
        write_time(datetime(2013, 1, 1))
