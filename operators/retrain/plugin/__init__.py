"""What retrain adds to Airflow's user interface: the pages that its tasks link to, behind Airflow's login."""

import logging
from typing import Any

from airflow.plugins_manager import AirflowPlugin

from retrain.plugin.addresses import PREFIX

log = logging.getLogger(__name__)


class _AppsOfTheApiServer:
    """The FastAPI apps, made when the API server asks for them: every other process also loads the plugin."""

    def __get__(self, instance: object, owner: type) -> list[dict[str, Any]]:
        try:
            from retrain.plugin.app import pages_app

            return [{"app": pages_app(), "url_prefix": PREFIX, "name": "retrain"}]
        except ImportError:
            # An API server without these pages serves its users better than one that does not start.
            log.exception("The pages of retrain are not served: they need something that this Airflow does not have")
            return []


class RetrainPlugin(AirflowPlugin):
    """Registered through the entry point `airflow.plugins`; the links themselves come with the provider info."""

    name = "retrain"
    fastapi_apps = _AppsOfTheApiServer()
