import sys

import pytest

from retrain.exceptions import ConnectionConfigError, MissingDependencyError
from retrain.ledger.url import parse, public_name


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("sqlite:////var/ledger.db", "sqlite:////var/ledger.db"),
        ("/var/ledger.db", "sqlite:////var/ledger.db"),
        ("postgres://u:p@h:5432/d", "postgresql+psycopg2://u:***@h:5432/d"),
        ("postgresql://u:p@h/d?sslmode=require", "postgresql+psycopg2://u:***@h/d?sslmode=require"),
        ("postgresql+psycopg2://h/d", "postgresql+psycopg2://h/d"),
        (
            "postgresql://h/d?user=u&password=p&sslpassword=q",
            "postgresql+psycopg2://h/d?password=***&sslpassword=***&user=u",
        ),
    ],
)
def test_the_forms_people_write_are_understood_and_shown_without_secrets(written, meant):
    assert public_name(parse(written)) == meant


@pytest.mark.parametrize("written", ["ledger.db", "sqlite:///ledger.db"])
def test_a_relative_path_is_made_absolute_once(written, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    assert parse(written).database == str(tmp_path / "ledger.db")


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("", "empty.*RETRAIN_LEDGER"),
        ("sqlite://", "in memory"),
        ("sqlite:///:memory:", "in memory"),
        ("mysql://u:secret@h/d", "cannot live in 'mysql'.*postgresql://"),
        ("postgresql+asyncpg://u:secret@h/d", "cannot live in"),
        ("postgresql://u:secret@h:port/d", "cannot be read"),
    ],
)
def test_what_is_no_ledger_is_refused_without_telling_the_password(written, message):
    with pytest.raises(ConnectionConfigError, match=message) as caught:
        parse(written)

    assert "secret" not in str(caught.value)


def test_a_missing_driver_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg2", None)

    with pytest.raises(MissingDependencyError, match=r"pip install 'airflow-provider-retrain\[postgres\]'"):
        parse("postgresql://h/d")
