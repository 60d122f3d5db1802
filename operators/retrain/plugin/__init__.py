"""What retrain adds to Airflow's user interface."""

from airflow.plugins_manager import AirflowPlugin


class RetrainPlugin(AirflowPlugin):
    """Registered through the entry point `airflow.plugins`; the links themselves come with the provider info."""

    name = "retrain"
