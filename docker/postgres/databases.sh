#!/bin/sh
# Runs once, when the volume is empty: one role and one database for each of the three that keep something here, so
# that none can read the others' tables. MLflow keeps its logins apart from its runs.
set -eu

database() { # name, owner, password
    PASSWORD="$3" psql --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres \
        --set name="$1" --set owner="$2" <<'SQL'
\getenv password PASSWORD
SELECT format('CREATE ROLE %I LOGIN PASSWORD %L', :'owner', :'password')
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'owner') \gexec
CREATE DATABASE :"name" OWNER :"owner";
REVOKE CONNECT ON DATABASE :"name" FROM PUBLIC;
SQL
}

database airflow airflow "$AIRFLOW_DB_PASSWORD"
database mlflow mlflow "$MLFLOW_DB_PASSWORD"
database mlflow_auth mlflow "$MLFLOW_DB_PASSWORD"
database retrain retrain "$LEDGER_DB_PASSWORD"
