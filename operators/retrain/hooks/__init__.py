"""Airflow connections to clients: the ledger's database and MLflow."""
