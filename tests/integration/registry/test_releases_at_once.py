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


def _release(url: str, server: MlflowServer, model: str, round_: int, what: str, barrier: Any, answers: Any) -> None:
    with credentials(server.username, server.password), Ledger.open(url) as ledger:
        client = RegistryClient(server.uri)
        client.check()
        barrier.wait(60)
        try:
            if what == "back":
                roll_back(ledger, client, model, Demand(f"back-{round_}", "bo", "wrong prices"))
            else:
                promote(ledger, client, model, what, expected="2", actor="dag", reason="", verdict=PASS)
            answers.put((what, "done"))
        except PromotionRefusedError as error:
            answers.put((what, str(error)))


@pytest.mark.parametrize("pair", [("3", "4"), ("3", "back")])
def test_of_two_one_wins_and_the_other_is_told(
    ledger: Ledger, postgres_database: str, mlflow: MlflowServer, request: pytest.FixtureRequest, pair: tuple[str, str]
) -> None:
    spawn = multiprocessing.get_context("spawn")
    client = RegistryClient(mlflow.uri)
    winners = set()
    for round_ in range(ROUNDS):
        model = f"{'-'.join(pair)}-{round_}"
        client.mlflow.create_registered_model(model)
        run = client.mlflow.create_run("0")
        for number in range(1, 5):
            client.mlflow.create_model_version(model, f"{run.info.artifact_uri}/{number}", run_id=run.info.run_id)
        for version, before in (("1", None), ("2", "1")):
            promote(ledger, client, model, version, expected=before, actor="dag", reason="", verdict=PASS)
        barrier, answers = spawn.Barrier(2), spawn.Queue()
        both = [
            spawn.Process(target=_release, args=(postgres_database, mlflow, model, round_, what, barrier, answers))
            for what in pair
        ]
        for process in both:
            process.start()
        told = dict(answers.get(timeout=120) for _ in both)
        for process in both:
            process.join()
        history = [change.version for change in promotions(ledger, model)]
        done = [what for what, answer in told.items() if answer == "done"]
        current = champion(ledger, model)
        assert current is not None
        assert client.aliases(model)["champion"] == current.version
        if pair[1] == "back" and len(done) == 2:
            # Promoted, and then gone back from: one after the other, and both know it.
            assert history == ["1", "2", "3", "2"]
        else:
            (winner,) = done
            winners.add(winner)
            (refused,) = [answer for answer in told.values() if answer != "done"]
            assert f"the champion is version {current.version}" in refused
            assert history == ["1", "2", "1" if winner == "back" else winner]
    assert ledger.verify().ok
