from collections.abc import Iterator

import pytest

from retrain.ledger import Ledger


@pytest.fixture
def url(tmp_path) -> str:
    """An empty database."""
    return f"sqlite:///{tmp_path}/ledger.db"


@pytest.fixture
def ledger(url: str) -> Iterator[Ledger]:
    with Ledger.open(url, migrate=True) as opened:
        yield opened
