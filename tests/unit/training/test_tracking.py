import pytest

from retrain.exceptions import RegistryUnavailableError
from retrain.training.tracking import connect, without_credentials
from scripts.services.processes import free_port


def test_credentials_are_cut_out_of_an_address() -> None:
    assert without_credentials("https://alice:secret@mlflow.example.com:8443/x") == "https://mlflow.example.com:8443/x"
    assert without_credentials("sqlite:////srv/mlflow.db") == "sqlite:////srv/mlflow.db"


def test_dead_server_is_told_by_its_address_without_the_password() -> None:
    address = f"127.0.0.1:{free_port()}"
    with pytest.raises(RegistryUnavailableError, match=f"MLflow at http://{address} did not answer") as caught:
        connect(f"http://alice:secret@{address}")
    assert "secret" not in str(caught.value)
    assert caught.value.__suppress_context__
