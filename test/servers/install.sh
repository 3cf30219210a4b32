#!/bin/sh
# Installs the servers and tools that the tests need; run again, it finds everything there.
# One line per thing. What cannot be had is said out loud; on CI that is an error, elsewhere those tests are skipped.
set -u

cache=${KEYTURN_TEST_CACHE:-}
if [ -z "$cache" ]; then
  if [ "$(id -u)" = 0 ]; then cache=/var/cache/keyturn-test; else cache=$HOME/.cache/keyturn-test; fi
fi
export DEBIAN_FRONTEND=noninteractive
missing=0
fresh=

there() { printf '%-16s there\n' "$1"; }
lacks() {
  printf '!!! %-12s MISSING: %s\n' "$1" "$2" >&2
  missing=1
}
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi; }
may_root() { [ "$(id -u)" = 0 ] || sudo -n true 2>/dev/null; }

# One look at the newest package lists a run, and only if something is to be installed.
refresh() {
  [ -n "$fresh" ] && return 0
  fresh=yes
  as_root apt-get update -qq >/dev/null 2>&1
}

# need NAME FILE PACKAGE...: installs the packages unless the file is there.
need() {
  name=$1 file=$2
  shift 2
  if [ -e "$file" ]; then
    there "$name"
  elif ! command -v apt-get >/dev/null; then
    lacks "$name" 'this system has no apt-get'
  elif ! may_root; then
    lacks "$name" "needs root or sudo: apt-get install $*"
  elif refresh; as_root apt-get install -y -qq --no-install-recommends "$@" >/dev/null 2>&1 && [ -e "$file" ]; then
    printf '%-16s installed\n' "$name"
  else
    lacks "$name" "apt-get install $* failed"
  fi
}

is_oracle() { [ -x /usr/sbin/mysqld ] && /usr/sbin/mysqld --no-defaults --version 2>/dev/null | grep -qv -i mariadb; }

system() { (. /etc/os-release && eval "printf %s \"\${$1:-}\""); }

# The mirror of DISTRIBUTION that the system's own sources name; they may name a file of mirrors instead.
mirror() {
  [ "$(system ID)" = "$1" ] || return 0
  uri=$(apt-get indextargets --format '$(REPO_URI)' 'Identifier: Packages' 2>/dev/null | grep -m1 -e "/$1/*$" -e '^mirror+file:')
  case $uri in
    mirror+file:*) uri=${uri#mirror+file:} && grep -om1 'https\{0,1\}://[^[:space:]]*' "${uri%/}" ;;
    *) printf '%s' "$uri" ;;
  esac
}

# unpack NAME FOLDER PROGRAM SUITE COMPONENTS MIRROR PACKAGES: a newer suite's (or a conflicting) server, beside the system's.
unpack() {
  name=$1 folder=$cache/$2 program=$3 suite=$4 components=$5 from=$6 packages=$7
  if [ -e "$folder$program" ]; then
    there "$name"
  elif [ -z "$from" ]; then
    lacks "$name" "the system's apt sources name no mirror for $suite"
  elif ! may_root || ! command -v mmdebstrap >/dev/null; then
    lacks "$name" 'unpacking needs mmdebstrap, and root or sudo'
  elif
    as_root mkdir -p "$cache" && as_root rm -rf "$folder.part" &&
      as_root mmdebstrap --quiet --variant=extract --mode=root --include="$packages" \
        --aptopt='Acquire::Check-Valid-Until "false"' "$suite" "$folder.part" "deb $from $suite $components" &&
      as_root chmod 755 "$folder.part" && as_root mv -T "$folder.part" "$folder"
  then
    printf '%-16s unpacked into %s\n' "$name" "$folder"
  else
    lacks "$name" "mmdebstrap of $suite failed"
  fi
}

need git "$(command -v git || echo /usr/bin/git)" git
need age "$(command -v age || echo /usr/bin/age)" age
need openssl "$(command -v openssl || echo /usr/bin/openssl)" openssl
need sshd /usr/sbin/sshd openssh-server openssh-client
need sudo "$(command -v sudo || echo /usr/bin/sudo)" sudo

# PerSourcePenalties came with OpenSSH 9.8. Where the system's is older and no newer one can be had, one test is skipped.
older() { sshd -V 2>&1 | sed -n 's/^OpenSSH_\([0-9]*\)\.\([0-9]*\).*/\1 \2/p' | { read -r a b && [ $((a * 100 + b)) -lt 908 ]; }; }
if [ "$(system ID)" = debian ] && PATH=$PATH:/usr/sbin older; then
  if [ ! -e "$cache/trixie-openssh/usr/sbin/sshd" ]; then need mmdebstrap /usr/bin/mmdebstrap mmdebstrap; fi
  unpack newer-openssh trixie-openssh /usr/sbin/sshd trixie main "$(mirror debian)" openssh-server
fi

if is_oracle; then
  # Their packages exclude each other, so MariaDB is only unpacked.
  there 'mysql'
  if [ ! -e "$cache/mariadb/usr/sbin/mariadbd" ]; then need mmdebstrap /usr/bin/mmdebstrap mmdebstrap; fi
  if [ "$(system ID)" = ubuntu ]; then parts='main universe'; else parts=main; fi
  unpack mariadb mariadb /usr/sbin/mariadbd "$(system VERSION_CODENAME)" "$parts" "$(mirror "$(system ID)")" \
    mariadb-server-core,mariadb-client-core
else
  need mariadb /usr/sbin/mariadbd mariadb-server-core mariadb-client-core
  if [ ! -e "$cache/sid-mysql/usr/sbin/mysqld" ]; then need mmdebstrap /usr/bin/mmdebstrap mmdebstrap; fi
  unpack mysql sid-mysql /usr/sbin/mysqld sid main "$(mirror debian)" mysql-server-core,mysql-client-core
fi

# moto plays AWS; a suite that has it is unpacked with its own Python.
if [ ! -e "$cache/moto/usr/lib/python3/dist-packages/moto" ]; then need mmdebstrap /usr/bin/mmdebstrap mmdebstrap; fi
unpack moto moto /usr/lib/python3/dist-packages/moto trixie main "$(mirror debian)" python3-moto,python3-flask,python3-flask-cors

# The password plugins are in the full server's package, which is only unpacked: it would start a service.
plugin=usr/lib/mysql/plugin/simple_password_check.so
if [ -e "/$plugin" ] || [ -e "$cache/mariadb-plugins/$plugin" ]; then
  there mariadb-plugins
else
  scratch=$(mktemp -d)
  chmod 755 "$scratch"
  may_root && refresh
  if
    (cd "$scratch" && apt-get download -qq mariadb-server >/dev/null 2>&1 && dpkg -x mariadb-server_*.deb unpacked) &&
      { mkdir -p "$cache" 2>/dev/null || as_root mkdir -p "$cache"; } &&
      { mv "$scratch/unpacked" "$cache/mariadb-plugins" 2>/dev/null || as_root mv "$scratch/unpacked" "$cache/mariadb-plugins"; }
  then
    printf '%-16s unpacked into %s\n' mariadb-plugins "$cache/mariadb-plugins"
  else
    lacks mariadb-plugins 'apt-get download mariadb-server failed'
  fi
  rm -rf "$scratch"
fi

[ "$missing" = 0 ] && exit 0
[ -n "${CI:-}" ] && exit 1
echo '!!! the tests that need what is missing will be SKIPPED' >&2
exit 0
