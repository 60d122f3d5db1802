"""The plan: what to train on, what to judge by; pure."""

import pytest

from retrain.loop import Accepted, Plan
from retrain.loop.plan import split
from retrain.records import DataRef
from tests.unit.loop.conftest import declared


def accepted(*months: int) -> list[Accepted]:
    return [
        Accepted(
            f"2024-{month:02}@v1", DataRef(f"s3://{month}", "parquet", f"2024-{month:02}", 1, rows=10), f"p{month}"
        )
        for month in months
    ]


def months(refs) -> list[int]:
    return [int(ref.partition[-2:]) for ref in refs]


def test_the_latest_partition_judges_and_all_before_it_train() -> None:
    plan = split(accepted(1, 2, 3), declared(), None)
    assert (months(plan.snapshot.partitions), months(plan.holdout)) == ([1, 2], [3])
    assert plan.profiles == {"2024-01": "p1", "2024-02": "p2"}
    assert plan.blocked is None


@pytest.mark.parametrize(
    ("holdout", "window", "train", "judge"),
    [(2, None, [1, 2, 3], [4, 5]), (1, 2, [3, 4], [5]), (2, 1, [3], [4, 5]), (4, 9, [1], [2, 3, 4, 5])],
)
def test_holdout_and_window_count_partitions_from_the_end(holdout, window, train, judge) -> None:
    plan = split(accepted(1, 2, 3, 4, 5), declared(holdout=holdout, window=window), None)
    assert (months(plan.snapshot.partitions), months(plan.holdout)) == (train, judge)


@pytest.mark.parametrize(("count", "holdout"), [(0, 1), (1, 1), (3, 3)])
def test_too_few_partitions_are_a_reason_and_not_an_error(count: int, holdout: int) -> None:
    plan = split(accepted(*range(1, count + 1)), declared(holdout=holdout), None)
    assert plan.snapshot is None
    assert f"{count} accepted partitions; at least {holdout + 1} are needed" in plan.blocked


def champion(*trained_on: int) -> dict:
    return {"version": "1", "partitions": [f"2024-{month:02}" for month in trained_on]}


def test_what_the_champion_was_trained_on_does_not_judge() -> None:
    plan = split(accepted(1, 2, 3, 4), declared(holdout=2), champion(1, 2, 3))
    assert months(plan.holdout) == [4]
    assert months(plan.snapshot.partitions) == [1, 2]
    assert plan.champion["version"] == "1"


def test_nothing_unseen_is_a_reason_that_names_the_partitions() -> None:
    plan = split(accepted(1, 2, 3), declared(), champion(1, 2, 3))
    assert plan.snapshot is None
    assert "the champion was trained on 2024-03" in plan.blocked


def test_rows_that_came_again_under_another_name_do_not_judge() -> None:
    def named(month: int, rows: str) -> Accepted:
        return Accepted(f"2024-{month:02}@v1", DataRef(f"s3://{month}", "parquet", f"2024-{month:02}", 1, rows), None)

    months_ = [named(1, "a"), named(2, "b"), named(3, "c"), named(4, "b")]
    again = split(months_, declared(), None)
    assert again.snapshot is None
    assert "2024-04 holds the very rows of 2024-02, which a model is trained on: no rows are left" in again.blocked
    # Outside of what is trained on they are as good as any others ...
    assert months(split(months_, declared(window=1), None).holdout) == [4]
    # ... unless the champion knows them.
    assert "2024-04 holds the very rows of 2024-02" in split(months_, declared(window=1), champion(2)).blocked
    assert months(split(months_, declared(holdout=2), None).holdout) == [3]


def test_a_champion_of_unknown_origin_does_not_block() -> None:
    plan = split(accepted(1, 2), declared(), {"version": "1", "partitions": None})
    assert months(plan.holdout) == [2]


def test_training_and_judging_never_share_a_partition() -> None:
    for count in range(2, 7):
        for holdout in range(1, count):
            plan = split(accepted(*range(1, count + 1)), declared(holdout=holdout), None)
            assert not set(months(plan.snapshot.partitions)) & set(months(plan.holdout))


def test_a_plan_survives_json() -> None:
    plan = split(accepted(1, 2, 3), declared(), champion(1))
    assert Plan.from_dict(plan.to_dict()) == plan
