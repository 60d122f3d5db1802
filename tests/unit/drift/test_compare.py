import itertools
import json

import numpy as np
import pandas as pd
import pytest

from retrain import drift
from retrain.drift import Thresholds
from retrain.records import DriftVerdict

SEEDS = 30


@pytest.fixture(scope="module")
def reference_table(make_table):
    return make_table(1000, 1)


@pytest.fixture(scope="module")
def reference(reference_table):
    return drift.profile(reference_table)


@pytest.mark.parametrize("rows", [200, 1000])
def test_clean_batches_seldom_alarm(rows, make_table):
    profiles = [drift.profile(make_table(rows, 100 + seed)) for seed in range(SEEDS + 1)]
    verdicts = [drift.compare(before, after) for before, after in itertools.pairwise(profiles)]
    assert sum(verdict.status == "drift" for verdict in verdicts) <= 0.08 * SEEDS


def test_an_irrelevant_shift_never_alarms_on_large_data(make_table):
    verdict = drift.compare(drift.profile(make_table(50_000, 1)), drift.profile(make_table(50_000, 2, shift=0.03)))
    assert verdict.status == "ok", verdict.summary
    assert verdict.columns["normal"].p_value < 0.05


def shifted_mean(table, generator):
    table["normal"] += 0.25


def wider(table, generator):
    table["normal"] *= np.sqrt(1.45)


def other_mix(table, generator):
    from_first = (table["of5"] == "v0") & (generator.random(len(table)) < 0.1 / (table["of5"] == "v0").mean())
    table.loc[from_first, "of5"] = "v4"


def missing(table, generator):
    table.loc[generator.random(len(table)) < 0.2, "normal"] = np.nan


def wrong_unit(table, generator):
    table.loc[generator.random(len(table)) < 0.05, "skewed"] *= 1000


def other_prior(table, generator):
    table["flag"] = generator.random(len(table)) < 0.42


def new_category(table, generator):
    table.loc[generator.random(len(table)) < 0.02, "of12"] = "new"


@pytest.mark.parametrize(
    ("shift", "column"),
    [
        (shifted_mean, "normal"),
        (wider, "normal"),
        (other_mix, "of5"),
        (missing, "normal"),
        (wrong_unit, "skewed"),
        (other_prior, "flag"),
        (new_category, "of12"),
    ],
)
def test_hard_shifts_are_found_in_a_thousand_rows(shift, column, reference, make_table):
    found = 0
    for seed in range(10):
        table = make_table(1000, 500 + seed)
        shift(table, np.random.default_rng(seed))
        verdict = drift.compare(reference, drift.profile(table))
        found += verdict.status == "drift" and column in verdict.drivers
    assert found >= 8


@pytest.mark.parametrize(
    ("fault", "check"),
    [
        (lambda table: table.drop(columns="normal"), "missing_column"),
        (lambda table: table.assign(normal=table["normal"].astype(str)), "retyped_column"),
        (lambda table: table.assign(of5=range(len(table))), "retyped_column"),
        (lambda table: table.assign(normal=np.nan), "all_missing"),
        (lambda table: table.assign(of5=None), "all_missing"),
        (lambda table: table.assign(normal=np.inf), "all_infinite"),
        (lambda table: table.assign(normal=1.0), "constant_column"),
        (lambda table: table.assign(of5="v1"), "constant_column"),
        (lambda table: table.iloc[:0], "empty_batch"),
        (lambda table: table.assign(normal=table["normal"].where(table.index > 200)), "completeness_surge"),
        (lambda table: table.assign(of5=table["of5"].where(table.index > 50, "new")), "unknown_categories"),
        (lambda table: table.assign(normal=table["normal"].where(table.index > 50, -999.0)), "outliers"),
        (lambda table: table.assign(normal=table["normal"].where(table.index > 50, np.inf)), "infinite_surge"),
        (lambda table: table.assign(of12=[f"id{row}" for row in range(len(table))]), "unknown_categories"),
    ],
)
def test_a_fault_is_drift_by_its_name(fault, check, reference, make_table):
    verdict = drift.compare(reference, drift.profile(fault(make_table(1000, 2))))
    assert verdict.status == "drift"
    assert check in [failed.name for failed in verdict.checks]
    assert check in verdict.summary
    assert DriftVerdict.from_dict(json.loads(json.dumps(verdict.to_dict(), allow_nan=False))) == verdict


def pairs(rows, seed, correlation):
    generator = np.random.default_rng(seed)
    x = generator.normal(0, 1, rows)
    y = correlation * x + np.sqrt(1 - correlation**2) * generator.normal(0, 1, rows)
    return pd.DataFrame(
        {"x": x, "y": np.exp(y), "z": generator.normal(0, 1, rows), "c": generator.choice(list("abcdefghij"), rows)}
    )


@pytest.mark.parametrize("correlation", [0.0, -0.7])
def test_a_correlation_that_is_gone_or_inverted_is_drift_of_both_columns(correlation):
    verdict = drift.compare(pairs(300, 1, 0.7), pairs(300, 2, correlation))
    assert verdict.status == "drift"
    assert set(verdict.drivers) == {"x", "y"}
    assert "correlation of x with y changed by" in verdict.columns["y"].reason


def test_a_dependence_that_is_not_a_line_is_seen():
    table = pairs(1000, 2, 0.0)
    bent = table.assign(z=table["x"].abs().rank() / 400 + table["z"] / 2)
    bent["z"] = np.sort(table["z"])[bent["z"].rank(method="first").astype(int) - 1]
    assert set(drift.compare(pairs(1000, 1, 0.0), bent).drivers) == {"x", "z"}


def test_a_segment_that_moved_is_drift_though_no_column_shows_it():
    table = pairs(1000, 2, 0.0)
    verdict = drift.compare(pairs(1000, 1, 0.0), table.assign(z=table["z"] + (table["c"] == "d")))
    assert set(verdict.drivers) == {"c", "z"}
    assert "z where c=d moved by" in verdict.summary


def test_a_shift_of_one_column_is_not_blamed_on_its_dependence():
    table = pairs(1000, 2, 0.7)
    assert drift.compare(pairs(1000, 1, 0.7), table.assign(x=table["x"] + 1)).drivers == ("x",)


def test_a_correlation_that_ordinarily_varies_is_no_drift():
    history = [drift.profile(pairs(300, seed, 0.9 * (-1) ** seed)) for seed in range(12)]
    current = drift.profile(pairs(300, 99, -0.9))
    assert drift.compare(history[0], current).status == "drift"
    assert drift.compare(history[0], current, history=history).status == "ok"


def test_three_columns_that_only_together_differ_are_found_by_the_classifier():
    generator = np.random.default_rng(0)
    before = pd.DataFrame(generator.normal(size=(4000, 4)), columns=list("abcd"))
    after = pd.DataFrame(generator.normal(size=(4000, 4)), columns=list("abcd"))
    after["c"] = after["c"].abs() * np.sign(after["a"] * after["b"])
    verdict = drift.compare(before, after)
    assert verdict.status == "drift"
    assert set(verdict.drivers) <= {"a", "b", "c"}


@pytest.mark.parametrize(
    "draw", [lambda g, n: g.lognormal(0, 1, n), lambda g, n: g.exponential(1, n), lambda g, n: g.standard_t(2, n)]
)
def test_a_tiny_shift_at_a_hard_edge_or_under_a_heavy_tail_is_no_drift(draw):
    generator = np.random.default_rng(4)
    before, after = draw(generator, 50_000), draw(generator, 50_000)
    sd = before.std()
    for shift in (0.03 * sd, -0.03 * sd):
        verdict = drift.compare(pd.DataFrame({"x": before}), pd.DataFrame({"x": after + shift}))
        assert verdict.status == "ok", verdict.summary


@pytest.mark.parametrize("rows", [1_000, 20_000])
@pytest.mark.parametrize(
    "draw",
    [
        lambda generator, rows: (generator.pareto(2.5, rows) + 1) * 10,
        lambda generator, rows: generator.lognormal(5, 1.2, rows),
        lambda generator, rows: generator.gamma(0.5, 3, rows),
        lambda generator, rows: 100 * generator.weibull(0.7, rows),
    ],
    ids=["pareto", "lognormal", "gamma", "weibull"],
)
def test_a_shift_of_three_hundredths_of_a_deviation_is_no_drift_where_it_moves_many_ranks(draw, rows):
    deviation = draw(np.random.default_rng(9), 100_000).std()
    statuses = {0.03: [], 0.2: []}
    for seed in range(5):
        generator = np.random.default_rng([seed, rows])
        before = drift.profile(pd.DataFrame({"amount": draw(generator, rows)}))
        for shift, found in statuses.items():
            moved = pd.DataFrame({"amount": draw(generator, rows) + shift * deviation})
            found.append(drift.compare(before, drift.profile(moved)).status)
    # One column alone has all of alpha to itself.
    assert statuses[0.03].count("drift") <= 1
    assert statuses[0.2].count("drift") == 5


def test_a_shift_that_matters_keeps_the_whole_distance():
    generator = np.random.default_rng(2)
    before, after = generator.laplace(0, 1, (2, 4000))
    verdict = drift.compare(pd.DataFrame({"x": before}), pd.DataFrame({"x": after + 0.2 * 2**0.5}))
    assert "KS D" in verdict.columns["x"].reason
    assert "does not matter" not in verdict.columns["x"].reason


def test_a_moved_mode_is_drift_by_the_distance_alone():
    generator = np.random.default_rng(3)
    low, high = generator.normal(-5, 0.5, (2, 1000)), generator.normal(5, 0.5, (2, 1000))
    sides = [
        pd.DataFrame({"x": np.where(generator.random(1000) < share, low[side], high[side])})
        for side, share in ((0, 0.5), (1, 0.65))
    ]
    verdict = drift.compare(*sides)
    assert verdict.status == "drift"
    assert "KS D" in verdict.columns["x"].reason


def test_one_row_is_inconclusive_and_says_how_many_would_do(reference, make_table):
    verdict = drift.compare(reference, drift.profile(make_table(1000, 2).iloc[:1]))
    assert (verdict.status, verdict.rows_needed) == ("inconclusive", 50)
    assert {column.status for column in verdict.columns.values()} == {"inconclusive"}


def test_a_dropped_column_is_named_even_in_one_row(reference, make_table):
    verdict = drift.compare(reference, drift.profile(make_table(1000, 2).iloc[:1].drop(columns="normal")))
    assert (verdict.status, verdict.drivers) == ("drift", ("normal",))


def test_an_empty_reference_is_inconclusive(reference, make_table):
    verdict = drift.compare(drift.profile(make_table(10, 2).iloc[:0]), reference)
    assert verdict.status == "inconclusive"


def test_a_new_column_is_recorded_and_is_no_drift(reference, reference_table):
    verdict = drift.compare(reference, reference_table.assign(extra=1))
    assert verdict.status == "ok"
    assert "not in the reference" in verdict.columns["extra"].reason


def test_event_times_and_identifiers_are_not_judged():
    def month(number):
        when = pd.date_range(f"2013-{number:02}-01", periods=500, freq="h")
        return pd.DataFrame({"when": when, "id": [f"{number}-{row}" for row in range(500)], "x": np.arange(500) % 7})

    verdict = drift.compare(month(1), month(2))
    assert verdict.status == "ok"
    assert "datetime" in verdict.columns["when"].reason
    assert "identifiers" in verdict.columns["id"].reason


def test_drivers_come_in_order_of_importance(reference, make_table):
    table = make_table(1000, 2)
    table["normal"] += 0.4
    table["heavy"] += 3
    assert drift.compare(reference, table).drivers == ("heavy", "normal")


def test_the_summary_names_the_kind_of_drift(reference_table, make_table):
    table = make_table(1000, 2).assign(flag=True)
    verdict = drift.compare(drift.profile(reference_table, target="flag"), drift.profile(table, target="flag"))
    assert "flag (label)" in verdict.summary


def test_private_columns_are_judged_by_type_and_missing_values_only(reference_table, make_table):
    reference = drift.profile(reference_table, pii=["normal"])
    moved = drift.compare(reference, make_table(1000, 2).assign(normal=lambda table: table["normal"] + 9))
    assert moved.status == "ok"
    assert "private" in moved.columns["normal"].reason
    assert drift.compare(reference, make_table(1000, 2).assign(normal=np.nan)).status == "drift"


def test_thresholds_decide_what_matters(reference, make_table):
    table = make_table(1000, 2)
    table["normal"] += 0.4
    lenient = Thresholds(location=1.0, ks_d=1.0, scale=1.0, outlier_share=1.0)
    assert drift.compare(reference, table).status == "drift"
    assert drift.compare(reference, table, thresholds=lenient).status == "ok"


def batch(seed, offset=None):
    generator = np.random.default_rng(seed)
    moved = generator.normal(0, 0.25) if offset is None else offset
    return drift.profile(
        pd.DataFrame({"x": generator.normal(moved, 1, 1000), "c": generator.choice(list("abc"), 1000)})
    )


def test_ordinary_movement_among_past_batches_is_no_drift():
    history = [batch(seed) for seed in range(20)]
    assert drift.compare(history[0], batch(99, offset=0.4)).status == "drift"
    assert drift.compare(history[0], batch(99, offset=0.4), history=history).status == "ok"


def test_what_no_past_batch_showed_is_drift():
    history = [batch(seed) for seed in range(20)]
    verdict = drift.compare(history[0], batch(99, offset=2.5), history=history)
    assert verdict.drivers == ("x",)


@pytest.mark.parametrize(("offset", "status"), [(0.1, "ok"), (2.5, "drift")])
def test_with_a_short_history_the_current_effect_has_to_exceed_every_past_one(offset, status):
    history = [batch(seed) for seed in range(4)]
    assert drift.compare(history[0], batch(99, offset=offset), history=history).status == status


def test_new_levels_are_no_drift_where_every_batch_has_some():
    def day(number):
        known = [f"shop{shop}" for shop in range(5)] * 100
        return drift.profile(pd.DataFrame({"c": [*known, *[f"campaign{number}"] * 10]}))

    history = [day(number) for number in range(12)]
    assert drift.compare(history[0], day(99)).status == "drift"
    assert drift.compare(history[0], day(99), history=history).status == "ok"


def test_a_wrong_unit_in_a_small_batch_is_drift_beside_many_past_ones():
    seen = 0
    for seed in range(10):
        generator = np.random.default_rng(seed)
        batches = [
            pd.DataFrame(
                {"height": generator.normal(170 + generator.normal(0, 2), 10, 200), "other": np.arange(200) % 9}
            )
            for _ in range(21)
        ]
        past = [drift.profile(batch) for batch in batches[:-1]]
        batches[-1].loc[generator.random(200) < 0.05, "height"] *= 1000
        seen += drift.compare(past[0], batches[-1], history=past).status == "drift"
    assert seen >= 9
