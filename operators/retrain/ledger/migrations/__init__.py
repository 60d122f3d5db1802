"""Alembic migrations of the ledger's schema. They are frozen: they do not import the current tables."""
