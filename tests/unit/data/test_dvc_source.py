import sys

import pytest

from retrain.data import dvc_source, storage
from retrain.exceptions import DeclarationError, MissingDependencyError


@pytest.mark.parametrize(
    ("uri", "repository", "revision", "path"),
    [
        ("dvc:///srv/flights//data/x.csv", "/srv/flights", None, "data/x.csv"),
        ("dvc:///srv/flights@v1.2//data/x.csv", "/srv/flights", "v1.2", "data/x.csv"),
        ("dvc:///srv/flights@feature/one//x.csv", "/srv/flights", "feature/one", "x.csv"),
        ("dvc:///srv/a@b@//x.csv", "/srv/a@b", None, "x.csv"),
        ("dvc:///srv/flights@v1//", "/srv/flights", "v1", ""),
        ("dvc://https://host:8080/x.git@main//a/b", "https://host:8080/x.git", "main", "a/b"),
        ("dvc://https://user@host/x.git//a", "https://user@host/x.git", None, "a"),
        ("dvc://ssh://git@host/x.git@v1//a", "ssh://git@host/x.git", "v1", "a"),
        ("dvc://git@host:org/x.git//a", "git@host:org/x.git", None, "a"),
        ("dvc://git@host:org/x.git@v1//a", "git@host:org/x.git", "v1", "a"),
    ],
)
def test_repository_revision_and_path_are_told_apart(uri, repository, revision, path):
    address = dvc_source.parse(uri)
    assert (address.repository, address.revision, address.path) == (repository, revision, path)
    assert storage.normalise(uri) == address.uri == uri


@pytest.mark.parametrize("uri", ["dvc://", "dvc:///srv/x", "dvc://https://host/x.parquet", "dvc:////data"])
def test_an_address_without_repository_or_path_is_refused(uri):
    with pytest.raises(DeclarationError, match="does not name data under DVC"):
        storage.normalise(uri)


def test_a_missing_dvc_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "dvc.api", None)  # what Python itself does to forbid an import
    with pytest.raises(MissingDependencyError, match=r"airflow-provider-retrain\[dvc\]"):
        storage.read_bytes("dvc:///srv/flights@v1//x.csv")
