"""What tasks import, for Airflow's forkserver: imported there once, inherited by every task process.

    [core]
    mp_start_method = forkserver
    mp_forkserver_preload = airflow,airflow.executors.local_executor,retrain.preload

Worth it where tasks run the steps in the worker: without it every task pays seconds of imports. The memory is shared,
copy-on-write. Nothing here starts a thread or opens a connection: neither would survive the fork. Libraries that are
not installed are left out.
"""

import contextlib
import importlib
import logging
import warnings

MODULES = (
    "airflow.sdk.execution_time.task_runner",
    "great_expectations",
    "mlflow.pyfunc",
    "pandas",
    "pyarrow.parquet",
    "retrain.data",
    "retrain.drift",
    "retrain.evaluation",
    "retrain.jobs.data_steps",
    "retrain.jobs.judging_steps",
    "retrain.jobs.report_steps",
    "retrain.jobs.watch_steps",
    "retrain.jobs.model_steps",
    "retrain.ledger",
    "retrain.templates",
    "retrain.training",
    "scipy.stats",
    "skops.io",
    "sklearn.ensemble",
    "sklearn.pipeline",
    "sqlalchemy",
)


def preload() -> None:
    """Import the libraries, and let MLflow make its map of installed packages."""
    from retrain.exceptions import MissingDependencyError
    from retrain.training.tracking import import_mlflow

    with contextlib.suppress(MissingDependencyError):
        import_mlflow()  # first: it turns telemetry off, here and in what inherits from here
    for name in MODULES:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    # MLflow needs the map when it logs the first model of a process, and takes 0.7 s for it each time. It keeps it, so
    # making it here is a head start; were the function renamed, only that would be lost.
    with contextlib.suppress(ImportError, AttributeError):
        importlib.import_module("mlflow.utils.requirements_utils")._init_packages_to_modules_map()


# Great Expectations and skops inspect whatever is imported and say so, thousands of times over.
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    try:
        preload()
    finally:
        logging.disable(logging.NOTSET)
