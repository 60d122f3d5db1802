"""The servers of the system tests: started once, by the first test that needs them."""

from collections.abc import Iterator

import pytest

pytest.register_assert_rewrite("tests.system.world")

from tests.system.world import World, running_world  # noqa: E402  (so that its assertions tell what they compare)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what lies here; tests with servers of their own come first, before those of the session run beside them."""
    for item in items:
        if "tests/system/" in item.path.as_posix():
            item.add_marker(pytest.mark.system)
    items.sort(key=lambda item: "world" in item.fixturenames)


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Airflow, MLflow and the ledger of this session."""
    with running_world(tmp_path_factory.mktemp("world")) as running:
        yield running
