"""Two schedulers release at once, on a real PostgreSQL and a real MLflow: one wins, the other is told."""

import multiprocessing
from collections.abc import Iterator
from typing import Any

import pytest

from retrain.exceptions import PromotionRefusedError
from retrain.ledger import Ledger
from retrain.loop.release import Demand, roll_back
from retrain.records import GateStatus, Verdict
from retrain.registry import RegistryClient, champion, credentials, promote, promotions
from scripts.services.mlflow import MlflowServer

pytestmark = [
    pytest.mark.integration,
    # MLflow warns about type hints of its own when it is imported.
    pytest.mark.filterwarnings("ignore:.*Any type hint is inferred as AnyType:UserWarning"),
]
PASS = Verdict(GateStatus.PASS, "roc_auc", "non_inferior", ("not worse",), 1000)
ROUNDS = 5


@pytest.fixture
def ledger(postgres_database: str) -> Iterator[Ledger]:
    with Ledger.open(postgres_database, migrate=True) as opened:
        yield opened


def _releases(url: str, server: MlflowServer, models: list[str], what: str, barrier: Any, answers: Any) -> None:
    """One scheduler's side: at the same moment as the other's, model by model."""
    with credentials(server.username, server.password), Ledger.open(url) as ledger:
        client = RegistryClient(server.uri)
        client.check()
        for model in models:
            barrier.wait(120)
            try:
                if what == "back":
                    roll_back(ledger, client, model, Demand("back", "bo", "wrong prices"))
                else:
                    promote(ledger, client, model, what, expected="2", actor="dag", reason="", verdict=PASS)
                answers.put((model, what, "done"))
            except PromotionRefusedError as error:
                answers.put((model, what, str(error)))


@pytest.mark.parametrize("pair", [("3", "4"), ("3", "back")])
def test_of_two_one_wins_and_the_other_is_told(
    ledger: Ledger, postgres_database: str, mlflow: MlflowServer, pair: tuple[str, str]
) -> None:
    client = RegistryClient(mlflow.uri)
    models = [f"{'-'.join(pair)}-{round_}" for round_ in range(ROUNDS)]
    run = client.mlflow.create_run("0")
    for model in models:
        client.mlflow.create_registered_model(model)
        for number in range(1, 5):
            client.mlflow.create_model_version(model, f"{run.info.artifact_uri}/{number}", run_id=run.info.run_id)
        for version, before in (("1", None), ("2", "1")):
            promote(ledger, client, model, version, expected=before, actor="dag", reason="", verdict=PASS)
    spawn = multiprocessing.get_context("spawn")
    barrier, answers = spawn.Barrier(2), spawn.Queue()
    both = [
        spawn.Process(target=_releases, args=(postgres_database, mlflow, models, what, barrier, answers))
        for what in pair
    ]
    for process in both:
        process.start()
    told: dict[str, dict[str, str]] = {model: {} for model in models}
    for _ in range(2 * ROUNDS):
        model, what, answer = answers.get(timeout=240)
        told[model][what] = answer
    for process in both:
        process.join()
    for model in models:
        _assert_one_won(ledger, client, model, told[model])
    assert ledger.verify().ok


def _assert_one_won(ledger: Ledger, client: RegistryClient, model: str, told: dict[str, str]) -> None:
    history = [change.version for change in promotions(ledger, model)]
    done = [what for what, answer in told.items() if answer == "done"]
    current = champion(ledger, model)
    assert current is not None
    assert client.aliases(model)["champion"] == current.version
    if len(done) == 2:
        # Promoted, and then gone back from: one after the other, and both know it.
        assert "back" in told
        assert history == ["1", "2", "3", "2"]
        return
    (winner,) = done
    (refused,) = [answer for answer in told.values() if answer != "done"]
    assert f"the champion is version {current.version}" in refused
    assert history == ["1", "2", "1" if winner == "back" else winner]
