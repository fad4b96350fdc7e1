#!/usr/bin/env bash
# Makes images out of this machine's own files, for places where no registry of images can be reached.
#
#   local-images.sh bases
#       ashlar-base holds what Node needs (glibc, libstdc++, certificates), ashlar-builder a shell, Node and npm besides:
#       docker build --build-arg BASE=ashlar-base --build-arg BUILDER=ashlar-builder -t ashlar .
#   local-images.sh tool IMAGE PROGRAM...
#       an image with these programs and their libraries
#
# Needs docker, and no other privileges.
set -euo pipefail

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT

# Every library that a program loads, at the same path.
add_libraries() {
  { ldd "$1" || true; } | grep -o '/[^ ]*' | while read -r library; do
    mkdir -p "$root$(dirname "$library")"
    cp -L "$library" "$root$library"
  done
}

add_program() {
  local path
  path=$(command -v "$1")
  install -D "$(readlink -f "$path")" "$root$path"
  add_libraries "$path"
}

add_folder() {
  mkdir -p "$root$(dirname "$1")"
  cp -aL "$1" "$root$1"
}

# What every image has: folders, links of /bin and /lib into /usr as on the machine itself, and how names are resolved.
add_system() {
  local name
  mkdir -p "$root"/{etc,proc,sys,dev,usr}
  for name in bin sbin lib lib64; do
    if [ -L "/$name" ]; then
      mkdir -p "$root/usr/$name"
      ln -s "usr/$name" "$root/$name"
    fi
  done
  mkdir -m 1777 "$root/tmp"
  echo 'root:x:0:0:root:/:/sbin/nologin' >"$root/etc/passwd"
  echo 'root:x:0:' >"$root/etc/group"
  echo 'hosts: files dns' >"$root/etc/nsswitch.conf"
  add_folder /etc/ssl/certs
  # Nothing links against these: glibc loads them when the first name is resolved.
  for name in libnss_dns.so.2 libnss_files.so.2 libresolv.so.2; do
    find /lib/*-linux-gnu -name "$name" -exec cp -L --parents {} "$root" \;
  done
}

# Node trusts its own list of authorities unless it is told to trust this machine's.
import() {
  tar -C "$root" --owner=0 --group=0 -c . |
    docker import --change 'ENV NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt' - "$1" >/dev/null
  echo "$1"
}

make_bases() {
  local npm program
  add_system
  add_libraries "$(command -v node)"
  import ashlar-base
  for program in node sh env uname; do add_program "$program"; done
  npm=$(readlink -f "$(command -v npm)")
  add_folder "$(dirname "$(dirname "$npm")")"
  mkdir -p "$root/usr/local/bin"
  printf '#!/bin/sh\nexec node %s "$@"\n' "$npm" >"$root/usr/local/bin/npm"
  chmod +x "$root/usr/local/bin/npm"
  import ashlar-builder
}

make_tool() {
  local image=$1 program
  shift
  add_system
  for program in "$@"; do add_program "$program"; done
  import "$image"
}

case "${1-}" in
  bases) make_bases ;;
  tool) shift && make_tool "$@" ;;
  *) sed -n '2,11s/^# \{0,1\}//p' "$0" >&2 && exit 2 ;;
esac
