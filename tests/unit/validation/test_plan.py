import pytest

from retrain.validation.plan import Group, groups, is_by_row
from retrain.validation.suites import Expectation

BETWEEN = "expect_column_values_to_be_between"


def test_what_needs_the_same_columns_is_evaluated_together():
    needed = [(0, ("a",)), (1, ("a", "b")), (3, ("a",)), (4, ())]
    assert groups(needed, one_pass=False) == [Group(("a",), (0, 3)), Group(("a", "b"), (1,)), Group((), (4,))]


def test_in_one_pass_everything_is():
    needed = [(3, ("a",)), (1, ("a", "b")), (4, ())]
    assert groups(needed, one_pass=True) == [Group(("a", "b"), (1, 3, 4))]
    assert groups([], one_pass=True) == []


@pytest.mark.parametrize(
    ("condition", "by_row"),
    [
        (None, True),
        ("a > 1 and b == 'x'", True),
        ("a > a.mean()", False),
        ("index < 10", False),
        ("a > @limit", False),
        ({"type": "comparison", "column": {"name": "a"}, "operator": ">", "parameter": 1}, True),
    ],
)
def test_a_condition_that_may_look_at_other_rows_is_evaluated_whole(condition, by_row):
    assert is_by_row(Expectation(BETWEEN, {"column": "a", "row_condition": condition})) is by_row


def test_what_is_not_known_to_judge_each_row_by_itself_is_evaluated_whole():
    assert not is_by_row(Expectation("expect_my_own", {"column": "a"}))
