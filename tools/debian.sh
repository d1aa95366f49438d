# shellcheck shell=bash
# Sourced by what takes files from the system's Debian or Ubuntu archive: without root, and without
# installing anything. apt-get keeps its lists and packages in a folder of ours.

# own_apt_get FOLDER ARGUMENTS...: as root it would drop to a user who cannot write there.
own_apt_get() {
  apt-get -q -o Dir::State::Lists="$1/lists" -o Dir::Cache="$1" -o Debug::NoLocking=1 \
    -o APT::Sandbox::User="$(id -un)" "${@:2}"
}

# update_lists FOLDER: what packages there are; the other functions need it.
update_lists() {
  local tool
  for tool in apt-get dpkg; do
    command -v "$tool" > /dev/null || {
      echo "${0##*/}: no $tool; this takes its files from Debian's archive" >&2
      return 1
    }
  done
  mkdir -p "$1/lists/partial" "$1/archives/partial"
  own_apt_get "$1" update
}

# with_dependencies FOLDER PACKAGE...: their names, and those of all they need that the system lacks.
with_dependencies() {
  own_apt_get "$1" --simulate --no-install-recommends install "${@:2}" | awk '$1 == "Inst" { print $2 }'
}

# fetch_packages FOLDER PACKAGE...: the .deb files, to FOLDER.
fetch_packages() {
  echo "Fetching ${*:2}"
  (cd "$1" && own_apt_get "$1" download "${@:2}")
}
