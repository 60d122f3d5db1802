"""What a look sees: exactly what `scan` finds, whether alone, for many templates at once, or in a table."""

import asyncio
import os
import tempfile
import time
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import example, given, settings
from hypothesis import strategies as st

from retrain.data import scan
from retrain.hooks.sql import forget_engines
from retrain.triggers.lookout import Lookout, Place
from tests.support.airflow_tasks import connect

NAMES = st.text(st.sampled_from("ab1-._~ä"), min_size=1, max_size=6).filter(lambda name: name not in (".", ".."))
TEMPLATES = (
    "{partition}",
    "a{partition}",
    "{partition}.b",
    "a-{partition}.b",
    "{partition}~",
    ".{partition}",
    "_{partition}",
)


def seen(place: Place, data: str):
    return asyncio.run(place.looker()().of(data))


@settings(max_examples=60, deadline=None)
@given(st.lists(NAMES, unique=True, max_size=6), st.sampled_from(TEMPLATES))
@example(["a-.b", "a-_x.b", "a-1.b"], "a-{partition}.b")
@example(["a", "aa", "ab.b"], "a{partition}")
def test_a_folder_that_is_listed_for_all_shows_each_template_what_its_own_listing_would(names, template) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            Path(folder, name).write_text(name)
        data = f"{folder}/{template}"
        place = Place.of(data)
        assert place == Place(folder, folder=True)
        assert seen(place, data) == scan(data)


def test_templates_of_files_in_one_folder_are_one_place_and_others_are_not(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    one = Place.of(f"{tmp_path}/a-{{partition}}.csv")
    assert one == Place.of(f"{tmp_path}/./b-{{partition}}.csv")
    assert one == Place.of("./{partition}")
    assert one != Place.of(f"{tmp_path}/{{partition}}/rows.csv")
    assert one != Place.of(f"{tmp_path}/a-{{partition}}.csv", {"age_seconds": 5})
    assert Place.of("s3://bucket/x/{partition}.csv") == Place.of("s3://bucket/x/{partition}.parquet")
    assert Place.of("s3://bucket/x/{partition}.csv") != Place.of("s3://other/x/{partition}.csv")
    assert Place.of("sql://db/orders?day={partition}") != Place.of("sql://db/orders?hour={partition}")


def test_a_broken_template_is_a_place_of_its_own() -> None:
    for broken in ("/feed/none.csv", "/feed/{partition}-{partition}.csv", "/feed/../{partition}.csv"):
        assert Place.of(broken) == Place(broken)


def test_rules_of_completeness_hold(tmp_path: Path) -> None:
    data = f"{tmp_path}/{{partition}}.csv"
    (tmp_path / "1.csv").write_text("rows")
    lookout = Lookout(data, {"marker": "{partition}.done"})
    assert lookout.look() == ()
    (tmp_path / "1.done").touch()
    assert [one.partition for one in lookout.look()] == ["1"]


def test_an_object_that_was_finished_at_the_first_look_stays_so(tmp_path: Path) -> None:
    """Its time of modification spoke for it; that it was seen only a moment ago does not speak against it."""
    path = tmp_path / "1.csv"
    path.write_text("rows")
    os.utime(path, (time.time() - 500,) * 2)
    lookout = Lookout(f"{tmp_path}/{{partition}}.csv", {"stable_seconds": 300})
    assert [one.partition for one in lookout.look()] == ["1"]
    assert [one.partition for one in lookout.look()] == ["1"]
    path.write_text("other rows")
    assert lookout.look() == ()


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    forget_engines()
    connect(monkeypatch, "shop", conn_type="sqlite", host=str(tmp_path / "shop.db"))
    engine = sa.create_engine(f"sqlite:///{tmp_path}/shop.db", poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.execute(sa.text("create table orders (id integer primary key, day text)"))

    def insert(*rows: tuple[int, str]) -> None:
        with engine.begin() as connection:
            for number, day in rows:
                connection.execute(sa.text("insert into orders values (:n, :d)"), {"n": number, "d": day})

    yield insert
    forget_engines()


def test_new_rows_of_a_table_are_seen_through_an_airflow_connection(table) -> None:
    lookout = Lookout("sql://shop/orders?day={partition}")
    assert lookout.look() == ()
    table((1, "mon"), (2, "tue"))
    first = {one.partition: one.token for one in lookout.look()}
    assert set(first) == {"mon", "tue"}
    table((3, "tue"))
    second = {one.partition: one.token for one in lookout.look()}
    assert second["mon"] == first["mon"]
    assert second["tue"] != first["tue"]


def test_of_a_growing_column_the_latest_rows_stay_in_sight(table) -> None:
    """A listener who comes later than the look that found them sees them still."""
    lookout = Lookout("sql://shop/orders?id>{partition}")
    assert lookout.look() == ()
    table((1, "mon"), (2, "mon"))
    (first,) = lookout.look()
    assert lookout.look() == (first,)
    table((3, "tue"))
    (second,) = lookout.look()
    assert second.partition > first.partition
    assert second.size == 1


def test_of_a_growing_column_what_comes_after_a_key_is_seen(table) -> None:
    table((1, "mon"), (2, "mon"))
    (first,) = Lookout("sql://shop/orders?id>{partition}").look()
    waiting = Lookout("sql://shop/orders?id>{partition}", after=first.partition)
    assert waiting.look() == ()
    table((3, "tue"), (4, "tue"))
    (found,) = waiting.look()
    assert found.size == 2
