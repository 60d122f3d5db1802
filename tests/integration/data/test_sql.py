"""Tables as a source, on SQLite and on a real PostgreSQL."""

import datetime as dt
import uuid
from decimal import Decimal

import pandas as pd
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa

from retrain.data import open_parquet, read, scan, sql, storage
from retrain.exceptions import (
    ConnectionConfigError,
    DeclarationError,
    StoreUnavailableError,
    UnreadableDataError,
)

pytestmark = pytest.mark.integration

NOW = dt.datetime(2013, 1, 10, 12, tzinfo=dt.UTC)


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request, tmp_path):
    url = f"sqlite:///{tmp_path}/shop.db"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres_database")
    made = sa.create_engine(url, poolclass=sa.NullPool)
    with sql.connections({"shop": made}.__getitem__):
        yield made


def make(engine, rows, *, name="flights", key=True):
    table = sa.Table(
        name, sa.MetaData(),
        sa.Column("id", sa.BigInteger, primary_key=key, autoincrement=False),
        sa.Column("day", sa.Date), sa.Column("carrier", sa.String(40)), sa.Column("delay", sa.Integer),
        sa.Column("updated at", sa.DateTime),
    )  # fmt: skip
    table.create(engine)
    add(engine, table, rows)
    return table


def add(engine, table, rows):
    names = [column.name for column in table.columns]
    with engine.begin() as connection:
        connection.execute(table.insert(), [dict(zip(names, row, strict=True)) for row in rows])


def day(number):
    return dt.date(2013, 1, number)


def row(number, on, carrier="UA", delay=0, at=dt.datetime(2013, 1, 1)):
    return (number, on, carrier, delay, at)


def keys(template, **options):
    return [found.partition for found in scan(template, **options)]


def test_each_value_of_a_column_is_a_partition(engine):
    make(engine, [row(1, day(2)), row(2, day(1)), row(3, day(2))])
    found = scan("sql://shop/flights?day={partition}")
    assert [(one.partition, one.size, one.uri) for one in found] == [
        ("2013-01-01", 1, "sql://shop/flights?day=2013-01-01"),
        ("2013-01-02", 2, "sql://shop/flights?day=2013-01-02"),
    ]


def test_rows_without_a_value_are_named_in_the_log(engine, caplog):
    make(engine, [row(1, None), row(2, day(1))])
    assert keys("sql://shop/flights?day={partition}") == ["2013-01-01"]
    assert "1 rows of sql://shop/flights belong to no partition" in caplog.text


def test_a_token_changes_with_the_rows_and_with_the_column_that_marks_corrections(engine):
    table = make(engine, [row(1, day(1))])
    plain, marked = "sql://shop/flights?day={partition}", "sql://shop/flights?day={partition}&changed=updated%20at"
    before = scan(plain)[0].token, scan(marked)[0].token
    with engine.begin() as connection:
        connection.execute(table.update().values({"delay": 9, "updated at": dt.datetime(2013, 2, 1)}))
    assert scan(plain)[0].token == before[0]
    assert scan(marked)[0].token != before[1]
    add(engine, table, [row(2, day(1))])
    assert scan(plain)[0].token != before[0]


def test_a_growing_number_gives_one_partition_after_the_other_without_gap_or_overlap(engine, tmp_path):
    template = "sql://shop/flights?id>{partition}"
    table = make(engine, [row(1, day(1))])
    known, taken = [], []
    for upto in (9, 10, 25):
        add(engine, table, [row(number, day(1)) for number in range(max(taken, default=1) + 1, upto + 1)])
        (found,) = scan(template, known=known)
        taken += list(read(sql.extract(found, tmp_path / f"{upto}.parquet"))["id"])
        assert found.size == upto - (int(known[-1]) if known else 0)
        known.append(found.partition)
        assert scan(template, known=known) == ()
    assert taken == list(range(1, 26))
    assert known == sorted(known) == [f"{upto:019d}" for upto in (9, 10, 25)]


def test_the_newest_rows_of_a_growing_column_are_kept_back(engine):
    make(engine, [row(number, day(number), at=dt.datetime(2013, 1, 10, number)) for number in range(1, 13)])
    assert keys("sql://shop/flights?id>{partition}&lag=3&width=2") == ["09"]
    at = sql.parse("sql://shop/flights?updated%20at>{partition}&lag=2h")
    assert [one.partition for one in sql.listing(engine, at, now=NOW)] == ["2013-01-10T10:00:00"]
    on = sql.parse("sql://shop/flights?day>{partition}")  # the tenth is not over yet
    assert [one.partition for one in sql.listing(engine, on, now=NOW)] == ["2013-01-09"]
    assert [one.size for one in sql.listing(engine, on, "2013-01-05", now=NOW)] == [4]


def test_an_empty_table_has_no_partitions(engine):
    make(engine, [row(1, day(1))])
    with engine.begin() as connection:
        connection.execute(sa.text("DELETE FROM flights"))
    for template in ("day={partition}", "id>{partition}", "id>{partition}&lag=2"):
        assert scan(f"sql://shop/flights?{template}") == ()


@pytest.mark.parametrize("key", [True, False])
def test_the_same_rows_give_the_same_bytes_in_whatever_order_they_were_written(engine, tmp_path, key):
    rows = [row(one, day(1), carrier=f"c{one % 3}", delay=None if one % 5 else one) for one in range(200)]
    make(engine, rows, name="forward", key=key)
    make(engine, rows[::-1], name="backward", key=key)
    refs = [
        sql.extract(scan(f"sql://shop/{name}?day={{partition}}")[0], tmp_path / f"{name}.parquet")
        for name in ("forward", "backward")
    ]
    assert refs[0].digest == refs[1].digest
    assert (refs[0].rows, refs[0].partition, refs[0].schema["delay"]) == (200, "2013-01-01", "int64")
    frame = read(refs[0])
    assert list(frame["id"]) == list(range(200))
    assert frame["delay"].notna().sum() == 40


def test_a_partition_of_several_chunks_is_whole(engine, tmp_path):
    make(engine, [row(number, day(1)) for number in range(20)])
    ref = sql.extract(scan("sql://shop/flights?day={partition}")[0], tmp_path / "x.parquet", rows=7)
    assert list(read(ref)["id"]) == list(range(20))
    with open_parquet(ref) as file:
        assert file.num_row_groups == 3


def test_an_extract_named_by_its_content_is_never_written_over(engine, tmp_path):
    table = make(engine, [row(1, day(1))])
    (found,) = scan("sql://shop/flights?day={partition}")
    first = sql.extract_into(found, tmp_path / "extracts")
    assert sql.extract_into(found, tmp_path / "extracts") == first
    with engine.begin() as connection:
        connection.execute(table.update().values(delay=7))
    second = sql.extract_into(found, tmp_path / "extracts")
    assert first.uri != second.uri
    assert [list(read(ref)["delay"]) for ref in (first, second)] == [[0], [7]]
    assert len(storage.listing(tmp_path / "extracts")) == 2


def test_rows_that_have_gone_since_the_listing_are_said_to_be_gone(engine, tmp_path):
    make(engine, [row(1, day(1))])
    (found,) = scan("sql://shop/flights?day={partition}")
    with engine.begin() as connection:
        connection.execute(sa.text("DELETE FROM flights"))
    with pytest.raises(UnreadableDataError, match="has no rows"):
        sql.extract(found, tmp_path / "x.parquet")
    assert list(tmp_path.glob("*x.parquet*")) == []


@pytest.mark.parametrize(
    "carrier",
    ["../up", "a/b", "a\\b", "x'; DROP TABLE flights; --", 'quo"te', "%41", "", ".hidden", "ü {x} &=?#", "new\nline"],
)
def test_any_text_is_a_partition_whose_key_is_safe_and_whose_rows_are_found_again(engine, tmp_path, carrier):
    make(engine, [row(1, day(1), carrier=carrier), row(2, day(1), carrier="other")])
    found = next(one for one in scan("sql://shop/flights?carrier={partition}") if one.partition != "other")
    assert not set(found.partition) & set("/\\\n")
    assert not found.partition.startswith(".")
    ref = sql.extract_into(found, tmp_path / "extracts")
    assert list(read(ref)["id"]) == [1]
    assert ref.uri.startswith((tmp_path / "extracts").as_uri() + "/")
    assert len(scan("sql://shop/flights?carrier={partition}")) == 2


def test_names_of_tables_and_columns_are_quoted(engine):
    make(engine, [row(1, day(1))], name='we"ird; DROP TABLE x')
    name = "we%22ird%3B%20DROP%20TABLE%20x"
    assert keys(f"sql://shop/{name}?day={{partition}}") == ["2013-01-01"]
    with pytest.raises(DeclarationError, match=r"names a column .* Expected one of \['id', 'day'"):
        scan("sql://shop/" + name + "?1%3B%20DROP={partition}")


def test_text_is_not_a_growing_column(engine):
    make(engine, [row(1, day(1))])
    with pytest.raises(DeclarationError, match="not the latest row"):
        scan("sql://shop/flights?carrier>{partition}")


def test_a_table_that_is_not_there_is_said_not_to_be_there(engine):
    with pytest.raises(UnreadableDataError, match="is not there"):
        scan("sql://shop/nothing?day={partition}")


def test_a_value_that_is_none_of_its_column_is_refused(engine):
    make(engine, [row(1, day(1))])
    with pytest.raises(DeclarationError, match="a value of the type"):
        sql.resolve("sql://shop/flights?day=soon")


def test_a_table_is_resolved_to_what_a_query_needs(engine):
    make(engine, [row(1, day(1)), row(2, day(2))])
    found = sql.resolve("sql://shop/flights?day=2013-01-02")
    assert (found.name, found.schema) == ("flights", None)
    with found.engine.connect() as connection:
        assert [one.id for one in connection.execute(found.select())] == [2]
    assert sql.resolve("sql://shop/flights").where is None


def test_the_types_of_a_table_survive(engine, tmp_path):
    table = sa.Table(
        "kinds", sa.MetaData(),
        sa.Column("part", sa.Integer),
        sa.Column("price", sa.Numeric(10, 2)), sa.Column("exact", sa.Numeric(38, 0)), sa.Column("any", sa.Numeric),
        sa.Column("ratio", sa.Double), sa.Column("yes", sa.Boolean), sa.Column("text", sa.Text),
        sa.Column("at", sa.DateTime(timezone=True)), sa.Column("local", sa.DateTime), sa.Column("on", sa.Date),
        sa.Column("raw", sa.LargeBinary), sa.Column("doc", sa.JSON), sa.Column("who", sa.Uuid),
    )  # fmt: skip
    table.create(engine)
    moment, zone = dt.datetime(2013, 1, 1, 12, 0, 0, 123456), dt.timezone(dt.timedelta(hours=2))
    who = uuid.UUID(int=7)
    full = (1, Decimal("1.50"), Decimal(7), Decimal("0.5"), 0.1, True, "é\n", moment.replace(tzinfo=zone), moment,
            day(1), b"\x00\xff", {"b": 1, "a": [None]}, who)  # fmt: skip
    add(engine, table, [full, (1, *[None] * 12)])
    ref = sql.extract(scan("sql://shop/kinds?part={partition}")[0], tmp_path / "x.parquet")
    postgres = engine.dialect.name == "postgresql"
    assert dict(ref.schema) == {
        "part": "int64", "price": "decimal128(10, 2)", "exact": "decimal128(38, 0)", "any": "double", "ratio": "double",
        "yes": "bool", "text": "string", "at": "timestamp[us, tz=UTC]" if postgres else "timestamp[us]",
        "local": "timestamp[us]", "on": "date32[day]", "raw": "binary", "doc": "string", "who": "string",
    }  # fmt: skip
    values = next(row for row in pq.read_table(tmp_path / "x.parquet").to_pylist() if row["text"])
    assert (values["price"], values["exact"], values["any"], values["yes"]) == (Decimal("1.50"), 7, 0.5, True)
    assert values["at"].replace(tzinfo=None) == (moment - dt.timedelta(hours=2) if postgres else moment)
    assert (values["local"], values["on"], values["raw"]) == (moment, day(1), b"\x00\xff")
    assert (values["doc"], uuid.UUID(values["who"])) == ('{"a": [null], "b": 1}', who)


def test_a_view_is_a_table_without_a_key(engine, tmp_path):
    make(engine, [row(2, day(1)), row(1, day(1))])
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE VIEW seen AS SELECT id, day FROM flights"))
    ref = sql.extract(scan("sql://shop/seen?day={partition}")[0], tmp_path / "x.parquet")
    pd.testing.assert_series_equal(read(ref)["id"], pd.Series([1, 2], name="id"))


def test_a_schema_is_part_of_the_address(postgres_database):
    engine = sa.create_engine(postgres_database, poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.execute(sa.text('CREATE SCHEMA "Raw.Data"; CREATE TABLE "Raw.Data".t (d date); '))
        connection.execute(sa.text("""INSERT INTO "Raw.Data".t VALUES ('2013-01-01')"""))
    with sql.connections(lambda conn_id: engine):
        assert keys("sql://shop/Raw%2EData.t?d={partition}") == ["2013-01-01"]


def test_a_connection_is_read_from_the_environment_where_nobody_resolves_it(postgres_database, monkeypatch):
    monkeypatch.setenv("RETRAIN_SQL_MY_SHOP", postgres_database.replace("+psycopg2", ""))
    with sql.engine_of("my-shop").connect() as connection:
        assert connection.execute(sa.text("SELECT 1")).scalar() == 1


def test_a_connection_that_is_not_known_says_where_it_was_looked_for():
    with pytest.raises(ConnectionConfigError, match="RETRAIN_SQL_WARE_HOUSE"):
        scan("sql://ware.house/t?d={partition}")


def test_an_unreadable_url_does_not_show_its_password(monkeypatch):
    monkeypatch.setenv("RETRAIN_SQL_SHOP", "postgresql//user:geheim@host")
    with pytest.raises(ConnectionConfigError) as raised:
        sql.engine_of("shop")
    assert "geheim" not in str(raised.value)


def test_a_database_that_does_not_answer_may_do_so_later(monkeypatch):
    monkeypatch.setenv("RETRAIN_SQL_SHOP", "postgresql://user:geheim@127.0.0.1:1/none")
    with pytest.raises(StoreUnavailableError, match="did not answer") as raised:
        scan("sql://shop/t?d={partition}")
    assert "geheim" not in str(raised.value)


def test_what_may_not_be_read_is_no_reason_to_try_again(postgres_database):
    admin = sa.create_engine(postgres_database, poolclass=sa.NullPool)
    role = f"reader_{uuid.uuid4().hex[:8]}"
    make(admin, [row(1, day(1))])

    def as_reader(connection, _):
        connection.cursor().execute(f"SET ROLE {role}")

    with admin.begin() as connection:
        connection.execute(sa.text(f"CREATE ROLE {role}"))
    engine = sa.create_engine(postgres_database, poolclass=sa.NullPool)
    sa.event.listen(engine, "connect", as_reader)
    try:
        with sql.connections(lambda conn_id: engine), pytest.raises(UnreadableDataError, match="permission denied"):
            scan("sql://shop/flights?day={partition}")
    finally:
        with admin.begin() as connection:
            connection.execute(sa.text(f"DROP ROLE {role}"))


def test_rows_written_during_an_extract_are_not_in_it(postgres_database, tmp_path):
    engine, other = (sa.create_engine(postgres_database, poolclass=sa.NullPool) for _ in range(2))
    table = make(engine, [row(number, day(1)) for number in range(100)])
    with sql.connections(lambda conn_id: engine):
        (found,) = scan("sql://shop/flights?day={partition}")
        before = sql.extract(found, tmp_path / "before.parquet", rows=10)
        written = []

        @sa.event.listens_for(engine, "after_cursor_execute")
        def write(connection, cursor, statement, *_):
            if "ORDER BY flights.id" in statement and not written:
                written.append(statement)
                add(other, table, [row(number, day(1)) for number in range(100, 200)])

        assert sql.extract(found, tmp_path / "during.parquet", rows=10).digest == before.digest
        assert len(written) == 1
        assert sql.extract(found, tmp_path / "after.parquet", rows=10).rows == 200
