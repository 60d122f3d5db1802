import pytest

from retrain.data import sql
from retrain.exceptions import DeclarationError


@pytest.mark.parametrize(
    "uri",
    [
        "sql://shop/flights",
        "sql://shop/public.flights",
        "sql://shop/flights?day=2013-01-01",
        "sql://shop/flights?id>0010&id<=0020",
        "sql://my%20shop/a%2Eb.c%2Fd%3F?x%20y=%26%3D%25",
    ],
)
def test_an_address_is_read_and_written_back(uri):
    assert sql.table_of(uri).uri == uri


def test_signs_in_names_and_values_are_decoded():
    table = sql.table_of("sql://my%20shop/a%2Eb.c%2Fd%3F?x%20y=%26%3D%25")
    assert (table.conn_id, table.schema, table.name) == ("my shop", "a.b", "c/d?")
    assert table.conditions == (sql.Condition("x y", "=", "&=%"),)


def test_a_template_names_the_column_whose_values_are_partitions():
    source = sql.parse("sql://shop/public.flights?day={partition}&changed=updated_at&width=6")
    assert (source.table.uri, source.column, source.monotonic) == ("sql://shop/public.flights", "day", False)
    assert (source.changed, source.width) == ("updated_at", 6)


@pytest.mark.parametrize(
    ("lag", "seconds"), [("0", 0), ("90", 90), ("90s", 90), ("5m", 300), ("1.5h", 5400), ("2d", 172_800)]
)
def test_a_template_of_a_growing_column_may_keep_back_the_newest_rows(lag, seconds):
    source = sql.parse(f"sql://shop/flights?id>{{partition}}&lag={lag}")
    assert source.monotonic
    assert source.lag == seconds


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("sql://shop", "does not begin with"),
        ("sql:///flights?day={partition}", "does not begin with"),
        ("sql://shop/a.b.c?day={partition}", "does not begin with"),
        ("sql://shop/flights/x?day={partition}", "does not begin with"),
        ("sql://shop/flights", "no column"),
        ("sql://shop/flights?day=2013", "no column"),
        ("sql://shop/flights?day<={partition}", "neither"),
        ("sql://shop/flights?day={partition}&x={partition}", "unknown options"),
        ("sql://shop/flights?day={partition}&day>{partition}", "neither"),
        ("sql://shop/flights?day={partition}&lag=3", "unknown options"),
        ("sql://shop/flights?id>{partition}&changed=x", "unknown options"),
        ("sql://shop/flights?id>{partition}&lag=soon", "lag='soon'"),
        ("sql://shop/flights?id>{partition}&width=20", "width='20'"),
        ("sql://shop/flights?day={partition}&nothing", "is not <column>"),
    ],
)
def test_a_template_that_is_not_understood_is_refused_with_the_reason(template, reason):
    with pytest.raises(DeclarationError, match=reason):
        sql.parse(template)


@pytest.mark.parametrize("uri", ["s3://b/x", "sql://shop/flights?", "sql://shop/flights?day", "sql://shop/"])
def test_what_is_no_table_is_refused(uri):
    with pytest.raises(DeclarationError, match="does not name a table"):
        sql.table_of(uri)
