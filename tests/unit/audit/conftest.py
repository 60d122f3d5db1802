import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.story import Story


@pytest.fixture(scope="session")
def empty_ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated ledger to copy: migrating takes longer than a test."""
    root = tmp_path_factory.mktemp("empty")
    Story(root).ledger.close()
    return root / "ledger.db"


@pytest.fixture(scope="session")
def three_versions(tmp_path_factory: pytest.TempPathFactory) -> Story:
    """A ledger with a whole story to copy."""
    made = Story(tmp_path_factory.mktemp("told")).three_versions()
    made.ledger.close()
    return made


@pytest.fixture
def story(tmp_path: Path, empty_ledger: Path) -> Iterator[Story]:
    """A model of which nothing is told yet."""
    shutil.copy(empty_ledger, tmp_path / "ledger.db")
    made = Story(tmp_path)
    yield made
    made.ledger.close()


@pytest.fixture
def told(tmp_path: Path, three_versions: Story) -> Iterator[Story]:
    """The story of three versions; see `Story.three_versions`."""
    shutil.copy(three_versions.url.removeprefix("sqlite:///"), tmp_path / "ledger.db")
    made = Story(tmp_path)
    made.refs = dict(three_versions.refs)
    yield made
    made.ledger.close()
