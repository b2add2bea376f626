#!/usr/bin/env bash
# Builds the image without a daemon and where no registry of images can be reached: Debian's buildah, and two bases made
# of this machine's files in place of the public ones (npm for the builder, C libraries for the image).
#
# Usage: image/build-offline.sh NAME:TAG ARCHIVE.tar   (root; npm ci must have run, its cache is used)
set -euo pipefail
missing() {
  echo "image/build-offline.sh: $1" >&2
  exit 2
}
[ $# -eq 2 ] || missing "NAME:TAG and ARCHIVE.tar are wanted"
[ "$(id -u)" -eq 0 ] || missing "it has to run as root"
for program in buildah runc; do
  command -v $program > /dev/null || missing "$program is not installed (Debian: apt-get install buildah runc)"
done
cd "$(dirname "$0")/.."
name=$1 archive=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export BUILDAH_ISOLATION=chroot
buildah() { command buildah --root "$work/storage" --runroot "$work/run" --storage-driver vfs "$@"; }

base() { # base NAME ROOT
  local container
  container=$(buildah from scratch)
  buildah add -q "$container" "$2" / > /dev/null
  buildah config --env PATH=/usr/local/bin:/usr/bin:/bin "$container"
  buildah commit -q "$container" "$1" > /dev/null
  buildah rm "$container" > /dev/null
}

image/offline-bases.sh "$work"
base localhost/base:offline "$work/base"
base localhost/builder:offline "$work/builder"

# npm's own configuration and cache come from this machine and stay out of the image.
# What `npm ci` has fetched here is not asked for again.
npmrc=$work/npmrc
{ cat "$HOME/.npmrc" 2> /dev/null || true; echo; echo prefer-offline=true; } > "$npmrc"
volumes=(--volume "$npmrc:/root/.npmrc:ro")
for file in /etc/npmrc /usr/etc/npmrc; do [ -f "$file" ] && volumes+=(--volume "$file:$file:ro"); done
[ -d /etc/ssl/certs ] && volumes+=(--volume /etc/ssl:/etc/ssl:ro)
[ -d /usr/share/ca-certificates ] && volumes+=(--volume /usr/share/ca-certificates:/usr/share/ca-certificates:ro)
cache=$(npm config get cache)
mkdir -p "$cache"
buildah build -q --network host \
  --build-arg BUILD_BASE=localhost/builder:offline --build-arg BASE=localhost/base:offline \
  --build-arg "VERSION=$(node_modules/.bin/node -p 'require("./package.json").version')" \
  --build-arg "REVISION=$(git rev-parse HEAD 2> /dev/null || true)" \
  --env HOME=/root \
  "${volumes[@]}" --volume "$cache:/root/.npm:rw" \
  -t "$name" . > /dev/null
rm -f "$archive"
buildah push -q "$name" "docker-archive:$archive:$name" > /dev/null
echo "$name is in $archive"
