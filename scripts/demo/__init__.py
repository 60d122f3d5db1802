"""The demo: a real Airflow and a real MLflow on this machine, and a year of flights that arrives month by month."""
