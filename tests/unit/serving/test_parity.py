import pytest

from retrain.records import GateStatus
from retrain.serving.parity import differences, judge_parity
from retrain.serving.verdict import Parity

INSTALLED = {"numpy": "2.1.3", "Scikit_Learn": "1.6.0", "pandas": "3.0.1"}


@pytest.mark.parametrize(
    ("line", "parity", "broken", "noted"),
    [
        ("numpy==2.1.3", "exact", False, False),
        ("numpy==2.1.2", "exact", True, False),
        ("numpy==2.1.2", "minor", False, True),
        ("numpy==2.0.3", "minor", True, False),
        ("numpy>=2.2", "minor", True, False),
        ("numpy>=2", "exact", False, False),
        ("scikit-learn==1.6.0", "exact", False, False),
        ("torch==2.0.0", "minor", True, False),
        ("torch==2.0.0; sys_platform == 'plan9'", "exact", False, False),
        ("--index-url somewhere", "exact", False, False),
        ("numpy==2.1.3 \\", "exact", False, False),
        ("numpy==2.1.3  # why", "exact", False, False),
    ],
)
def test_a_requirement_holds_breaks_or_merely_differs(line, parity, broken, noted):
    found = differences([line], INSTALLED, parity=Parity(parity))
    assert tuple(map(bool, found)) == (broken, noted)


@pytest.mark.parametrize(
    ("running", "parity", "status"),
    [("3.11.7", "exact", "pass"), ("3.11.9", "exact", "fail"), ("3.11.9", "minor", "pass"), ("3.12.1", "minor", "fail"),
     ("3.12.1", "ignore", "pass")],
)  # fmt: skip
def test_python_is_part_of_the_environment(running, parity, status):
    check, packages = judge_parity([], "3.11.7", INSTALLED, running, Parity(parity))
    assert check.status is GateStatus(status)
    assert ("python" in packages) == (running != "3.11.7")
