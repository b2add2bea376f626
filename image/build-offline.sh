#!/usr/bin/env bash
# Builds the image without a daemon and where no registry of images can be reached: Debian's buildah, and two bases made
# of this machine's files in place of the public ones (npm for the builder, C libraries for the image).
#
# Usage: image/build-offline.sh NAME:TAG ARCHIVE.tar   (root; npm ci must have run, its cache is used)
set -euo pipefail
cd "$(dirname "$0")/.."
name=$1 archive=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export BUILDAH_ISOLATION=chroot
buildah() { command buildah --root "$work/storage" --runroot "$work/run" --storage-driver vfs "$@"; }
node=$(ls "$PWD"/node_modules/node-linux-*/bin/node)

# libraries ROOT PROGRAM...: the dynamic libraries of programs, where they are here
libraries() {
  local root=$1
  shift
  { for program in "$@"; do ldd "$program" | grep -oE '/[^ ]+\.so[^ ]*' || true; done
    ls /lib/*-linux-gnu/libnss_{files,dns}.so.2 /lib/*-linux-gnu/libresolv.so.2 2> /dev/null || true
  } | sort -u | while read -r library; do
    real=$(readlink -f "$(dirname "$library")")/$(basename "$library")
    mkdir -p "$root$(dirname "$real")"
    cp -L "$real" "$root$real"
  done
  # The loader is looked for in /lib64, Debian's folders are links into /usr.
  for link in lib lib64; do
    [ -L "/$link" ] && [ ! -e "$root/$link" ] && cp -P "/$link" "$root/$link"
  done
  true
}

base() { # base NAME ROOT
  local container
  container=$(buildah from scratch)
  buildah add -q "$container" "$2" / > /dev/null
  buildah config --env PATH=/usr/local/bin:/usr/bin:/bin "$container"
  buildah commit -q "$container" "$1" > /dev/null
  buildah rm "$container" > /dev/null
}

accounts='root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n'
final=$work/final
mkdir -p "$final"/{etc,tmp,home/nonroot}
chmod 1777 "$final/tmp"
printf "$accounts" > "$final/etc/passwd"
echo 'hosts: files dns' > "$final/etc/nsswitch.conf"
libraries "$final" "$node"
# libatomic comes with the build, as it must where the public base lacks it.
rm -f "$final"/usr/lib/*-linux-gnu/libatomic*
base localhost/base:offline "$final"

builder=$work/builder
npm=$(readlink -f "$(command -v npm)")
modules=${npm%/npm/bin/npm-cli.js}
mkdir -p "$builder"/{etc,tmp,usr/local/bin,usr/bin,root} "$builder$modules"
chmod 1777 "$builder/tmp"
printf "$accounts" > "$builder/etc/passwd"
cp -r "$modules/." "$builder$modules/"
cp "$node" "$builder/usr/local/bin/node"
printf '#!/bin/sh\nexec /usr/local/bin/node %s/npm/bin/npm-cli.js "$@"\n' "$modules" > "$builder/usr/local/bin/npm"
chmod +x "$builder/usr/local/bin/npm"
libraries "$builder" "$node" /bin/sh /usr/bin/cp /usr/bin/mkdir /usr/bin/chown /usr/bin/env
[ -L /bin ] && ln -s usr/bin "$builder/bin"
cp /bin/sh /usr/bin/cp /usr/bin/mkdir /usr/bin/chown /usr/bin/env "$builder/usr/bin/"
base localhost/builder:offline "$builder"

# npm's own configuration and cache come from this machine and stay out of the image.
# What `npm ci` has fetched here is not asked for again.
npmrc=$work/npmrc
{ cat "$HOME/.npmrc" 2> /dev/null || true; echo; echo prefer-offline=true; } > "$npmrc"
volumes=(--volume "$npmrc:/root/.npmrc:ro")
for file in /etc/npmrc /usr/etc/npmrc; do [ -f "$file" ] && volumes+=(--volume "$file:$file:ro"); done
[ -d /etc/ssl/certs ] && volumes+=(--volume /etc/ssl:/etc/ssl:ro)
[ -d /usr/share/ca-certificates ] && volumes+=(--volume /usr/share/ca-certificates:/usr/share/ca-certificates:ro)
# What is built is what skaffold.yaml says, for it is built nowhere else without a registry.
mapfile -t build < <("$node" image/skaffold-build.ts)
[ "${#build[@]}" -gt 0 ]
cache=$(npm config get cache)
mkdir -p "$cache"
buildah build -q --network host \
  --build-arg BUILD_BASE=localhost/builder:offline --build-arg BASE=localhost/base:offline \
  --build-arg "VERSION=$("$node" -p 'require("./package.json").version')" \
  --build-arg "REVISION=$(git rev-parse HEAD 2> /dev/null || true)" \
  --env HOME=/root \
  "${volumes[@]}" --volume "$cache:/root/.npm:rw" \
  -t "$name" "${build[@]}" > /dev/null
rm -f "$archive"
buildah push -q "$name" "docker-archive:$archive:$name" > /dev/null
echo "$name is in $archive"
