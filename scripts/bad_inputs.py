"""Take every bad input in as the loop does and print, as a Markdown table, what came of each.

python -m scripts.bad_inputs > docs/bad-inputs.md
"""

# ruff: noqa: E501 - lines of a Markdown table cannot be broken
import logging
import sys
import tempfile
from pathlib import Path

from retrain.ledger import Ledger
from tests.support.bad_inputs import CASES, Case, WayIn

HEAD = """# Bad inputs

What the way in makes of each, as `python -m scripts.bad_inputs` prints it. A good month of the same format was taken in
before; the suite demands ids that are there and unique, amounts and dates in a range (critical), and more than one shop
(warning). "Set aside" counts rows in quarantine; a partition that fails is set aside whole, where it could be read.

| input | verdict | rows | set aside | what failed, and why |
|---|---|---|---|---|
"""

TAIL = """
What is not about the content of one object:

| input | what comes of it |
|---|---|
| an object deleted or replaced between listing and reading | `fail`, `readable`, with the reason; when it is back it arrives as the next version |
| an object that may not be read | it is named in the log of `discover` and left to the next discovery; the others are registered. If the right is lost later, the task of that partition fails and says so |
| a store that is down, or refuses the credentials | the task is tried again by Airflow; the watcher logs it and goes on looking; nothing is written |
| a partition called `a b`, `größe`, `{{ ds }}`, `100%`, `a#b` | a name like any other |
| a partition called `..`, with a slash, a backslash or a control character | passed over, and named in the log; nothing is ever written outside the store |
| labels that repeat a key, lack a column or have a key of another type | the partition stays unlabelled; the reason is in the `labelled` event |
"""


def main() -> None:
    """Print the page."""
    logging.disable(logging.WARNING)
    sys.stdout.write(HEAD + "".join(map(row, CASES)) + TAIL)


def row(case: Case) -> str:
    """Take one bad input in and return its line of the table."""
    with tempfile.TemporaryDirectory() as folder, Ledger.open(f"sqlite:///{folder}/ledger.db", migrate=True) as ledger:
        way_in = WayIn(Path(folder), ledger)
        way_in.seed(case.file.removeprefix("2024-02"))
        way_in.land(case.file, case.content())
        verdict = way_in.take_in()["2024-02@v1"]
        failures = [f"`{one['expectation']}` {reason(one, folder)}" for one in verdict["failures"][:3]]
        more = len(verdict["failures"]) - len(failures)
        words = "; ".join(failures) + (f"; and {more} more" if more > 0 else "")
        return f"| {case.name} | {verdict['status']} | {verdict['rows']} | {verdict['quarantined_rows']} | {words} |\n"


def reason(failure: dict, folder: str) -> str:
    """Return a failure's reason, short enough for a table and free of this machine's paths."""
    text = failure["reason"].replace(f"file://{folder}/feed/", "").replace("|", "\\|").replace("\n", " ")
    text = f"{failure['column']}: {text}" if failure["column"] else text
    return text if len(text) <= 160 else text[:157] + "..."


if __name__ == "__main__":
    main()
