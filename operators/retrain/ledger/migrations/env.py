"""Run the migrations on the connection that `retrain.ledger.schema` hands over, inside its transaction and lock."""

from alembic import context

from retrain.ledger.tables import VERSION_TABLE, metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    transactional_ddl=True,
)
context.run_migrations()
