#!/usr/bin/env bash
# Makes the two images that the Dockerfile starts from out of this machine's own files, for places where no registry of
# images can be reached: `local-bases.sh`, then
#   docker build --build-arg BASE=ashlar-base --build-arg BUILDER=ashlar-builder -t ashlar .
# BASE holds what Node needs (glibc, libstdc++, certificates); BUILDER adds a shell, Node and npm. Needs no privileges
# but those of docker.
set -euo pipefail

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT

# A program with every library that it loads, at the same paths.
add_program() {
  local path
  path=$(readlink -f "$(command -v "$1")")
  install -D "$path" "$root/$(command -v "$1")"
  { ldd "$path" || true; } | grep -o '/[^ ]*' | while read -r library; do
    mkdir -p "$root$(dirname "$library")"
    cp -L "$library" "$root$library"
  done
}

add_folder() {
  mkdir -p "$root$(dirname "$1")"
  cp -aL "$1" "$root$1"
}

# Node trusts its own list of authorities unless it is told to trust this machine's.
import() {
  tar -C "$root" --owner=0 --group=0 -c . |
    docker import --change 'ENV NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt' - "$1" >/dev/null
  echo "$1"
}

mkdir -p "$root"/{etc,proc,sys,dev,usr/bin,usr/lib}
# Like the machine itself: /bin and /lib are links into /usr.
for name in bin sbin lib lib64; do
  [ -L "/$name" ] && mkdir -p "$root/usr/$name" && ln -s "usr/$name" "$root/$name"
done
mkdir -m 1777 "$root/tmp"
echo 'root:x:0:0:root:/:/sbin/nologin' >"$root/etc/passwd"
echo 'root:x:0:' >"$root/etc/group"
echo 'hosts: files dns' >"$root/etc/nsswitch.conf"
add_folder /etc/ssl/certs
add_program node
# Names are resolved by these, which nothing links against.
for library in libnss_dns.so.2 libnss_files.so.2 libresolv.so.2; do
  find /lib/x86_64-linux-gnu /lib/aarch64-linux-gnu -name "$library" -exec cp -L --parents {} "$root" \; 2>/dev/null || true
done
mv "$root$(command -v node)" "$root/../$(basename "$root").node"
trap 'rm -rf "$root" "$root.node"' EXIT
import ashlar-base

mkdir -p "$root/usr/local/bin"
mv "$root.node" "$root/usr/local/bin/node"
for program in sh env uname; do add_program "$program"; done
add_folder "$(dirname "$(dirname "$(readlink -f "$(command -v npm)")")")"
npm=$(readlink -f "$(command -v npm)")
printf '#!/bin/sh\nexec node %s "$@"\n' "$npm" >"$root/usr/local/bin/npm"
chmod +x "$root/usr/local/bin/npm"
import ashlar-builder
