"""The compose file and the image's inputs, read as text; and checked by Docker Compose where it is installed."""

import importlib.util
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

pytestmark = pytest.mark.integration
DOCKER = Path(__file__).parents[3] / "docker"
COMPOSE = yaml.safe_load((DOCKER / "compose.yaml").read_text())
SERVICES = COMPOSE["services"]
ONE_SHOT = {name for name, service in SERVICES.items() if service["restart"].startswith("on-failure")}
SECRET = re.compile("PASSWORD|SECRET|KEY|CONN")


def environment():
    """A value for every line of the example."""
    lines = (DOCKER / ".env.example").read_text().splitlines()
    return {line.removesuffix("="): "0123456789abcdef" for line in lines if line.endswith("=")}


def test_every_service_is_watched_or_ends_by_itself():
    assert {"s3-init", "airflow-init"} == ONE_SHOT
    assert {name for name, service in SERVICES.items() if "healthcheck" in service} == set(SERVICES) - ONE_SHOT


def test_every_lasting_service_comes_back_after_a_crash():
    assert {SERVICES[name]["restart"] for name in set(SERVICES) - ONE_SHOT} == {"unless-stopped"}


def test_a_one_shot_is_awaited_until_it_succeeded():
    awaited = [
        (name, condition["condition"])
        for service in SERVICES.values()
        for name, condition in service.get("depends_on", {}).items()
    ]
    assert {condition for name, condition in awaited if name in ONE_SHOT} == {"service_completed_successfully"}
    assert {name for name, _ in awaited} >= ONE_SHOT


def test_no_secret_is_written_down():
    for name, service in SERVICES.items():
        for key, value in service["environment"].items():
            text = str(value)
            if SECRET.search(key) and key != "MLFLOW_AUTH_CONFIG_PATH":
                assert "${" in text or "password" not in text.lower(), (name, key)
            for found in re.findall(r"\$\{(\w*(?:PASSWORD|SECRET|KEY)\w*)(.*?)\}", text):
                assert found[1].startswith(":?"), (name, key, "must not have a default")


@pytest.mark.parametrize(
    "key", ["AIRFLOW__CORE__FERNET_KEY", "AIRFLOW__API__SECRET_KEY", "AIRFLOW__API_AUTH__JWT_SECRET"]
)
def test_what_airflow_signs_and_encrypts_with_comes_from_outside(key):
    assert re.fullmatch(r"\$\{\w+:\?.+\}", SERVICES["scheduler"]["environment"][key])


def test_every_variable_without_a_default_is_in_the_example():
    text = (DOCKER / "compose.yaml").read_text()
    assert set(re.findall(r"\$\{(\w+):\?", text)) == set(environment())


def test_the_example_holds_no_value():
    lines = [line for line in (DOCKER / ".env.example").read_text().splitlines() if line and not line.startswith("#")]
    assert all(line.endswith("=") for line in lines)


def test_every_image_has_a_version():
    for name, service in SERVICES.items():
        tag = service["image"].rpartition(":")[2]
        assert tag[0].isdigit() or tag[0] == "v", name
        assert tag != "latest"


def test_no_service_reports_home():
    for name, service in SERVICES.items():
        assert service["environment"]["DO_NOT_TRACK"] == "true", name
        assert service["environment"]["MLFLOW_DISABLE_TELEMETRY"] == "true", name


def test_nothing_is_published_beyond_this_machine():
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_no_image_of_ours_needs_a_frontend_from_a_registry():
    assert not any("# syntax=" in path.read_text() for path in DOCKER.rglob("*Dockerfile"))


def test_the_image_carries_the_version_of_the_package():
    version = re.search(r'__version__ = "(.+)"', (DOCKER.parent / "operators/retrain/__init__.py").read_text())[1]
    assert COMPOSE["x-image"]["image"] == f"retrain-airflow:{version}"


def constraints(lock, installed):
    spec = importlib.util.spec_from_file_location("constraints", DOCKER / "constraints.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return list(module.constraints(lock, installed))


def test_what_the_image_holds_stays_and_what_it_lacks_comes_as_tested():
    lock = [
        "# made by uv",
        "flask==3.1.3 \\",
        "    --hash=sha256:00",
        "numpy==2.4.6 ; python_full_version < '3.12' \\",
        "ruamel-yaml==0.19.1",
    ]
    assert constraints(lock, {"Flask": "2.2.5", "Ruamel.YAML": "0.18.0"}) == [
        "flask==2.2.5",
        "ruamel-yaml==0.18.0",
        "numpy==2.4.6 ; python_full_version < '3.12'",
    ]


def compose(*arguments, **variables):
    if (
        shutil.which("docker") is None
        or subprocess.run(["docker", "compose", "version"], capture_output=True).returncode
    ):
        pytest.skip("Docker Compose is not installed (`docker compose version` fails); nothing was checked by it")
    command = ["docker", "compose", "--env-file", "/dev/null", "--file", str(DOCKER / "compose.yaml"), *arguments]
    path = {"PATH": os.environ["PATH"]} | {
        name: os.environ[name] for name in ("HOME", "DOCKER_CONFIG") if name in os.environ
    }
    return subprocess.run(command, env=path | variables, capture_output=True, text=True)


def test_compose_accepts_the_file():
    done = compose("config", "--quiet", **environment())
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


@pytest.mark.parametrize("missing", sorted(environment()))
def test_compose_names_the_variable_that_is_missing(missing):
    done = compose("config", "--quiet", **(environment() | {missing: ""}))
    assert done.returncode != 0
    assert missing in done.stderr
    assert "set it in docker/.env" in done.stderr
