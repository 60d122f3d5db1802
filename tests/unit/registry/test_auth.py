import base64
import os

import pytest

from retrain.exceptions import ConnectionConfigError
from retrain.registry.auth import BasicAuthHeaderProvider, credentials


def sent() -> str | None:
    provider = BasicAuthHeaderProvider()
    if not provider.in_context():
        return None
    return base64.b64decode(provider.request_headers()["Authorization"].removeprefix("Basic ")).decode()


def test_header_is_sent_within_the_block_only_and_the_innermost_counts() -> None:
    assert sent() is None
    with credentials("alice", "one"):
        with credentials("bob", "two:three"):
            assert sent() == "bob:two:three"
        assert sent() == "alice:one"
    assert sent() is None


def test_block_that_raises_leaves_nothing_behind_and_nothing_reaches_the_environment() -> None:
    def fail() -> None:
        assert "a-password" not in " ".join(os.environ.values())
        raise RuntimeError

    with pytest.raises(RuntimeError), credentials("alice", "a-password"):
        fail()
    assert sent() is None


def test_blocks_may_end_in_another_order_than_they_began() -> None:
    first, second = credentials("alice", "same"), credentials("alice", "same")
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert sent() == "alice:same"
    second.__exit__(None, None, None)
    assert sent() is None


def test_user_name_that_basic_auth_cannot_carry_is_refused() -> None:
    with pytest.raises(ConnectionConfigError, match="colon"), credentials("a:b", "x"):
        pass


def test_mlflow_finds_the_provider_by_its_entry_point() -> None:
    from importlib.metadata import entry_points

    found = [point.load() for point in entry_points(group="mlflow.request_header_provider", name="retrain")]
    assert found == [BasicAuthHeaderProvider]
