import pytest

from retrain.validation.schema import kind_of, skew


def names(failures):
    return [(one.expectation, one.column) for one in failures]


def filled(_name):
    return False


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("int64", "double"),
        ("int32", "int64"),
        ("uint8", "float"),
        ("string", "large_string"),
        ("string", "dictionary<values=string, indices=int32, ordered=0>"),
        ("timestamp[us]", "timestamp[ns]"),
        ("timestamp[us, tz=UTC]", "timestamp[ns, tz=Europe/Berlin]"),
        ("date32[day]", "date64[ms]"),
        ("decimal128(5, 2)", "decimal128(10, 4)"),
        ("null", "string"),
        ("double", "null"),
    ],
)
def test_types_of_one_kind_are_no_skew(one, other):
    assert skew({"a": one}, {"a": other}, filled) == ()
    assert skew({"a": other}, {"a": one}, filled) == ()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("int64", "string"),
        ("bool", "int64"),
        ("double", "decimal128(5, 2)"),
        ("timestamp[us]", "date32[day]"),
        ("timestamp[us]", "timestamp[us, tz=UTC]"),
        ("timestamp[us]", "string"),
        ("list<item: int64>", "int64"),
        ("dictionary<values=int64, indices=int32, ordered=0>", "string"),
        ("binary", "string"),
    ],
)
def test_types_of_other_kinds_are_retyped(one, other):
    assert names(skew({"a": one}, {"a": other}, filled)) == [("schema_retyped", "a")]
    assert skew({"a": one}, {"a": other}, lambda name: True) == ()


def test_every_difference_is_named_and_critical():
    found = skew({"a": "int64", "b": "string", "c": "bool"}, {"b": "int64", "c": "bool", "d": "date32[day]"}, filled)
    assert names(found) == [("schema_missing", "a"), ("schema_extra", "d"), ("schema_retyped", "b")]
    assert {one.severity.value for one in found} == {"critical"}
    assert found[2].reason == "the column holds number (int64), before text (string)"


def test_one_missing_and_one_new_column_of_a_type_may_be_renamed():
    gone, new = skew({"a": "int64", "x": "string"}, {"b": "double", "x": "string"}, filled)
    assert "'b' is new and of the same type: renamed?" in gone.reason
    assert "'a' is missing and of the same type: renamed?" in new.reason


def test_nothing_is_guessed_where_several_may_be_meant():
    found = skew({"a": "int64"}, {"b": "double", "c": "int64"}, filled)
    assert not any("renamed" in one.reason for one in found)


def test_the_order_of_columns_is_no_difference():
    assert skew({"a": "int64", "b": "bool"}, {"b": "bool", "a": "int64"}, filled) == ()


def test_what_is_too_much_to_name_is_counted():
    found = skew({}, {f"c{i}": "int64" for i in range(2000)}, filled)
    assert (len(found), found[-1].column, found[-1].reason) == (21, None, "1,980 more columns, 2,000 in all")


def test_kinds_have_plain_names():
    assert [kind_of(one) for one in ("int8", "halffloat", "bool", "time64[us]", "duration[s]")] == [
        "number", "number", "boolean", "time of day", "length of time",
    ]  # fmt: skip
