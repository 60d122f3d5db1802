"""The worked example in a real Airflow: months land, and the ledger, MLflow and Airflow tell the same story."""

import base64
import json
import os
from collections import Counter
from typing import Any

import pytest

from include.flights import landing
from retrain.ledger import ClaimState
from retrain.loop.streams import Kind
from scripts.demo.year import Month, Year
from scripts.services.airflow import RefusedError
from tests.system.world import World

MODEL, DATASET = "flight-delays", "flights"
DAGS = (f"{MODEL}.data", f"{MODEL}.train", f"{MODEL}.rollback")
MONTHS = landing.MONTHS[:4]
# What is small enough for XCom is bytes to a few kilobytes; a month of flights is half a megabyte.
XCOM_BYTES = 16_000


@pytest.fixture(scope="module")
def year(world: World) -> list[Month]:
    """The first four months, landed one after another, each when the loop was done with the one before."""
    world.airflow.unpause(*DAGS)
    months = list(Year(world.ledger, world.settings.flights, MONTHS).land())
    world.wait("the runs to end", lambda: world.quiet(MODEL))
    return months


@pytest.fixture(scope="module")
def by_hand(world: World, year: list[Month]) -> str:
    """The id of a training that a person asked for in the form."""
    conf = {"reason": "the spring timetable", "params": {"max_iter": 60}}
    return world.run(f"{MODEL}.train", conf)


@pytest.fixture
def version(world: World, year: list[Month]) -> dict[str, Any]:
    """The first registered version, as MLflow tells it."""
    return world.versions(MODEL)[0]


class TestTheYear:
    def test_each_partition_arrives_and_is_validated_and_watched_exactly_once(self, world: World, year) -> None:
        for kind in (Kind.ARRIVED, Kind.VALIDATED):
            events = world.dataset_events(DATASET, kind)
            assert Counter(event.payload["partition"] for event in events) == dict.fromkeys(MONTHS, 1)
        watched = world.events(MODEL, Kind.WATCHED)
        assert [event.payload["partition"] for event in watched] == list(MONTHS)

    def test_flights_that_never_arrived_are_counted_as_quarantined(self, world: World, year) -> None:
        for event in world.dataset_events(DATASET, Kind.VALIDATED):
            flights = landing.month(event.payload["partition"])
            assert event.payload["rows"] == len(flights)
            assert event.payload["quarantined_rows"] >= flights["late"].isna().sum() > 0
            assert event.payload["accepted"]["rows"] == len(flights) - event.payload["quarantined_rows"]

    def test_the_second_month_makes_the_first_champion(self, world: World, year) -> None:
        first = world.events(MODEL, Kind.PROMOTED)[0]
        assert first.payload["version"] == "1"
        assert first.payload["verdict"]["cold_start"]
        assert first.payload["evidence"]["partitions"] == ["2013-01"]
        assert first.payload["evidence"]["holdout"] == ["2013-02@v1"]
        before = [event.payload for event in world.events(MODEL) if event.sequence < first.sequence]
        assert "2013-03" not in json.dumps(before)

    def test_each_month_is_decided_upon_with_reasons_also_when_the_answer_is_no(self, world: World, year) -> None:
        decisions = world.events(MODEL, Kind.DECIDED)
        assert all(event.payload["reasons"] for event in decisions)
        answers = {event.payload["retrain"] for event in decisions}
        assert answers == {True, False}
        assert len(decisions) >= len(MONTHS)

    def test_the_champion_is_watched_on_every_month_after_its_promotion(self, world: World, year) -> None:
        watched = {event.payload["partition"]: event.payload for event in world.events(MODEL, Kind.WATCHED)}
        for month in ("2013-03", "2013-04"):
            assert watched[month]["drift"]["status"] in ("ok", "drift", "inconclusive")
            assert 0.5 < watched[month]["performance"]["metric"] < 0.8
        assert watched["2013-01"]["drift"]["status"] is None

    def test_the_chain_verifies_and_no_claim_is_left(self, world: World, year) -> None:
        assert world.ledger.verify().ok
        assert not world.ledger.claims(prefix=f"model:{MODEL}/", state=ClaimState.HELD)
        assert not world.ledger.claims(prefix=f"dataset:{DATASET}/", state=ClaimState.HELD)

    def test_mlflow_shows_the_champion_of_the_ledger(self, world: World, year) -> None:
        promoted = world.events(MODEL, Kind.PROMOTED)[-1].payload
        assert world.aliases(MODEL)["champion"] == promoted["version"]
        assert world.aliases(MODEL).get("previous") == promoted["previous"]

    def test_no_run_failed(self, world: World, year) -> None:
        runs = [run for dag in DAGS for run in world.airflow.runs(dag)]
        assert runs
        # One may be going on: the hourly sweep asks nobody when it comes.
        assert {run["state"] for run in runs} <= {"success", "queued", "running"}

    def test_xcom_carries_references_and_no_data(self, world: World, year) -> None:
        seen = 0
        for dag in DAGS:
            for run in world.airflow.runs(dag):
                base = f"/dags/{dag}/dagRuns/{run['dag_run_id']}"
                for entry in world.airflow.call("GET", f"{base}/taskInstances/~/xcomEntries?limit=100")["xcom_entries"]:
                    path = f"{base}/taskInstances/{entry['task_id']}/xcomEntries/{entry['key']}"
                    value = world.airflow.call("GET", f"{path}?map_index={entry['map_index']}")["value"]
                    assert len(json.dumps(value)) < XCOM_BYTES, path
                    seen += 1
        assert seen > len(MONTHS) * 3


class TestTheRegisteredVersion:
    def test_it_names_partitions_code_snapshot_and_verdict(self, version: dict[str, Any]) -> None:
        tags = version["tags"]
        assert json.loads(tags["retrain.partitions"]) == ["2013-01@v1"]
        assert tags["retrain.code"].startswith("sha256:")
        assert tags["retrain.snapshot"].startswith("sha256:")
        assert tags["retrain.gate"] == "pass"

    def test_its_run_has_the_data_sets_and_where_it_came_from(self, world: World, version: dict[str, Any]) -> None:
        run = world.mlflow(f"runs/get?run_id={version['run_id']}")["run"]
        assert run["info"]["status"] == "FINISHED"
        assert {one["dataset"]["name"] for one in run["inputs"]["dataset_inputs"]} == {
            "flights/2013-01@v1", "flights/2013-02 (hold-out)"
        }  # fmt: skip
        tags = {tag["key"]: tag["value"] for tag in run["data"]["tags"]}
        assert tags["retrain.origin.dag_id"] == f"{MODEL}.train"
        assert tags["retrain.code"] == version["tags"]["retrain.code"]

    def test_it_was_tried_before_it_was_judged(self, world: World, version: dict[str, Any]) -> None:
        (judged,) = [
            event.payload
            for event in world.ledger.events(f"model:{MODEL}", kinds=["judged"])
            if event.payload["version"] == version["version"]
        ]
        assert judged["serving"]["status"] == "pass"
        assert len(judged["serving"]["digest"]) == 64
        assert judged["verdict"]["conditions"][-1]["name"] == "serving check"

    def test_its_model_has_a_signature_and_an_example_that_it_predicts(
        self, world: World, version: dict[str, Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from retrain.registry import credentials
        from retrain.training.tracking import using

        monkeypatch.setenv("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
        with credentials("admin", world.settings.password), using(world.settings.mlflow_url) as mlflow:
            model = mlflow.pyfunc.load_model(f"models:/{MODEL}@champion")
            example = model.input_example
        assert {"carrier", "origin", "dest", "sched_dep"} <= set(model.metadata.signature.inputs.input_names())
        assert len(model.predict(example)) == len(example)


class TestByHand:
    def test_a_person_asks_and_is_recorded(self, world: World, by_hand: str) -> None:
        (asked,) = world.events(MODEL, Kind.REQUESTED)
        assert asked.actor == "admin"
        assert asked.payload == {"reason": "the spring timetable", "params": {"max_iter": 60}}

    def test_the_training_used_the_parameters_of_the_form(self, world: World, by_hand: str) -> None:
        judged = world.events(MODEL, Kind.JUDGED)[-1]
        assert judged.key == f"{MODEL}.train/{by_hand}"
        assert [wish["reason"] for wish in judged.payload["requests"]] == ["the spring timetable"]
        run = world.mlflow(f"runs/get?run_id={judged.payload['run_id']}")["run"]
        assert {param["key"]: param["value"] for param in run["data"]["params"]}["max_iter"] == "60"

    @pytest.mark.parametrize("conf", [{"reason": 7}, {"params": "max_iter=60"}, {"reason": "x" * 501}])
    def test_what_the_form_does_not_allow_is_refused(self, world: World, year, conf: dict[str, Any]) -> None:
        with pytest.raises(RefusedError) as refused:
            world.airflow.trigger(f"{MODEL}.train", conf)
        assert refused.value.status == 400

    def test_a_rollback_wants_a_reason(self, world: World, year) -> None:
        with pytest.raises(RefusedError) as refused:
            world.airflow.trigger(f"{MODEL}.rollback", {})
        assert refused.value.status == 400

    @pytest.mark.parametrize("dag", DAGS)
    def test_whoever_may_only_look_cannot_start_anything(self, world: World, year, dag: str) -> None:
        assert world.viewer.runs(dag) is not None
        with pytest.raises(RefusedError) as refused:
            world.viewer.trigger(dag, {"reason": "curiosity"})
        assert refused.value.status == 403


class TestAfterwards:
    """What changes the past: a corrected file, and a rollback."""

    def test_a_corrected_file_becomes_a_version_of_its_partition(self, world: World, by_hand: str) -> None:
        corrected = landing.month("2013-04").iloc[:-1000]
        hidden = world.settings.flights / ".correction.tmp"
        corrected.to_parquet(hidden, index=False)
        os.replace(hidden, world.settings.flights / "2013-04.parquet")
        validated = world.wait(
            "the correction to be validated",
            lambda: world.ledger.get(f"dataset:{DATASET}", Kind.VALIDATED, "2013-04@v2"),
        )
        assert validated.payload["rows"] == len(corrected)
        world.wait("the runs to end", lambda: world.quiet(MODEL))
        versions = [
            (event.payload["partition"], event.payload["version"])
            for event in world.dataset_events(DATASET, Kind.ARRIVED)
        ]
        assert versions == [*((month, 1) for month in MONTHS), ("2013-04", 2)]
        assert world.ledger.get(f"model:{MODEL}", Kind.WATCHED, "2013-04@v2")

    def test_the_same_bytes_once_more_are_no_news(self, world: World, by_hand: str) -> None:
        before = len(world.dataset_events(DATASET, Kind.ARRIVED))
        runs = len(world.airflow.runs(f"{MODEL}.data"))
        landing.land("2013-01", world.settings.flights)
        world.wait("the loop to look again", lambda: len(world.airflow.runs(f"{MODEL}.data")) > runs)
        world.wait("the runs to end", lambda: world.quiet(MODEL))
        assert len(world.dataset_events(DATASET, Kind.ARRIVED)) == before

    def test_a_rollback_brings_the_champion_before_back(self, world: World, by_hand: str) -> None:
        promoted = world.events(MODEL, Kind.PROMOTED)
        assert [event.payload["version"] for event in promoted] == ["1", "2"], world.events(MODEL, Kind.JUDGED)[-1]
        run = world.run(f"{MODEL}.rollback", {"reason": "complaints from the desk"})
        assert world.state(f"{MODEL}.rollback", run) == "success"
        (back,) = world.events(MODEL, Kind.ROLLED_BACK)
        assert (back.payload["version"], back.payload["previous"]) == ("1", "2")
        assert (back.actor, back.payload["reason"]) == ("admin", "complaints from the desk")
        assert world.aliases(MODEL) == {"champion": "1", "previous": "2"}
        assert world.ledger.verify().ok


def test_passwords_are_in_no_log_and_in_no_event(world: World, by_hand: str) -> None:
    secret = world.settings.password
    forms = [secret, base64.b64encode(f"admin:{secret}".encode()).decode()]
    for path in (world.settings.root / "airflow" / "logs").rglob("*.log"):
        text = path.read_text(errors="replace")
        assert not [form for form in forms if form in text], path
    events = json.dumps([event.payload for event in world.ledger.events()])
    assert not [form for form in forms if form in events]
