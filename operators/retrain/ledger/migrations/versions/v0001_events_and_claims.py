"""The events, which the database itself refuses to change, and the claims."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

REFUSAL = "retrain_events is append-only"


def upgrade() -> None:
    """Create both tables and the triggers that keep the events as they are."""
    op.create_table(
        "retrain_events",
        sa.Column("position", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True),
        sa.Column("stream", sa.Text(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=True),
        sa.Column("recorded_at", sa.Text(), nullable=False),
        sa.Column("previous_hash", sa.String(64), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.UniqueConstraint("stream", "sequence", name="uq_retrain_events_stream_sequence"),
        sa.UniqueConstraint("stream", "kind", "key", name="uq_retrain_events_stream_kind_key"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_retrain_events_stream_kind_sequence", "retrain_events", ["stream", "kind", "sequence"])
    op.create_table(
        "retrain_claims",
        sa.Column("work", sa.Text(), primary_key=True),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("lease_seconds", sa.Double(), nullable=False),
        sa.Column("expires_at", sa.Text(), nullable=False),
        sa.Column("updated_at", sa.Text(), nullable=False),
    )
    if op.get_bind().dialect.name == "postgresql":
        _protect_postgresql()
    else:
        _protect_sqlite()


def downgrade() -> None:
    """Refuse: a ledger's record is not undone by a migration."""
    raise NotImplementedError("restore a backup instead")


def _protect_postgresql() -> None:
    op.execute(
        f"""
        CREATE FUNCTION retrain_events_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION '{REFUSAL}' USING ERRCODE = 'restrict_violation';
        END
        $$
        """
    )
    for name, when in (
        ("retrain_events_keep_rows", "BEFORE UPDATE OR DELETE ON retrain_events FOR EACH ROW"),
        ("retrain_events_keep_table", "BEFORE TRUNCATE ON retrain_events FOR EACH STATEMENT"),
    ):
        op.execute(f"CREATE TRIGGER {name} {when} EXECUTE FUNCTION retrain_events_refuse_change()")


def _protect_sqlite() -> None:
    for name, when in (
        ("retrain_events_no_update", "BEFORE UPDATE ON retrain_events"),
        ("retrain_events_no_delete", "BEFORE DELETE ON retrain_events"),
        # INSERT OR REPLACE deletes without firing the trigger on DELETE (unless recursive_triggers is on).
        (
            "retrain_events_no_replace",
            "BEFORE INSERT ON retrain_events WHEN EXISTS ("
            "SELECT 1 FROM retrain_events WHERE position = NEW.position"
            " OR (stream = NEW.stream AND sequence = NEW.sequence)"
            " OR (stream = NEW.stream AND kind = NEW.kind AND key = NEW.key))",
        ),
    ):
        op.execute(f"CREATE TRIGGER {name} {when} BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END")
