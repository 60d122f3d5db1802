import numpy as np
import pandas as pd
import pytest

from retrain import drift
from retrain.drift.duplicates import Duplicates, excess
from retrain.drift.pandas_engine import profile_column
from retrain.drift.ranges import beyond_range

HEAVY = {
    "cauchy": lambda generator, rows: generator.standard_cauchy(rows),
    "pareto": lambda generator, rows: generator.pareto(0.5, rows),
    "lognormal": lambda generator, rows: np.exp(3 * generator.normal(size=rows)),
    "mostly zero": lambda generator, rows: np.where(generator.random(rows) < 0.9, 0, generator.standard_cauchy(rows)),
}


def column(values):
    return profile_column("x", pd.Series(values), as_levels=False, private=False)


def failed(verdict):
    return {(check.name, check.column) for check in verdict.checks if check.level == "fault"}


def test_a_column_more_is_recorded_and_no_alarm(make_table):
    table = make_table(300, 1)
    verdict = drift.compare(make_table(300, 0), table.assign(more=1.0))
    (check,) = verdict.checks
    assert (verdict.status, check.name, check.column, check.level) == ("ok", "extra_column", "more", "warning")
    assert verdict.drivers == ()
    assert verdict.to_dict()["checks"][0]["level"] == "warning"


@pytest.mark.parametrize("name", HEAVY)
@pytest.mark.parametrize("rows", [(200, 200), (1000, 200), (200, 5000)])
def test_heavy_tails_alone_are_within_the_range(name, rows):
    generator = np.random.default_rng(0)
    p_values = []
    for _ in range(100):
        sides = [column(HEAVY[name](generator, size)) for size in rows]
        p_values.append(beyond_range(*sides).p_value)
    assert min(p_values) > 1e-4
    assert np.mean(np.array(p_values) < 0.05) <= 0.08


def test_values_that_the_reference_never_held_are_named():
    generator = np.random.default_rng(0)
    reference = pd.DataFrame({"x": generator.lognormal(size=1000), "y": generator.normal(size=1000)})
    current = pd.DataFrame({"x": generator.lognormal(size=1000), "y": generator.normal(size=1000)})
    current.loc[:30, "x"] *= 1000
    verdict = drift.compare(reference, current)
    assert ("range", "x") in failed(verdict)
    assert "beyond all values that the reference held" in verdict.columns["x"].reason


def test_a_small_shift_at_a_hard_edge_is_within_the_range():
    generator = np.random.default_rng(0)
    reference, current = column(generator.random(20_000)), column(generator.random(20_000) + 0.02)
    assert beyond_range(reference, current).effect == 0


def test_a_range_that_past_partitions_held_is_ordinary():
    generator = np.random.default_rng(0)
    past = [pd.DataFrame({"x": generator.random(500) + shift}) for shift in np.linspace(-0.5, 0.5, 12)]
    current = pd.DataFrame({"x": generator.random(500) + 0.45})
    assert ("range", "x") in failed(drift.compare(past[0], current))
    assert ("range", "x") not in failed(drift.compare(past[0], current, history=past))


def test_later_dates_are_no_fault():
    days = pd.Timestamp("2024-01-01") + pd.to_timedelta(np.arange(300), "h")
    verdict = drift.compare(pd.DataFrame({"at": days}), pd.DataFrame({"at": days + pd.Timedelta("365D")}))
    assert (verdict.status, verdict.checks) == ("ok", ())


def test_records_that_came_twice_are_named(make_table):
    table = make_table(1000, 1)
    twice = pd.concat([table, table.iloc[:100]], ignore_index=True)
    verdict = drift.compare(make_table(1000, 0), twice)
    assert verdict.status == "drift"
    assert ("duplicates", None) in failed(verdict)
    assert "9.1% of the rows repeat others" in verdict.summary or "duplicates (table)" in verdict.summary


def test_repeated_rows_are_ordinary_where_past_partitions_have_them(make_table):
    tables = [make_table(1000, seed) for seed in range(3)]
    reference, *others = [pd.concat([table, table.iloc[:100]], ignore_index=True) for table in tables]
    assert failed(drift.compare(reference, others[0])) == set()
    assert failed(drift.compare(tables[0], others[0], history=[others[1]])) == set()


@pytest.mark.parametrize("rows", [(300, 300), (300, 20_000), (20_000, 300)])
@pytest.mark.parametrize("levels", [2, 30, 1000])
def test_few_levels_repeat_by_chance_at_any_size(rows, levels):
    generator = np.random.default_rng(levels)
    for _ in range(20):
        known, found = (
            Duplicates.of_counts(
                np.unique(generator.zipf(1.5, (size, 2)) % levels, axis=0, return_counts=True)[1], size
            )
            for size in rows
        )
        assert excess([(known, rows[0])], found, rows[1]) == 0


def test_a_hash_that_looks_at_some_contents_tells_the_same():
    generator = np.random.default_rng(0)
    known, found = Duplicates(0, 0, 200_000, share=0.5), Duplicates(1000, 1000, 200_000, share=0.1)
    assert excess([(known, 200_000)], found, 200_000) == pytest.approx(0.05)
    # One frequent row that happens to be among those looked at is one content.
    frequent = Duplicates(int(generator.integers(90_000, 100_000)), 1, 200_000, share=0.1)
    assert excess([(Duplicates(100_000, 1, 200_000), 200_000)], frequent, 200_000) == 0


def test_rows_that_were_compared_in_other_columns_are_not_held_against_each_other():
    generator = np.random.default_rng(0)
    table = pd.DataFrame({"id": np.arange(2000), "x": generator.integers(0, 5, 2000)})
    reference, current = drift.profile(table), drift.profile(table[["x"]])
    assert ("duplicates", None) not in failed(drift.compare(reference.select(["x"]), current))


def test_parts_of_a_merged_profile_are_looked_through_one_by_one(make_table):
    parts = [drift.profile(pd.concat([make_table(200, seed)] * 2)) for seed in range(2)]
    merged = parts[0].merge(parts[1])
    assert (merged.duplicates.surplus, merged.duplicates.contents, merged.duplicates.within) == (400, 400, 400)
    assert drift.Profile.from_dict(merged.to_dict()).duplicates == merged.duplicates
