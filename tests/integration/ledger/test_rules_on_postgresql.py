"""The ledger's rules, as tests/unit/ledger states them for SQLite, once more on PostgreSQL."""

import importlib.util
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

RULES = Path(__file__).parents[2] / "unit" / "ledger"

for name in ("test_appending", "test_claims", "test_reading", "test_verification"):
    spec = importlib.util.spec_from_file_location(f"rules.{name}", RULES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    # Tests and fixtures. The name of the file goes into the test's, so that two files cannot hide each other's tests.
    for key, value in vars(module).items():
        if not key.startswith("__"):
            globals()[f"{name}_{key[5:]}" if key.startswith("test_") else key] = value


@pytest.fixture
def url(postgres_database: str) -> str:
    return postgres_database
