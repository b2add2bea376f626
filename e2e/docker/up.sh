#!/usr/bin/env bash
# Starts a Docker daemon and a registry of images on loopback of this machine, for a build where neither is there and no
# registry on the internet can be reached: the public bases of the Dockerfile are made of this machine's files. Both run
# until the process group of the caller ends, or e2e/docker/down.sh FOLDER.
#
# Usage: e2e/docker/up.sh FOLDER PORT   (root, Debian)
#   FOLDER gets all state; the daemon listens at unix://FOLDER/docker.sock, the registry at localhost:PORT
set -euo pipefail
folder=$1 port=$2
cd "$(dirname "$0")/../.."
mkdir -p "$folder"
for package in docker.io docker-registry; do
  dpkg -s "$package" > /dev/null 2>&1 ||
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$package" > /dev/null
done

# Its commands use the network of this machine: there is no bridge, and no rule of iptables is touched.
dockerd --iptables=false --bridge=none --host "unix://$folder/docker.sock" --pidfile "$folder/docker.pid" \
  --data-root "$folder/data" --exec-root "$folder/exec" > "$folder/docker.log" 2>&1 &
cat > "$folder/registry.yml" << Y
version: 0.1
storage: {filesystem: {rootdirectory: $folder/registry}}
http: {addr: "127.0.0.1:$port"}
log: {level: error, accesslog: {disabled: true}}
Y
docker-registry serve "$folder/registry.yml" > "$folder/registry.log" 2>&1 &
echo $! > "$folder/registry.pid"

image/offline-bases.sh "$folder/bases"
builder=$folder/bases/builder
# npm's own configuration, and what `npm ci` has fetched here, which is not asked for again.
{ cat "$HOME/.npmrc" 2> /dev/null || true; echo; echo prefer-offline=true; } > "$builder/root/.npmrc"
cp /etc/npmrc "$builder/etc/" 2> /dev/null || true
cp -r /etc/ssl "$builder/etc/"
mkdir -p "$builder/usr/share" "$builder/root/.npm"
cp -r /usr/share/ca-certificates "$builder/usr/share/" 2> /dev/null || true
cp -rl "$(npm config get cache)/_cacache" "$builder/root/.npm/" 2> /dev/null || true
export DOCKER_HOST=unix://$folder/docker.sock
for _ in $(seq 100); do docker version > /dev/null 2>&1 && break; sleep 0.1; done
as() { # TREE IMAGE: of the name that the Dockerfile has for it
  tar -C "$1" -c . | docker import --change 'ENV PATH=/usr/local/bin:/usr/bin:/bin' - "$2" > /dev/null
}
as "$folder/bases/builder" "$(sed -n 's/^ARG BUILD_BASE=//p' Dockerfile)"
as "$folder/bases/base" "$(sed -n 's/^ARG BASE=//p' Dockerfile)"
rm -rf "$folder/bases"
