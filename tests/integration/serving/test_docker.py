"""The serving check in containers of a real Docker engine; skipped, visibly, where none answers."""

import subprocess
import sys
from pathlib import Path

import pytest

from retrain.exceptions import ConfigurationError, UnavailableError
from retrain.records import GateStatus
from retrain.serving import Limits, ServingVerdict, check
from scripts.services.processes import wait_for
from tests.support.hostile_models import EXAMPLE, save
from tests.support.stand_in import IMAGE, PYTHON, containers, docker

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("stand_in_image")]
QUICK = Limits(calls=5)
PASS, FAIL = GateStatus.PASS, GateStatus.FAIL


def tried(model: Path, limits: Limits = QUICK, **options: object) -> ServingVerdict:
    verdict = check(str(model), mode="docker", image=IMAGE, python=PYTHON, limits=limits, **options)  # type: ignore[arg-type]
    assert not containers()
    return verdict


def reason(verdict: ServingVerdict, name: str) -> str:
    found = verdict.check(name)
    assert found is not None
    assert (verdict.status, found.status) == (FAIL, FAIL), verdict.reasons
    return found.reason


def test_a_good_model_passes_with_its_numbers(tmp_path: Path) -> None:
    verdict = tried(save(tmp_path / "model"), requests=EXAMPLE)
    assert verdict.status is PASS, verdict.reasons
    assert (verdict.mode, verdict.requests) == ("docker", 5)
    assert verdict.memory_bytes > 50_000_000
    assert verdict.p99_ms > 0


def test_one_that_hangs_is_killed_with_its_container(tmp_path: Path) -> None:
    model = save(tmp_path / "model", load="time.sleep(3600)")
    assert "did not load within 30 s" in reason(tried(model, Limits(calls=5, load_seconds=30)), "load")


def test_one_whose_check_is_killed_ends_with_it(tmp_path: Path) -> None:
    model = save(tmp_path / "model", load="print('it hangs now', flush=True); time.sleep(3600)")
    code = (
        f"from retrain.serving import check\ncheck({str(model)!r}, mode='docker', image={IMAGE!r}, python={PYTHON!r})"
    )
    checking = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.DEVNULL)
    try:
        wait_for("the load", lambda: any(b"it hangs now" in docker("logs", name).stdout for name in containers()))
    finally:
        checking.kill()
        checking.wait()
    wait_for("the end of the container", lambda: not containers())


def test_it_has_neither_a_network_nor_our_environment_nor_rights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WAREHOUSE_PASSWORD", "hunter2-hunter2")
    load = """
        import socket
        assert "WAREHOUSE_PASSWORD" not in os.environ, "it has our environment"
        try:
            socket.create_connection(("127.0.0.1", 22), timeout=2)
        except OSError:
            pass
        assert os.listdir("/sys/class/net") == ["lo"], "it has a network"
        try:
            open("/usr/local/written", "w")
        except OSError:
            pass
        else:
            raise AssertionError("it may write anywhere")
    """
    verdict = tried(save(tmp_path / "model", load=load))
    assert verdict.status is PASS, verdict.reasons


def test_more_memory_than_allowed_is_told(tmp_path: Path) -> None:
    model = save(tmp_path / "model", predict="hog = bytearray(3_000_000_000)")
    assert "memory ran out" in reason(tried(model, Limits(calls=5, memory_bytes=1_200_000_000)), "requests")


def test_an_image_that_is_not_there_is_no_verdict(tmp_path: Path) -> None:
    with pytest.raises((ConfigurationError, UnavailableError), match="no-such-image"):
        check(str(save(tmp_path / "model")), mode="docker", image="localhost:9/no-such-image:1")
    with pytest.raises(ConfigurationError, match="no image is named"):
        check(str(tmp_path / "model"), mode="docker")
