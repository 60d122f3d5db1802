#!/bin/bash
# Puts Docker Compose v2 and buildx into a folder of client plugins, for a docker client that has neither.
#
#   docker/standin/plugins.sh "$DOCKER_CONFIG/cli-plugins"
#
# They are not in Debian 12; their files from Debian 13 run there. The mirror is the one that apt uses. Needs apt and a
# docker client, no root rights, no daemon.
set -euo pipefail

target="$1"
if docker compose version > /dev/null 2>&1 && docker buildx version > /dev/null 2>&1; then exit 0; fi
apt="$(mktemp --directory -t retrain-plugins.XXXXXX)"
trap 'rm -rf "$apt"' EXIT
mirror="$(apt-get indextargets --format '$(SITE)' | head --lines 1)"
mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$target"
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror trixie main" > "$apt/sources.list"
options=(-qq -o "Dir::Etc::sourcelist=$apt/sources.list" -o Dir::Etc::sourceparts=- -o "Dir::State::lists=$apt/lists"
    -o "Dir::Cache=$apt/cache" -o "APT::Sandbox::User=$(id --user --name)")
apt-get "${options[@]}" update
(cd "$apt" && apt-get "${options[@]}" download docker-compose docker-buildx)
for package in "$apt"/*.deb; do dpkg-deb --extract "$package" "$apt/files"; done
cp "$apt"/files/usr/libexec/docker/cli-plugins/* "$target/"
