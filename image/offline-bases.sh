#!/usr/bin/env bash
# Makes two trees of this machine's files that stand for the public bases of the Dockerfile where no registry of images
# can be reached: FOLDER/builder has npm, FOLDER/base the C libraries. `npm ci` must have run.
#
# Usage: image/offline-bases.sh FOLDER
set -euo pipefail
folder=$1
cd "$(dirname "$0")/.."
missing() {
  echo "image/offline-bases.sh: $1" >&2
  exit 2
}
node=$(ls "$PWD"/node_modules/node-linux-*/bin/node 2> /dev/null) ||
  missing "node_modules has no Node for this machine: run npm ci first"
npm=$(readlink -f "$(command -v npm)" || true)
modules=${npm%/npm/bin/npm-cli.js}
[ -d "$modules/npm" ] || missing "npm is not installed (Debian: apt-get install npm)"

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

accounts='root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n'
base=$folder/base
mkdir -p "$base"/{etc,tmp,home/nonroot}
chmod 1777 "$base/tmp"
printf "$accounts" > "$base/etc/passwd"
echo 'hosts: files dns' > "$base/etc/nsswitch.conf"
libraries "$base" "$node"
# libatomic comes with the build, as it must where the public base lacks it.
rm -f "$base"/usr/lib/*-linux-gnu/libatomic*

builder=$folder/builder
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
