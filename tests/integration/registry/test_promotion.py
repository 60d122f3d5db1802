"""Promotion with a real registry and a real ledger."""

import json
import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from click.testing import CliRunner

from retrain.cli.registry import command
from retrain.exceptions import ConnectionConfigError, PromotionRefusedError, RegistryUnavailableError
from retrain.ledger import Ledger
from retrain.records import GateStatus, Verdict
from retrain.registry import RegistryClient, champion, credentials, promote, promotions, reconcile
from scripts.services.mlflow import MlflowServer
from scripts.services.processes import free_port

pytestmark = [
    pytest.mark.integration,
    # MLflow warns about type hints of its own when it is imported.
    pytest.mark.filterwarnings("ignore:.*Any type hint is inferred as AnyType:UserWarning"),
]
PASS = Verdict(GateStatus.PASS, "roc_auc", "non_inferior", ("not worse",), 1000)
FAIL = Verdict(GateStatus.FAIL, "roc_auc", "non_inferior", ("worse by 0.1",), 1000)
UNSURE = Verdict(GateStatus.INCONCLUSIVE, "roc_auc", "non_inferior", ("too few rows",), 10)


@pytest.fixture
def ledger_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'ledger.db'}"


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    with Ledger.open(ledger_url, migrate=True) as opened:
        yield opened


@pytest.fixture
def registry(mlflow: MlflowServer) -> RegistryClient:
    return RegistryClient(mlflow.uri)


@pytest.fixture
def model(registry: RegistryClient, request: pytest.FixtureRequest) -> str:
    """A registered model with four versions."""
    name = request.node.name
    client = registry.mlflow
    client.create_registered_model(name)
    run = client.create_run("0")
    for number in range(1, 5):
        client.create_model_version(
            name,
            f"{run.info.artifact_uri}/{number}",
            run_id=run.info.run_id,
            tags={"retrain.model_uri": f"models:/m-{number}"},
        )
    return name


def test_aliases_follow_the_ledger(ledger: Ledger, registry: RegistryClient, model: str) -> None:
    first = promote(ledger, registry, model, "1", expected=None, actor="dag", reason="first", verdict=PASS)
    assert first.created
    assert registry.aliases(model) == {"champion": "1"}
    second = promote(
        ledger, registry, model, "2", expected="1", actor="dag", reason="better", verdict=PASS, evidence={"metric": 0.9}
    )
    assert registry.aliases(model) == {"champion": "2", "previous": "1"}
    assert (second.champion.previous, second.champion.model_uri) == ("1", "models:/m-2")
    assert second.champion.evidence == {"metric": 0.9}
    assert champion(ledger, model) == second.champion
    assert ledger.verify().ok


def test_repeat_is_a_no_op_and_a_version_may_come_back_after_another(
    ledger: Ledger, registry: RegistryClient, model: str
) -> None:
    for version, expected in (("1", None), ("1", None), ("2", "1"), ("2", "1"), ("1", "2")):
        promote(ledger, registry, model, version, expected=expected, actor="dag", reason="", verdict=PASS)
    assert [change.version for change in promotions(ledger, model)] == ["1", "2", "1"]
    assert registry.aliases(model) == {"champion": "1", "previous": "2"}


def test_one_demand_promotes_once_even_after_a_rollback(ledger: Ledger, registry: RegistryClient, model: str) -> None:
    promote(ledger, registry, model, "1", expected=None, actor="dag", reason="", verdict=PASS)

    def demand() -> bool:
        return promote(
            ledger, registry, model, "2", expected="1", actor="dag", reason="", verdict=PASS, request="run-7"
        ).created

    assert demand()
    ledger.append(f"model:{model}", "rolled_back", "1@2", {"version": "1", "previous": "2"})
    assert not demand()
    assert registry.aliases(model) == {"champion": "1", "previous": "2"}


def test_claim_is_completed_with_the_promotion_and_by_its_repeat(
    ledger: Ledger, registry: RegistryClient, model: str
) -> None:
    for work in ("train/1", "train/1 again"):
        claim = ledger.claim(work, "task", lease_seconds=60)
        assert claim is not None
        promote(ledger, registry, model, "1", expected=None, actor="dag", reason="", verdict=PASS, claim=claim)
        assert ledger.claim(work, "another", lease_seconds=60) is None
    assert len(list(promotions(ledger, model))) == 1


@pytest.mark.parametrize("verdict", [FAIL, UNSURE, None])
def test_only_a_pass_or_a_person_promotes(
    ledger: Ledger, registry: RegistryClient, model: str, verdict: Verdict | None
) -> None:
    with pytest.raises(PromotionRefusedError, match="may not be promoted"):
        promote(ledger, registry, model, "1", expected=None, actor="dag", reason="", verdict=verdict)
    assert champion(ledger, model) is None
    assert registry.aliases(model) == {}
    made = promote(
        ledger, registry, model, "1", expected=None, actor="dag", reason="", verdict=verdict, approved_by="alice"
    )
    assert made.champion.approved_by == "alice"


def test_verdict_against_another_champion_and_unknown_version_are_refused(
    ledger: Ledger, registry: RegistryClient, model: str
) -> None:
    promote(ledger, registry, model, "1", expected=None, actor="dag", reason="", verdict=PASS)
    with pytest.raises(PromotionRefusedError, match="judged against no champion, but the champion is version 1"):
        promote(ledger, registry, model, "2", expected=None, actor="dag", reason="", verdict=PASS)
    with pytest.raises(PromotionRefusedError, match="no version 99"):
        promote(ledger, registry, model, "99", expected="1", actor="dag", reason="", verdict=PASS)


def test_of_promotions_at_once_one_wins_and_the_others_are_refused(
    ledger: Ledger, ledger_url: str, registry: RegistryClient, model: str
) -> None:
    promote(ledger, registry, model, "1", expected=None, actor="dag", reason="", verdict=PASS)

    def attempt(version: str) -> str:
        with Ledger.open(ledger_url) as own:
            try:
                promote(own, registry, model, version, expected="1", actor="dag", reason="", verdict=PASS)
            except PromotionRefusedError:
                return "refused"
        return version

    with ThreadPoolExecutor(6) as pool:
        results = list(pool.map(attempt, ["2", "3", "4"] * 2))
    winners = set(results) - {"refused"}
    assert len(winners) == 1
    assert [change.version for change in promotions(ledger, model)] == ["1", *winners]
    assert registry.aliases(model) == {"champion": winners.pop(), "previous": "1"}


def _promote_and_die(ledger_url: str, server: MlflowServer, model: str) -> None:
    import os
    import signal

    import retrain.registry.promotion as promotion

    promotion.reconcile = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
    with credentials(server.username, server.password), Ledger.open(ledger_url) as ledger:
        client = RegistryClient(server.uri)
        promotion.promote(ledger, client, model, "2", expected="1", actor="dag", reason="", verdict=PASS)


def test_promotion_that_is_killed_before_the_alias_is_finished_by_reconciling(
    ledger: Ledger, ledger_url: str, registry: RegistryClient, model: str, mlflow: MlflowServer
) -> None:
    promote(ledger, registry, model, "1", expected=None, actor="dag", reason="", verdict=PASS)
    child = multiprocessing.get_context("spawn").Process(target=_promote_and_die, args=(ledger_url, mlflow, model))
    child.start()
    child.join()
    assert child.exitcode == -9
    assert registry.aliases(model) == {"champion": "1"}
    aliases = reconcile(ledger, registry, model)
    assert (aliases.champion, aliases.previous, set(aliases.changed)) == ("2", "1", {"champion", "previous"})
    assert registry.aliases(model) == {"champion": "2", "previous": "1"}
    assert reconcile(ledger, registry, model).changed == ()
    again = promote(ledger, registry, model, "2", expected="1", actor="dag", reason="", verdict=PASS)
    assert not again.created
    assert ledger.verify().ok


def test_alias_that_was_moved_by_hand_is_set_back(ledger: Ledger, registry: RegistryClient, model: str) -> None:
    promote(ledger, registry, model, "1", expected=None, actor="dag", reason="", verdict=PASS)
    registry.set_alias(model, "champion", "4")
    registry.set_alias(model, "previous", "3")
    reconcile(ledger, registry, model)
    assert registry.aliases(model) == {"champion": "1"}


def test_champion_that_was_deleted_from_mlflow_is_an_error_that_names_it(
    ledger: Ledger, registry: RegistryClient, model: str
) -> None:
    promote(ledger, registry, model, "1", expected=None, actor="dag", reason="", verdict=PASS)
    registry.mlflow.delete_model_version(model, "1")
    with pytest.raises(PromotionRefusedError, match=r"version 1 .* is champion, but MLflow has no such version"):
        reconcile(ledger, registry, model)


def test_dead_server_and_wrong_password_leave_the_ledger_as_it_was(ledger: Ledger, mlflow_server: MlflowServer) -> None:
    dead = RegistryClient(f"http://127.0.0.1:{free_port()}")
    with pytest.raises(RegistryUnavailableError):
        promote(ledger, dead, "m", "1", expected=None, actor="dag", reason="", verdict=PASS)
    with credentials("admin", "a wrong password"), pytest.raises(ConnectionConfigError):
        promote(
            ledger, RegistryClient(mlflow_server.uri), "m", "1", expected=None, actor="dag", reason="", verdict=PASS
        )
    assert ledger.streams() == ()


def test_command_line_promotes_shows_and_reconciles(
    ledger: Ledger, ledger_url: str, mlflow: MlflowServer, model: str
) -> None:
    where = ["--ledger", ledger_url]
    both = [*where, "--tracking-uri", mlflow.uri]

    def run(*arguments: str) -> str:
        result = CliRunner().invoke(command, arguments, catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.output

    assert CliRunner().invoke(command, ["champion", model, *where]).exit_code == 1
    assert f"no version of {model} was ever promoted" in run("history", model, *where)
    by_hand = ["promote", model, "3", "--reason", "by hand", "--actor", "alice", *both]
    refused = CliRunner().invoke(command, by_hand)
    assert "version 3 of" in str(refused.exception)
    assert "does not serve: artifact: the artifact of models:/m-3 cannot be read" in str(refused.exception)
    assert champion(ledger, model) is None
    assert "is now champion" in run(*by_hand, "--unchecked")
    assert "was already champion" in run("promote", model, "3", "--reason", "by hand", *both)
    assert json.loads(run("champion", model, "--json", *where))["approved_by"] == "alice"
    assert [change["version"] for change in json.loads(run("history", model, "--json", *where))] == ["3"]
    assert "by hand" in run("history", model, *where).replace("\n", " ")
    assert "nothing to do" in run("reconcile", model, *both)
