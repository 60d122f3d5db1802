"""The picture of the README is read from the ledger, and refuses to be drawn from half a demo."""

from pathlib import Path
from typing import Any

import pytest

from retrain.ledger import Ledger
from retrain.loop.streams import Kind, dataset_stream, model_stream
from scripts import picture

MONTHS = [f"2013-{month:02d}" for month in range(1, 13)]


def remember(root: Path, months: list[str], *, gates: dict[str, str]) -> None:
    """Write the ledger of a demo in which the months of `gates` were retrained, with that verdict."""
    version = 0
    with Ledger.open(str(root / "ledger.db"), migrate=True) as ledger:
        for name in months:
            key = f"{name}@v1"
            accepted = {"uri": f"file:///elsewhere/store/accepted/flights/{name}/0.parquet"}
            validated = {"rows": 1_000, "quarantined_rows": 10, "accepted": accepted}
            ledger.append(dataset_stream("flights"), Kind.VALIDATED, key, validated)
            met = str(version) if version else None
            watched: dict[str, Any] = {
                "partition": name,
                "drift": {"status": "ok" if met else None, "drivers": [], "champion": met},
                "performance": {"metric": 0.7 if met else None, "champion": met},
            }
            stream = model_stream("flight-delays")
            ledger.append(stream, Kind.WATCHED, key, watched)
            gate = gates.get(name)
            decided = {"retrain": bool(gate), "trigger": "new_data" if gate else None}
            ledger.append(stream, Kind.DECIDED, name, decided)
            if gate:
                ledger.append(stream, Kind.JUDGED, name, {"verdict": {"status": gate}})
            if gate == "pass":
                version += 1
                promoted = {"version": str(version), "model_uri": f"models:/m-{version}"}
                ledger.append(stream, Kind.PROMOTED, name, promoted)


def test_each_month_has_what_happened_between_it_and_the_next(tmp_path: Path) -> None:
    remember(tmp_path, MONTHS, gates={"2013-02": "pass", "2013-05": "fail", "2013-08": "pass"})
    year = picture.read_year(tmp_path)
    assert [month.name for month in year.months] == MONTHS
    assert {month.name: month.gate for month in year.months if month.gate} == {
        "2013-02": "pass",
        "2013-05": "fail",
        "2013-08": "pass",
    }
    assert [month.champion for month in year.months] == [""] + ["1"] * 6 + ["2"] * 5
    assert year.months[1].fresh is None
    assert year.months[2].fresh == 0.7
    assert year.first_model == "models:/m-1"


def test_a_month_that_asked_twice_shows_the_decision_to_retrain(tmp_path: Path) -> None:
    remember(tmp_path, MONTHS, gates={"2013-02": "pass"})
    with Ledger.open(str(tmp_path / "ledger.db")) as ledger:
        ledger.append(model_stream("flight-delays"), Kind.DECIDED, "sweep", {"retrain": True, "trigger": "decay"})
        ledger.append(model_stream("flight-delays"), Kind.DECIDED, "later", {"retrain": False, "trigger": None})
    last = picture.read_year(tmp_path).months[-1]
    assert (last.decision, last.trigger) == ("retrain", "decay")


def test_no_demo_is_an_error_that_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(picture.NoDemoError, match=r"no demo in .*make demo-once"):
        picture.read_year(tmp_path)


def test_an_unfinished_demo_is_refused(tmp_path: Path) -> None:
    remember(tmp_path, MONTHS[:5], gates={"2013-02": "pass"})
    with pytest.raises(picture.NoDemoError, match="after 5 of 12 months"):
        picture.read_year(tmp_path)


def test_a_demo_without_its_model_is_refused(tmp_path: Path) -> None:
    remember(tmp_path, MONTHS, gates={"2013-02": "pass"})
    with pytest.raises(picture.NoDemoError, match="m-1 is not among"):
        picture.score_first_model(picture.read_year(tmp_path))


def test_the_table_has_a_row_for_each_month_and_the_mean_of_those_measured(tmp_path: Path) -> None:
    remember(tmp_path, MONTHS, gates={"2013-02": "pass"})
    months = picture.read_year(tmp_path).months
    for month in months[2:]:
        month.stale = 0.6
    lines = picture.table(months).splitlines()
    assert len(lines) == 2 + 12 + 1
    assert lines[3] == "| 2013-02 | 1,000 | 10 | - | retrain (new_data) | pass | v1 | - | - |"
    assert lines[4].endswith("| ok | no | - | v1 | 0.7000 | 0.6000 |")
    assert lines[-1].endswith("| 0.7000 | 0.6000 |")


def test_the_picture_is_a_small_png(tmp_path: Path) -> None:
    remember(tmp_path, MONTHS, gates={"2013-02": "pass", "2013-05": "fail"})
    months = picture.read_year(tmp_path).months
    for month in months[2:]:
        month.stale = 0.65
    target = tmp_path / "images" / "year.png"
    picture.draw(months, target)
    assert target.read_bytes().startswith(b"\x89PNG")
    assert target.stat().st_size < 150_000
