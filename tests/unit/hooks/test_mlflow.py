"""MLflow behind a connection."""

import pytest

from retrain.exceptions import ConnectionConfigError
from retrain.hooks.mlflow import MlflowHook
from tests.support.airflow_tasks import connect


@pytest.mark.parametrize(
    ("fields", "uri"),
    [
        ({"host": "https://mlflow.example.com/"}, "https://mlflow.example.com"),
        ({"host": "http://127.0.0.1:5000"}, "http://127.0.0.1:5000"),
        ({"host": "mlflow", "port": 5000}, "http://mlflow:5000"),
        ({"host": "https://mlflow/base", "port": 8443}, "https://mlflow:8443/base"),
        ({"host": "https://mlflow:8443", "port": 1}, "https://mlflow:8443"),
        ({"host": "mlflow", "extra": {"scheme": "https"}}, "https://mlflow"),
    ],
)
def test_a_connection_becomes_a_tracking_uri(monkeypatch, fields: dict, uri: str) -> None:
    connect(monkeypatch, "mlflow_default", conn_type="mlflow", login="me", password="hidden-word", **fields)
    assert MlflowHook().tracking_uri == uri


def test_a_connection_without_an_address_says_which_field_is_missing(monkeypatch) -> None:
    connect(monkeypatch, "mlflow_default", conn_type="mlflow")
    with pytest.raises(ConnectionConfigError, match="has no tracking URI"):
        _ = MlflowHook().tracking_uri


def test_an_unknown_connection_is_answered_with_how_to_add_it() -> None:
    with pytest.raises(ConnectionConfigError, match="AIRFLOW_CONN_ELSEWHERE"):
        _ = MlflowHook("elsewhere").tracking_uri


def test_people_may_have_another_address_than_jobs(monkeypatch) -> None:
    connect(monkeypatch, "mlflow_default", conn_type="mlflow", host="http://internal:5000")
    assert MlflowHook().ui_url == "http://internal:5000"
    connect(monkeypatch, "mlflow_default", conn_type="mlflow", host="http://a", extra={"ui_url": "https://b/"})
    assert MlflowHook().ui_url == "https://b"


def test_secrets_are_those_of_the_connection_and_none_without_a_login(monkeypatch) -> None:
    connect(monkeypatch, "mlflow_default", conn_type="mlflow", host="http://a", login="me", password="word")
    assert MlflowHook().secrets == {"MLFLOW_TRACKING_USERNAME": "me", "MLFLOW_TRACKING_PASSWORD": "word"}
    connect(monkeypatch, "mlflow_default", conn_type="mlflow", host="http://a")
    assert MlflowHook().secrets == {}


def test_credentials_never_enter_the_environment_of_the_process(monkeypatch) -> None:
    import os

    connect(monkeypatch, "mlflow_default", conn_type="mlflow", host="http://a", login="me", password="word")
    with MlflowHook().authenticated():
        assert "MLFLOW_TRACKING_PASSWORD" not in os.environ
