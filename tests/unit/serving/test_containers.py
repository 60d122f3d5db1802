import stat
from pathlib import Path

import pytest

from retrain.exceptions import ConfigurationError, DeclarationError
from retrain.serving import Serving, check
from retrain.serving.containers import command
from retrain.serving.verdict import ServingMode


def test_a_container_has_no_network_no_rights_and_its_variables_by_a_file(tmp_path: Path) -> None:
    env = {"PATH": "/ours", "LD_LIBRARY_PATH": "/ours", "HOME": str(tmp_path), "TOKEN": "hidden", "TWO": "a\nb"}
    made = command("image:1", "name", ["python", "-I", "x"], env=env, folder=tmp_path, memory_bytes=1000)
    said = " ".join(made)
    assert made[:2] == ["docker", "run"]
    assert made[-3:] == ["image:1", "-I", "x"]
    for part in ("--rm", "--network none", "--cap-drop ALL", "--read-only", "--memory=1000", "--entrypoint python"):
        assert part in said
    assert "hidden" not in said
    variables = tmp_path / "name.env"
    assert variables.read_text() == f"HOME={tmp_path}\nTOKEN=hidden\n"
    assert stat.S_IMODE(variables.stat().st_mode) == 0o600


def test_an_image_belongs_to_the_mode_docker_and_to_no_other() -> None:
    assert Serving.from_dict({"mode": "docker", "image": "serving:1"}).mode is ServingMode.DOCKER
    for wrong in ({"mode": "docker"}, {"image": "serving:1"}):
        with pytest.raises(DeclarationError, match=r"serving\.image"):
            Serving.from_dict(wrong)


def test_without_docker_that_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigurationError, match="there is no docker command"):
        check(str(tmp_path), mode="docker", image="serving:1")
