"""The servers of the system tests: started once in each process that runs tests, by the first that needs them."""

from collections.abc import Iterator

import pytest

pytest.register_assert_rewrite("tests.system.world")

from tests.system.world import World, running_world  # noqa: E402  (so that its assertions tell what they compare)

# Two processes take one file after another: the longest come first, so that neither is alone at the end. Those with
# servers of their own (`exactly_once`, `pods`) come before one that starts the world in the same process.
FIRST = ("test_exactly_once.py", "test_kill.py", "test_pods.py", "test_release.py", "test_flights.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what lies here, and put it in order."""
    for item in items:
        if "tests/system/" in item.path.as_posix():
            item.add_marker(pytest.mark.system)
    items.sort(key=lambda item: FIRST.index(item.path.name) if item.path.name in FIRST else len(FIRST))


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Airflow, MLflow and the ledger of this session."""
    with running_world(tmp_path_factory.mktemp("world")) as running:
        yield running
