"""A secret value of a private (`pii`) column is in no artifact, result, profile, page or log."""

import io
import json
import logging
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner

from retrain.cli.quarantine import command as quarantine_command
from retrain.data import save_snapshot, write_parquet
from retrain.jobs import run_job
from retrain.ledger import Ledger
from retrain.records import DataRef, JobRequest, JobResult, ModelSpec, Snapshot
from retrain.registry import credentials
from retrain.training.tracking import connect
from scripts.services.mlflow import MlflowServer, running_mlflow
from tests.support.project import Project, orders

pytestmark = [
    pytest.mark.integration,
    pytest.mark.filterwarnings("ignore:.*Any type hint is inferred as AnyType:UserWarning"),
    pytest.mark.filterwarnings("ignore:module 'sre_:DeprecationWarning"),
]
# In every value of a private text column, and the first digits of every private number (3.1337e+07, where shortened).
SECRET, NUMBER = "zqxsecret", "31337"
PII = ("email", "salary")
# Of the store: what holds the user's data, and is meant to.
DATA = ("accepted", "quarantine", "released", "labelled")


def expectation(kind: str, column: str, severity: str, **demanded: Any) -> dict[str, Any]:
    return {"type": f"expect_column_{kind}", "kwargs": {"column": column, **demanded}, "severity": severity}


SUITE = {
    "name": "private",
    "expectations": [
        expectation("values_to_match_regex", "email", "critical", regex="^[a-z0-9]+-[0-9]+@example$"),
        expectation("values_to_be_in_set", "email", "warning", value_set=["a"]),
        expectation("values_to_be_unique", "email", "warning"),
        expectation("min_to_be_between", "salary", "info", max_value=5),
        expectation("distinct_values_to_be_in_set", "email", "info", value_set=["a"]),
        expectation("most_common_value_to_be_in_set", "email", "info", value_set=["a"]),
        expectation("max_to_be_between", "salary", "warning", max_value=5),
        expectation("mean_to_be_between", "salary", "info", max_value=5),
    ],
}


def private_orders(rows: int = 300, seed: int = 0, *, broken: int = 3) -> pd.DataFrame:
    """Orders with two private columns; of the first rows the address breaks the suite."""
    frame = orders(rows, seed)
    frame["email"] = [f"{SECRET}-{n % 250}@example" for n in range(rows)]
    frame["salary"] = [float(f"{NUMBER}{n % 250:03}") for n in range(rows)]
    frame.loc[: broken - 1, "email"] = f"{SECRET} without an address"
    return frame


class Place:
    """A store, an MLflow server and a ledger that only this test writes to."""

    def __init__(self, root: Path, project: Project) -> None:
        self.root, self.project = root, project
        self.mlflow: MlflowServer | None = None
        self.store = str(root / "store")
        self.said: list[str] = []
        project.write("suite.json", json.dumps(SUITE))

    def spec(self, **changes: Any) -> ModelSpec:
        fields = {"pii": PII, "margin": 1.0, "expectations": f"{self.project.package}/suite.json", **changes}
        return self.project.spec(**fields)

    def run(self, spec: ModelSpec, *steps: str, **inputs: Any) -> JobResult:
        request = JobRequest(
            steps, spec, self.store, inputs=inputs, tracking_uri=self.mlflow.uri if self.mlflow else None
        )
        result = run_job(request)
        self.said.append(json.dumps(result.to_dict()))
        return result

    def partition(self, name: str, frame: pd.DataFrame) -> DataRef:
        return write_parquet(frame, str(self.root / "feed" / f"{name}.parquet"), partition=name, version=1)

    def accept(self, spec: ModelSpec, ref: DataRef, **inputs: Any) -> tuple[DataRef, dict[str, Any]]:
        steps = ("validate", "profile", "drift", "performance", "report")
        result = self.run(spec, *steps, partition=ref.to_dict(), **inputs)
        assert result.error is None, result.error
        assert result.outputs["validate"]["quarantined_rows"] == 3
        return DataRef.from_dict(result.outputs["validate"]["accepted"]), dict(result.outputs)

    def train(self, spec: ModelSpec, snapshot: Snapshot, holdout: DataRef) -> dict[str, Any]:
        uri = save_snapshot(snapshot, self.store)
        steps = ("train", "serving", "evaluate", "gate", "register")
        result = self.run(spec, *steps, snapshot_uri=uri, holdout=[holdout.to_dict()])
        assert result.error is None, result.error
        return {**result.outputs, "snapshot_uri": uri}

    def leaks(self) -> list[str]:
        """Every place outside the data itself that holds a secret."""
        found = []
        for path in sorted([*Path(self.store).rglob("*"), *(self.root / "mlflow").rglob("*")]):
            inside = path.relative_to(self.root).parts
            if path.is_file() and not (inside[0] == "store" and inside[1] in DATA):
                found += [f"{path.relative_to(self.root)}{part}" for part in leaks_of(path)]
        return found + [f"said: {near(text)}" for text in self.said if holds(text.encode())]


# At the start of a number: in the middle of a digest or behind a point five digits meet by chance.
MARKS = re.compile(rb"%s|(?<![0-9A-Za-z.])(%s|%s)" % tuple(
    re.escape(mark.encode()) for mark in (SECRET, NUMBER, f"{NUMBER[0]}.{NUMBER[1:]}")
))  # fmt: skip


def holds(content: bytes) -> bool:
    wide = any(SECRET.encode(form) in content for form in ("utf-16-le", "utf-32-le"))
    return wide or MARKS.search(content) is not None


def near(text: str) -> str:
    """What stands around the first secret in a text."""
    found = MARKS.search(text.encode())
    at = max(0, found.start() - 100) if found else 0
    return text.encode()[at : at + 200].decode(errors="replace")


def leaks_of(path: Path) -> Iterator[str]:
    content = path.read_bytes()
    if holds(content):
        yield ""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            yield from (f"!{name}" for name in archive.namelist() if holds(archive.read(name)))
    if path.suffix == ".parquet" and holds(pd.read_parquet(path).to_csv().encode()):
        yield " (decoded)"


@pytest.fixture
def place(tmp_path: Path, project: Project) -> Place:
    return Place(tmp_path, project)


@pytest.fixture
def served(place: Place) -> Iterator[Place]:
    with (
        running_mlflow(place.root / "mlflow") as place.mlflow,
        credentials(place.mlflow.username, place.mlflow.password),
    ):
        yield place


def test_the_search_finds_what_it_looks_for(place: Place) -> None:
    frame = private_orders(10)
    write_parquet(frame, f"{place.store}/losses/x.parquet")
    Path(place.store, "x.json").write_text(f'{{"max": {frame["salary"].max()}}}')
    with zipfile.ZipFile(f"{place.store}/x.skops", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("schema.json", frame["email"].iloc[5] * 100)
    assert {text.split("/", 1)[1] for text in place.leaks()} >= {
        "x.json",
        "x.skops!schema.json",
        "losses/x.parquet (decoded)",
    }


def test_a_whole_life_leaves_no_private_value(
    served: Place, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    spec = served.spec()
    with caplog.at_level(logging.DEBUG, "retrain"):
        parts = [
            served.accept(spec, served.partition(f"2024-0{n}", private_orders(seed=n)), champion=None) for n in (1, 2)
        ]
        made = served.train(spec, Snapshot("orders", (parts[0][0],)), parts[1][0])
        champion = {
            "version": str(made["register"]["version"]),
            "model_uri": made["train"]["model_uri"],
            "profile_uri": made["train"]["profile_uri"],
            "losses_uri": made["evaluate"]["losses_uri"],
            "snapshot_uri": made["snapshot_uri"],
            "metric": made["evaluate"]["challenger"],
        }
        moved = private_orders(seed=3).assign(amount=lambda frame: frame["amount"] + 50)
        _, outputs = served.accept(spec, served.partition("2024-03", moved), champion=champion)
    assert outputs["drift"]["status"] == "drift"
    assert outputs["report"]["uri"]
    assert outputs["performance"]["status"]
    served.said += [caplog.text, *capfd.readouterr()]
    run = connect(str(served.mlflow and served.mlflow.uri)).get_run(made["train"]["run_id"])
    assert "retrain.pii_in_model" not in run.data.tags
    assert served.leaks() == []


def test_the_quarantine_lists_no_private_value(place: Place) -> None:
    spec = place.spec()
    ref = place.partition("2024-01", private_orders())
    _, outputs = place.accept(spec, ref, champion=None)
    url = f"sqlite:///{place.root}/ledger.db"
    with Ledger.open(url, migrate=True) as ledger:
        arrived = {"partition": "2024-01", "version": 1, "uri": ref.uri, "digest": ref.digest, "token": "1"}
        ledger.append("dataset:orders", "arrived", "2024-01@v1", arrived)
        ledger.append("dataset:orders", "validated", "2024-01@v1", {**outputs["validate"], **arrived})
    for arguments in (["list"], ["show", "orders", "2024-01"], ["show", "orders", "2024-01", "--json"]):
        result = CliRunner().invoke(quarantine_command, [*arguments, "--ledger", url])
        assert result.exit_code == 0, result.output
        assert "email" in result.output
        place.said.append(result.output)
    assert "•••" in place.said[-1]
    assert place.leaks() == []


def test_a_model_that_learned_private_values_says_so_and_nothing_else_holds_them(
    served: Place, caplog: pytest.LogCaptureFixture
) -> None:
    spec = served.spec(pii=(*PII, "shop"), expectations=None)
    frames = [private_orders(seed=n) for n in (1, 2)]
    refs = [
        served.partition(f"2024-0{n}", frame.assign(shop=frame["shop"].map("{}-zqxsecret".format)))
        for n, frame in enumerate(frames, start=1)
    ]
    made = served.train(spec, Snapshot("orders", (refs[0],)), refs[1])
    run = connect(str(served.mlflow and served.mlflow.uri)).get_run(made["train"]["run_id"])
    assert json.loads(run.data.tags["retrain.pii_in_model"]) == ["shop"]
    assert "holds values of the private columns shop" in caplog.text
    served.said.append(caplog.text)
    leaks = served.leaks()
    assert leaks
    assert all("estimator.skops" in leak for leak in leaks), leaks


FAILURES = {
    "fit": "def fit(data, params):\n    data.raw['email'].astype(float)\n",
    "a crash": "def fit(data, params):\n    raise RuntimeError(str(data.raw.head()))\n",
    "prediction": """
        class Model:
            classes_ = [0, 1]
            def predict(self, features):
                return features["amount"].isna()
            def predict_proba(self, features):
                raise ValueError("shop " + features["shop"].iloc[0])
        def fit(data, params):
            return Model()
    """,
}


@pytest.mark.parametrize("what", FAILURES)
def test_what_the_users_code_says_when_it_fails_is_masked(
    served: Place, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str], what: str
) -> None:
    served.project.write("orders/train.py", FAILURES[what])
    spec = served.spec(pii=(*PII, "shop"), expectations=None)
    frame = private_orders()
    ref = served.partition("2024-01", frame.assign(shop=frame["shop"].map("{}-zqxsecret".format)))
    uri = save_snapshot(Snapshot("orders", (ref,)), served.store)
    result = served.run(spec, "train", snapshot_uri=uri)
    assert result.error is not None
    assert result.error.type == "UserCodeError"
    assert "•••" in result.error.message
    assert "train.py" in str(result.error.traceback)
    served.said += [caplog.text, *capfd.readouterr()]
    assert served.leaks() == []


def test_an_unforeseen_error_is_told_without_what_it_says(
    served: Place, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: Any, **__: Any) -> None:
        raise RuntimeError(f"cannot cope with {SECRET}")

    monkeypatch.setattr("retrain.training.fitting.needed_columns", crash)
    ref = served.partition("2024-01", private_orders())
    uri = save_snapshot(Snapshot("orders", (ref,)), served.store)
    result = served.run(served.spec(), "train", snapshot_uri=uri)
    assert result.error is not None
    assert result.error.message == (
        "train: (its text is withheld, because it may quote values of the columns that are declared as pii)"
    )
    assert "in crash" in str(result.error.traceback)
    served.said.append(caplog.text)
    assert served.leaks() == []


@pytest.mark.parametrize(
    "content",
    [
        f"email,salary,amount,returned\n{SECRET}@x,{NUMBER}1,1,0\n{SECRET}@y,{NUMBER}2\n",
        f"email,salary,amount,returned\n{SECRET}@x,{NUMBER}1,1,0\n{SECRET}@y,{NUMBER}2,1,0,1,1\n",
        f'email,salary,amount,returned\n"{SECRET}@x,{NUMBER}1,1,0\n',
    ],
    ids=["too few", "too many", "open quote"],
)
def test_content_that_cannot_be_parsed_is_not_quoted(
    place: Place, caplog: pytest.LogCaptureFixture, content: str
) -> None:
    path = place.root / "feed" / "2024-01.csv"
    path.parent.mkdir()
    path.write_text(content)
    partition = DataRef(uri=path.as_uri(), format="csv", partition="2024-01", version=1)
    result = place.run(place.spec(expectations=None), "validate", partition=partition.to_dict())
    assert result.error is None, result.error
    place.said.append(caplog.text)
    assert place.leaks() == []
