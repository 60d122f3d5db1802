#!/bin/sh
# Behaves like the entrypoint of the official image as far as compose.yaml needs it: fills an empty volume, runs
# /docker-entrypoint-initdb.d on a server without TCP, then serves.
set -eu
PATH="$(echo /usr/lib/postgresql/*/bin):$PATH"
export PGDATA=/var/lib/postgresql/data POSTGRES_USER=postgres

if [ ! -s "$PGDATA/PG_VERSION" ]; then
    mkdir -p "$PGDATA" && chown postgres "$PGDATA" && chmod 700 "$PGDATA"
    printf '%s\n' "$POSTGRES_PASSWORD" > /tmp/password && chown postgres /tmp/password
    gosu postgres initdb --auth-local=trust --auth-host=scram-sha-256 --pwfile=/tmp/password --encoding=UTF8
    rm /tmp/password
    echo "host all all all scram-sha-256" >> "$PGDATA/pg_hba.conf"
    gosu postgres pg_ctl --wait start --options "-c listen_addresses="
    for script in /docker-entrypoint-initdb.d/*.sh; do gosu postgres "$script"; done
    gosu postgres pg_ctl --wait stop
fi
exec gosu postgres postgres -c listen_addresses='*'
