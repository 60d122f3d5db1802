import sys
import time
from pathlib import Path

from retrain.serving.processes import CANARY, clean_environment, family, watched
from retrain.serving.redaction import Redaction


def _run(tmp_path, code, **options):
    env = clean_environment(sys.executable, tmp_path, {})
    return watched([sys.executable, "-I", "-c", code], env=env, folder=tmp_path, **options)


def _living(pid):
    """One that has ended may still be listed until somebody asks how."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_nothing_outlives_the_block(tmp_path):
    code = (
        "import subprocess, sys, time\n"
        "for away in (False, True):\n"
        "    child = subprocess.Popen(['sleep', '600'], start_new_session=away); print(child.pid, flush=True)\n"
        "time.sleep(600)"
    )
    with _run(tmp_path, code) as process:
        assert process.wait_until(lambda: len(process.tail().split()) == 2, time.monotonic() + 30)
        children = [int(number) for number in process.tail().split()]
        process.look()
        assert set(children) <= {one.pid for one in family(process.process.pid)}
    deadline = time.monotonic() + 10
    while any(map(_living, [process.process.pid, *children])):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_deadline_and_memory_and_output_are_bounds(tmp_path, monkeypatch):
    with _run(tmp_path, "import time; time.sleep(600)") as process:
        assert not process.wait_until(lambda: False, time.monotonic() + 0.2)
    assert process.stopped == "time is up"
    code = "hog = b'x' * 400_000_000; import time; time.sleep(600)"
    with _run(tmp_path, code, memory_bytes=200_000_000) as process:
        assert not process.wait_until(lambda: False, time.monotonic() + 30)
    assert "200,000,000 are allowed" in process.stopped
    monkeypatch.setattr("retrain.serving.processes.MOST_OUTPUT", 1000)
    with _run(tmp_path, "while True: print('again')") as process:
        assert not process.wait_until(lambda: False, time.monotonic() + 30)
    assert "printed more than 1,000 bytes" in process.stopped


def test_the_environment_holds_nothing_of_ours(tmp_path, monkeypatch):
    monkeypatch.setenv("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "postgresql://user:word@host/db")
    monkeypatch.setenv("PYTHONPATH", "/somewhere")
    env = clean_environment(sys.executable, tmp_path, {"MODE": "test"})
    assert not {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "PYTHONPATH"} & set(env)
    assert (env["HOME"], env["MODE"], len(env[CANARY])) == (str(tmp_path), "test", 32)
    assert clean_environment(sys.executable, tmp_path, {})[CANARY] != env[CANARY]


def test_secrets_are_named_and_taken_out(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "open-sesame")
    monkeypatch.setenv("PAGER", "something-harmless")
    env = clean_environment(sys.executable, tmp_path, {})
    redaction = Redaction({"KEY": "hunter2-hunter2"}, env)
    text = f"hunter2-hunter2 open-sesame something-harmless {env[CANARY]}"
    assert redaction.shown(text) == ["KEY", "MLFLOW_TRACKING_PASSWORD", CANARY]
    assert redaction.clean(text) == f"<KEY> <MLFLOW_TRACKING_PASSWORD> something-harmless <{CANARY}>"
