#!/bin/bash
# Builds docker/Dockerfile and starts docker/compose.yaml, both unmodified, on stand-in base images, and looks whether
# the stack works. For machines that can reach package registries but no container registry.
#
#   sudo docker/standin/check.sh [--keep]
#
# Needs root and Debian's docker.io, debootstrap and busybox-static. A daemon is started when none runs, and stopped
# again; compose and buildx are taken from Debian when the client has none. It proves the project's layers, wiring,
# health checks and secrets. It does not prove the official images: their entrypoints, versions and constraints.
set -euo pipefail

root="$(cd "$(dirname "$0")/../.." && pwd)"
work="${STANDIN_WORK:-$(mktemp --directory -t retrain-standin.XXXXXX)}"
keep="${1:-}"
airflow_version="$(sed -n 's/^ARG AIRFLOW_VERSION=//p' "$root/docker/Dockerfile")"
certificates=/etc/ssl/certs/ca-certificates.crt
services="postgres s3 mlflow api-server scheduler dag-processor triggerer"
daemon=""
export DOCKER_CONFIG="$work/docker"
mkdir -p "$work/context" "$DOCKER_CONFIG/cli-plugins"

say() { printf '\n== %s (%s s)\n' "$*" "$SECONDS"; }
compose() { docker compose --env-file "$work/env" --file "$root/docker/compose.yaml" --project-name retrain-standin "$@"; }

finish() {
    status=$?
    if [ "$status" -ne 0 ] && [ -f "$work/env" ]; then compose ps --all || true; compose logs --tail 40 || true; fi
    if [ "$keep" != --keep ]; then
        if [ -f "$work/env" ]; then compose down --volumes --timeout 20 || true; fi
        if [ -n "$daemon" ]; then kill "$daemon"; fi
    fi
    exit "$status"
}
trap finish EXIT

start_daemon() {
    if docker info > /dev/null 2>&1; then return; fi
    dockerd --bridge=none --iptables=false --ip-forward=false > "$work/dockerd.log" 2>&1 &
    daemon=$!
    for _ in $(seq 60); do if docker info > /dev/null 2>&1; then return; fi; sleep 0.5; done
    tail "$work/dockerd.log"; return 1
}

make_root() {
    if docker image inspect retrain-standin-root > /dev/null 2>&1; then return; fi
    local packages=ca-certificates,python3,python3-venv,curl,dumb-init,git,gosu,postgresql,busybox-static
    debootstrap --variant=minbase --include="$packages" bookworm "$work/root" > "$work/debootstrap.log"
    # Downloads inside a build trust what this machine trusts. That belongs here, never into the project's Dockerfile.
    cp "$certificates" "$work/root$certificates"
    rm -rf "$work"/root/var/cache/apt/archives/*.deb
    tar --directory "$work/root" --exclude=./proc --exclude=./sys --create . | docker import \
        --change "ENV PIP_CERT=$certificates SSL_CERT_FILE=$certificates PIP_DISABLE_PIP_VERSION_CHECK=1" \
        - retrain-standin-root > /dev/null
}

stand_in() { # target, name of the image it stands for
    docker build --quiet --network host --target "$1" --tag "$2" --build-arg "AIRFLOW_VERSION=$airflow_version" \
        "$work/context" > /dev/null
}

make_secrets() {
    sed -E '/^[A-Z0-9_]+=$/!d' "$root/docker/.env.example" | while read -r line; do
        case "$line" in
            AIRFLOW_FERNET_KEY=) echo "$line$(openssl rand -base64 32 | tr '+/' '-_')" ;;
            *) echo "$line$(openssl rand -hex 24)" ;;
        esac
    done > "$work/env"
    chmod 600 "$work/env"
}

await_healthy() {
    for _ in $(seq 100); do
        local waiting=""
        for service in $services; do
            [ "$(compose ps "$service" --format '{{.Health}}')" = healthy ] || waiting="$waiting $service"
        done
        if [ -z "$waiting" ]; then return; fi
        sleep 3
    done
    echo "not healthy:$waiting"; return 1
}

expect() { # what, expected, found
    if [ "$2" != "$3" ]; then echo "FAILED $1: expected $2, found $3"; return 1; fi
    echo "ok     $1"
}

in_scheduler() { compose exec -T scheduler "$@"; }

http() { in_scheduler curl --silent --output /dev/null --write-out '%{http_code}' "$@" || true; }

look() {
    # shellcheck disable=SC1091
    . "$work/env"
    local token_body ledger
    token_body="{\"username\": \"admin\", \"password\": \"$AIRFLOW_ADMIN_PASSWORD\"}"
    expect "Airflow refuses the nameless" 401 "$(http http://api-server:8080/api/v2/dags)"
    expect "Airflow lets its administrator in" 201 \
        "$(http --header 'Content-Type: application/json' --data "$token_body" http://api-server:8080/auth/token)"
    expect "MLflow refuses the nameless" 401 "$(http http://mlflow:5000/api/2.0/mlflow/experiments/get?experiment_id=0)"
    expect "MLflow refuses a host it does not know" 403 \
        "$(http --header 'Host: evil.example' http://mlflow:5000/api/2.0/mlflow/experiments/get?experiment_id=0)"
    in_scheduler env MLFLOW_TRACKING_URI=http://mlflow:5000 MLFLOW_TRACKING_USERNAME=retrain \
        MLFLOW_TRACKING_PASSWORD="$MLFLOW_ADMIN_PASSWORD" python - <<'PYTHON'
import boto3
import mlflow

with mlflow.start_run() as run:
    mlflow.log_text("kept", "proof.txt")
keys = [o["Key"] for o in boto3.client("s3").list_objects_v2(Bucket="mlflow")["Contents"]]
assert any(run.info.run_id in key and key.endswith("proof.txt") for key in keys), keys
print("ok     an artifact sent to MLflow lies in the object store")
PYTHON
    ledger="postgresql://retrain:$LEDGER_DB_PASSWORD@postgres:5432/retrain"
    in_scheduler env RETRAIN_LEDGER="$ledger" retrain ledger verify
    expect "the ledger's role cannot read Airflow's tables" refused "$(in_scheduler python -c "
import psycopg2, sys
try:
    psycopg2.connect('${ledger%/retrain}/airflow')
    print('connected')
except psycopg2.OperationalError:
    print('refused')")"
    in_scheduler airflow providers list --output plain | grep retrain
}

say "engine"; start_daemon; "$root/docker/standin/plugins.sh" "$DOCKER_CONFIG/cli-plugins"; docker compose version
say "stand-in bases"
make_root
cp "$root"/docker/standin/{Dockerfile,postgres.sh,s3.py} "$work/context/"
sed -nE 's/^([A-Za-z0-9._-]+==[^\\]+)\\$/\1/p' "$root/requirements/tested.txt" > "$work/context/pins.txt"
stand_in airflow "apache/airflow:$airflow_version"
for service in postgres s3; do
    stand_in "$service" "$(sed -n "/^  $service:\$/,/image:/s/.*image: //p" "$root/docker/compose.yaml")"
done
say "image"
docker build --network host --file "$root/docker/Dockerfile" \
    --tag "$(sed -n 's/^  image: //p' "$root/docker/compose.yaml" | head --lines 1)" --progress plain "$root" > "$work/build.log" 2>&1 \
    || { tail -30 "$work/build.log"; exit 1; }
say "start"; make_secrets; compose config --quiet; compose up --detach --no-build --quiet-pull; await_healthy
say "healthy"; compose ps --all --format '{{.Service}}: {{.State}} {{.Health}} ({{.ExitCode}})'; look
say "a second start changes nothing"; compose up --detach --no-build > /dev/null 2>&1; await_healthy
say "all good"
