"""Registers retrain's Airflow plugin where its source is copied in (`operators/` on PYTHONPATH) and not installed.

An installed wheel registers the plugin by its entry point. A second one of the same name would be reported as an
import error, so this file then does nothing.
"""

from importlib.metadata import entry_points

if not any(entry.name == "retrain" for entry in entry_points(group="airflow.plugins")):
    from retrain.plugin import RetrainPlugin  # noqa: F401  (Airflow looks for plugin classes in this module)
