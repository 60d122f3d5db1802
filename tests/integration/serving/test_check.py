"""The serving check with real models, in real processes and behind MLflow's real scoring server."""

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
import pytest

from retrain.exceptions import ConfigurationError, DataError, RegistryUnavailableError
from retrain.records import GateStatus
from retrain.registry import credentials
from retrain.serving import Limits, Parity, ServingVerdict, check
from retrain.training import load_model, train
from scripts.services.mlflow import MlflowServer
from scripts.services.processes import free_port
from tests.support.hostile_models import EXAMPLE, living, save
from tests.support.project import Project, orders

pytestmark = [
    pytest.mark.integration,
    pytest.mark.filterwarnings("ignore:.*Any type hint is inferred as AnyType:UserWarning"),
]
PASS, FAIL, INCONCLUSIVE = GateStatus.PASS, GateStatus.FAIL, GateStatus.INCONCLUSIVE
MODES = ("process", "scoring_server")
QUICK = Limits(calls=5)


def _status(verdict: ServingVerdict, name: str) -> GateStatus | None:
    found = verdict.check(name)
    return None if found is None else found.status


def _alive(marker: Path) -> bool:
    """Whether the process that wrote its number there still runs."""
    return living(int(marker.read_text()))


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("good") / "model")


class TestRealModel:
    @pytest.mark.parametrize("mode", MODES)
    def test_passes_and_answers_as_in_the_evaluation(
        self, mlflow: MlflowServer, project: Project, tmp_path: Path, mode: str
    ) -> None:
        outcome = train(
            project.spec(), project.snapshot("2024-01"), tracking_uri=mlflow.uri, store=str(tmp_path / "store")
        )
        rows = orders(40, seed=9)
        model = load_model(outcome.model_uri, tracking_uri=mlflow.uri)
        expected = model.predict(
            rows.assign(items=rows["items"].astype(float), refunded=rows["refunded"].astype(float))
        )
        verdict = check(
            outcome.model_uri,
            mode=mode,
            tracking_uri=mlflow.uri,
            requests=rows,
            expected=expected,
            champion=expected.assign(prediction=1 - expected["prediction"]),
            limits=QUICK,
        )
        assert verdict.status is PASS, verdict.reasons
        assert _status(verdict, "same answers") is PASS
        assert verdict.check("champion replay").value == 1.0
        assert verdict.requests == 5
        assert verdict.model_bytes > 1000
        assert verdict.memory_bytes > 50_000_000
        assert mlflow.password not in str(verdict.to_dict())
        assert ServingVerdict.from_dict(verdict.to_dict()).to_dict() == verdict.to_dict()

    def test_mlflow_that_does_not_answer_is_no_verdict(self) -> None:
        with credentials("someone", "something"), pytest.raises(RegistryUnavailableError):
            check("models:/m-1", tracking_uri=f"http://127.0.0.1:{free_port()}")

    def test_a_model_that_is_not_there_is_no_verdict(self, mlflow: MlflowServer, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="cannot be read"):
            check("models:/nobody/1", tracking_uri=mlflow.uri)
        with pytest.raises(DataError, match="no MLmodel"):
            check(str(tmp_path))


class Hanging:
    """Models that hang where they are loaded and where they are asked, each checked in both modes.

    The checks wait beside each other, not one after another: their limits are generous, for a machine may be busy.
    """

    def __init__(self, folder: Path, pool: ThreadPoolExecutor) -> None:
        self.markers = {mode: [folder / f"{mode} {name}" for name in ("group", "session")] for mode in MODES}
        loads = {mode: save(folder / f"load_{mode}", load=self._leaves_children(mode)) for mode in MODES}
        asked = save(folder / "request", predict="print('it begins')\ntime.sleep(600)")
        slow, late = Limits(load_seconds=60, calls=5), Limits(total_seconds=90, calls=5)
        self.on_load = {mode: pool.submit(self._timed, loads[mode], mode, slow) for mode in MODES}
        self.on_a_request = {mode: pool.submit(self._timed, asked, mode, late) for mode in MODES}

    def _leaves_children(self, mode: str) -> str:
        markers = list(map(str, self.markers[mode]))
        return f"""
            import subprocess
            for path, away in (({markers[0]!r}, False), ({markers[1]!r}, True)):
                child = subprocess.Popen(["sleep", "600"], start_new_session=away)
                open(path, "w").write(str(child.pid))
            time.sleep(600)
            """

    @staticmethod
    def _timed(model: Path, mode: str, limits: Limits) -> tuple[ServingVerdict, float]:
        started = time.monotonic()
        return check(str(model), mode=mode, limits=limits), time.monotonic() - started


@pytest.fixture(scope="module")
def hanging(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hanging]:
    with ThreadPoolExecutor() as pool:
        yield Hanging(tmp_path_factory.mktemp("hanging"), pool)


@pytest.mark.parametrize("mode", MODES)
class TestHostileModel:
    def test_hanging_on_load_is_killed_with_its_children(self, hanging: Hanging, mode: str) -> None:
        verdict, seconds = hanging.on_load[mode].result()
        assert verdict.status is FAIL
        assert "did not load within 60 s" in verdict.check("load").reason
        assert seconds < 200
        assert not any(_alive(marker) for marker in hanging.markers[mode])

    def test_hanging_on_a_request_is_killed(self, hanging: Hanging, mode: str) -> None:
        verdict, _ = hanging.on_a_request[mode].result()
        assert verdict.status is FAIL
        assert _status(verdict, "load") is PASS
        assert "predicting example" in verdict.check("requests").reason
        assert "it begins" in verdict.output

    def test_printing_its_environment_fails_and_is_not_shown(self, tmp_path: Path, mode: str) -> None:
        model = save(tmp_path / "model", load="print(dict(os.environ), flush=True)")
        verdict = check(str(model), mode=mode, limits=QUICK, secrets={"STORE_KEY": "hunter2-hunter2"})
        assert verdict.status is FAIL
        assert "STORE_KEY" in verdict.check("secrets").reason
        assert "hunter2" not in str(verdict.to_dict())
        bare = check(str(model), mode=mode, limits=QUICK)
        assert "prints or answers its environment" in bare.check("secrets").reason

    def test_answering_nan_fails(self, tmp_path: Path, mode: str) -> None:
        model = save(tmp_path / "model", predict="model_input = model_input.where(model_input['x'] != 2)")
        verdict = check(str(model), mode=mode, limits=QUICK)
        assert verdict.status is FAIL
        assert "1 of 3 answers to the input example are NaN" in verdict.check("finite").reason

    def test_a_missing_package_is_named(self, tmp_path: Path, mode: str) -> None:
        model = save(tmp_path / "model", load="import not_there_at_all", requirements=("not-there-at-all==1.0",))
        verdict = check(str(model), mode=mode, limits=QUICK)
        assert verdict.status is FAIL
        assert "needs the package 'not_there_at_all'" in verdict.check("load").reason
        assert "not-there-at-all" in verdict.check("parity").reason

    def test_too_much_memory_is_stopped(self, tmp_path: Path, mode: str) -> None:
        model = save(tmp_path / "model", load="self.hog = bytearray(os.urandom(1) * 3_000_000_000); time.sleep(60)")
        verdict = check(str(model), mode=mode, limits=Limits(memory_bytes=1_000_000_000, calls=5))
        assert verdict.status is FAIL
        assert "1,000,000,000 are allowed" in str(verdict.reasons)

    def test_ending_the_process_is_told(self, tmp_path: Path, mode: str) -> None:
        verdict = check(str(save(tmp_path / "model", load="os._exit(7)")), mode=mode, limits=QUICK)
        assert (verdict.status, _status(verdict, "load")) == (FAIL, FAIL)
        assert "exit code 7" in verdict.check("load").reason

    def test_raising_on_a_request_is_told_in_its_own_words(self, tmp_path: Path, mode: str) -> None:
        model = save(tmp_path / "model", predict="raise RuntimeError('no such shop')")
        verdict = check(str(model), mode=mode, limits=QUICK)
        assert verdict.status is FAIL
        assert _status(verdict, "load") is PASS
        assert _status(verdict, "requests") is FAIL

    def test_other_columns_than_declared_fail(self, tmp_path: Path, mode: str) -> None:
        model = save(tmp_path / "model", predict="return pd.DataFrame({'late': model_input['x']})")
        verdict = check(str(model), mode=mode, limits=QUICK)
        assert verdict.status is FAIL
        assert "columns ['late']; the signature says ['prediction', 'score']" in verdict.check("schema").reason


class TestLimits:
    def test_answers_other_than_before_or_than_the_champions_fail(self, good: Path) -> None:
        same = pd.DataFrame({"prediction": EXAMPLE["x"] * 2, "score": EXAMPLE["x"] / 10})
        other = same.assign(score=same["score"] + 0.2)
        limits = Limits(calls=5, score_difference=0.1, changed_share=0.0)
        verdict = check(str(good), requests=EXAMPLE, expected=same, champion=other, limits=limits)
        assert verdict.status is FAIL
        assert _status(verdict, "same answers") is PASS
        assert "0.2 on average; a score difference of 0.1 is allowed" in verdict.check("champion replay").reason
        verdict = check(str(good), requests=EXAMPLE, expected=other, champion=same, limits=limits)
        assert (_status(verdict, "same answers"), _status(verdict, "champion replay")) == (FAIL, PASS)
        with pytest.raises(DataError, match="cannot be compared"):
            check(str(good), requests=EXAMPLE, expected=same.head(2), limits=limits)

    def test_latency_and_the_lock_are_held(self, good: Path) -> None:
        verdict = check(str(good), limits=Limits(p50_ms=1e-6, p99_ms=1e6, calls=5), lock=["numpy==1.0.0"])
        assert [_status(verdict, name) for name in ("p50 latency", "p99 latency", "parity")] == [FAIL, PASS, FAIL]
        loose = check(str(good), limits=Limits(calls=5, parity=Parity.IGNORE), lock=["numpy==1.0.0"])
        assert loose.status is PASS
        assert "numpy" in loose.packages

    def test_changed_bytes_are_not_even_loaded(self, good: Path, tmp_path: Path) -> None:
        digest = check(str(good), limits=QUICK).digest
        tampered = shutil.copytree(good, tmp_path / "tampered")
        marker = tmp_path / "ran"
        code = next(tampered.glob("*.py"))
        code.write_text(f"open({str(marker)!r}, 'w')\n" + code.read_text())
        verdict = check(str(tampered), digest=digest, limits=QUICK)
        assert verdict.status is FAIL
        assert "not those that were recorded" in verdict.check("artifact").reason
        assert not marker.exists()
        assert check(str(good), digest=digest, limits=QUICK).status is PASS

    def test_nothing_to_feed_is_inconclusive(self, tmp_path: Path) -> None:
        model = save(tmp_path / "model")
        (model / "serving_input_example.json").unlink()
        verdict = check(str(model), limits=QUICK)
        assert verdict.status is INCONCLUSIVE
        assert "neither an input example nor a recorded request" in verdict.reasons[0]

    def test_an_environment_without_mlflow_cannot_serve(self, good: Path, tmp_path: Path) -> None:
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "bare")], check=True)
        verdict = check(str(good), python=str(tmp_path / "bare" / "bin" / "python"), limits=QUICK)
        assert verdict.status is FAIL
        assert "needs the package 'mlflow'" in verdict.check("load").reason
        assert _status(verdict, "parity") is FAIL

    def test_the_model_is_loaded_by_the_declared_interpreter(self, tmp_path: Path) -> None:
        environment, marker = tmp_path / "other", tmp_path / "prefix"
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True)
        own = next((environment / "lib").glob("python*/site-packages"))
        # The libraries of this environment, seen through another interpreter.
        (own / "borrowed.pth").write_text(str(Path(pd.__file__).parents[1]))
        (own / "extra-1.0.dist-info").mkdir()
        (own / "extra-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: extra\nVersion: 1.0\n")
        model = save(
            tmp_path / "model", load=f"open({str(marker)!r}, 'w').write(sys.prefix)", requirements=("extra==1.0",)
        )
        verdict = check(str(model), python=str(environment / "bin" / "python"), limits=QUICK)
        assert verdict.status is PASS, verdict.reasons
        assert marker.read_text() == str(environment)
        assert check(str(model), limits=QUICK).check("parity").status is FAIL

    def test_terms_that_mean_nothing_are_refused(self, good: Path) -> None:
        with pytest.raises(ConfigurationError, match="no interpreter"):
            check(str(good), python="/no/such/python")
        with pytest.raises(ConfigurationError, match="mode is 'ftp'"):
            check(str(good), mode="ftp")
        with pytest.raises(ConfigurationError, match="not above 0"):
            Limits(p99_ms=0)
