"""What Airflow's providers manager is told about retrain (entry point `apache_airflow_provider`)."""

from typing import Any

from retrain import __version__


def get_provider_info() -> dict[str, Any]:
    """Return the provider info: connection types with their forms, operators, links, settings."""
    return {
        "package-name": "airflow-provider-retrain",
        "name": "Retrain",
        "description": "Continuous training: declare a model once and it stays fresh.",
        "versions": [__version__],
        "integrations": [
            {
                "integration-name": "Retrain",
                "external-doc-url": "https://pypi.org/project/airflow-provider-retrain/",
                "tags": ["software"],
            }
        ],
        "connection-types": [_LEDGER, _MLFLOW],
        "operators": [_modules("operators", "data", "decide", "drift", "model", "plan")],
        "sensors": [_modules("sensors", "arrival", "asset_event", "drift")],
        "triggers": [_modules("triggers", "arrival", "asset_event", "drift")],
        "extra-links": [
            "retrain.operators.links.MlflowRunLink",
            "retrain.operators.links.ModelVersionLink",
            "retrain.operators.links.ValidationPageLink",
            "retrain.operators.links.DriftSummaryLink",
            "retrain.operators.links.DriftPageLink",
            "retrain.operators.links.EvidencePageLink",
        ],
        "config": {"retrain": _CONFIG},
    }


def _modules(folder: str, *names: str) -> dict[str, Any]:
    return {"integration-name": "Retrain", "python-modules": [f"retrain.{folder}.{name}" for name in names]}


_TEXT = {"type": ["string", "null"]}

_LEDGER = {
    "connection-type": "retrain_ledger",
    "hook-class-name": "retrain.hooks.ledger.LedgerHook",
    "hook-name": "Retrain ledger (SQL)",
    "ui-field-behaviour": {
        "hidden-fields": [],
        "relabeling": {"schema": "Database (SQLite: path of the file)"},
        "placeholders": {"host": "empty for SQLite", "schema": "retrain", "port": "5432"},
    },
    "conn-fields": {
        "dialect": {
            "label": "Database",
            "description": "postgresql, or sqlite for a single host",
            "schema": {"type": ["string", "null"], "enum": ["postgresql", "sqlite", None], "default": "postgresql"},
        },
        "sslmode": {"label": "PostgreSQL sslmode", "schema": _TEXT},
    },
}

_MLFLOW = {
    "connection-type": "mlflow",
    "hook-class-name": "retrain.hooks.mlflow.MlflowHook",
    "hook-name": "MLflow",
    "ui-field-behaviour": {
        "hidden-fields": ["schema"],
        "relabeling": {"host": "Tracking URI", "login": "User", "password": "Password"},
        "placeholders": {"host": "https://mlflow.example.com"},
    },
    "conn-fields": {
        "ui_url": {
            "label": "Address for people",
            "description": "Where a browser finds MLflow, when it is not the tracking URI",
            "schema": _TEXT,
        },
    },
}

_CONFIG = {
    "description": "Settings of the Retrain provider.",
    "options": {
        "store": {
            "description": "URI under which profiles, verdicts, predictions, snapshots and quarantined rows are kept.",
            "type": "string",
            "version_added": "0.1.0",
            "example": "s3://ml-store/retrain",
            "default": None,
        },
        "page_stores": {
            "description": "Further stores, comma-separated, whose pages the UI may show: those of declarations.",
            "type": "string",
            "version_added": "0.1.0",
            "example": "s3://team-a/retrain,s3://team-b/retrain",
            "default": "",
        },
        "poll_interval_seconds": {
            "description": "Seconds between two listings of watched data, in the triggerer.",
            "type": "float",
            "version_added": "0.1.0",
            "example": "10",
            "default": "30",
        },
        "remember_listings": {
            "description": "Keep in Airflow's asset state store what watchers have told of, so that a restarted "
            "triggerer does not tell it again; costs the triggerer about 130 MiB.",
            "type": "boolean",
            "version_added": "0.1.0",
            "example": "False",
            "default": "True",
        },
        "project_root": {
            "description": "Folder from which the code and the suites that declarations name are taken.",
            "type": "string",
            "version_added": "0.1.0",
            "example": "/opt/airflow",
            "default": None,
        },
    },
}
