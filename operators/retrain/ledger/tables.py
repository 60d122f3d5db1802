"""The two tables, as the newest migration leaves them. A test compares them with a migrated database."""

import sqlalchemy as sa

SCHEMA_VERSIONS = ("0001",)
"""Every revision, oldest first: known here so that opening a ledger does not import Alembic."""

VERSION_TABLE = "retrain_alembic_version"

metadata = sa.MetaData()

events = sa.Table(
    "retrain_events",
    metadata,
    # The database's own number across all streams: order for reading, not part of what is hashed.
    sa.Column("position", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True),
    sa.Column("stream", sa.Text(), nullable=False),
    sa.Column("sequence", sa.BigInteger(), nullable=False),
    sa.Column("kind", sa.Text(), nullable=False),
    sa.Column("key", sa.Text(), nullable=False),
    sa.Column("version", sa.Integer(), nullable=False),
    # Text and not JSON, and times as text: the stored bytes are the hashed bytes, on every database.
    sa.Column("payload", sa.Text(), nullable=False),
    sa.Column("actor", sa.Text(), nullable=True),
    sa.Column("recorded_at", sa.Text(), nullable=False),
    sa.Column("previous_hash", sa.String(64), nullable=False),
    sa.Column("hash", sa.String(64), nullable=False),
    sa.UniqueConstraint("stream", "sequence", name="uq_retrain_events_stream_sequence"),
    sa.UniqueConstraint("stream", "kind", "key", name="uq_retrain_events_stream_kind_key"),
    sa.Index("ix_retrain_events_stream_kind_sequence", "stream", "kind", "sequence"),
    sqlite_autoincrement=True,
)

claims = sa.Table(
    "retrain_claims",
    metadata,
    sa.Column("work", sa.Text(), primary_key=True),
    sa.Column("owner", sa.Text(), nullable=False),
    sa.Column("epoch", sa.BigInteger(), nullable=False),
    sa.Column("state", sa.String(10), nullable=False),
    sa.Column("lease_seconds", sa.Double(), nullable=False),
    sa.Column("expires_at", sa.Text(), nullable=False),
    sa.Column("updated_at", sa.Text(), nullable=False),
)
