import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from retrain.validation.broken import Broken, mark


@given(
    st.lists(st.lists(st.booleans(), min_size=23, max_size=23), max_size=4),
    st.integers(0, 22),
    st.integers(1, 23),
)
def test_any_part_of_the_rows_is_what_was_said_of_it(columns, start, length):
    broken = Broken(23)
    for order, flags in enumerate(columns):
        broken.add(order, f"e{order}", np.array(flags))
    length = min(length, 23 - start)
    expected = [[f"e{i}" for i, flags in enumerate(columns) if flags[row]] for row in range(23)]
    part = expected[start : start + length]
    flags = broken.flags(start, length)
    assert flags.tolist() == [bool(labels) for labels in part]
    assert broken.labels(start, length, flags).to_pylist() == [labels for labels in part if labels]
    assert broken.labels(start, length, np.ones(length, dtype=bool)).to_pylist() == part
    assert len(broken) == sum(map(bool, expected))


def test_labels_stand_in_the_order_of_the_suite():
    broken = Broken(2)
    broken.add(7, "later", np.array([True, True]))
    broken.add(2, "earlier", np.array([False, True]))
    assert broken.labels(0, 2, np.array([True, True])).to_pylist() == [["later"], ["earlier", "later"]]


def test_positions_are_counted_from_the_start_of_the_batch():
    flags = np.zeros(6, dtype=bool)
    mark(flags, (0, 2), 3)
    mark(flags, (), 0)
    assert flags.tolist() == [False, False, False, True, False, True]
