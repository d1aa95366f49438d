#!/usr/bin/env bash
# Fetch the Asterisk prompts of five languages from the system's Debian or Ubuntu archive.
#
#   local/download.sh DIR
#
# Leaves DIR/<lang>/usr/share/{asterisk/sounds,doc} for en, es, fr, it, ru (55 MB to fetch). Needs
# no root: see tools/debian.sh.
# Licences: CC-BY-SA 3.0 (en, es, fr) and CC-BY 3.0 (it, ru); see the unpacked copyright files.
set -euo pipefail

# shellcheck source=../../../tools/debian.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../../tools/debian.sh"
languages=(en es fr it ru)

die() {
  echo "download.sh: $*" >&2
  exit 1
}

fetch() {
  local packages=()
  for language in "$@"; do
    packages+=("asterisk-core-sounds-$language" "asterisk-core-sounds-$language-g722")
  done
  update_lists "$apt"
  fetch_packages "$apt" "${packages[@]}"
}

# Unpack one language and check what arrived; it takes its final name only when it is whole.
unpack() {
  local language=$1 temporary="$dir/.$1.tmp" prompts
  rm -rf "$temporary"
  for package in "$apt/asterisk-core-sounds-${language}_"*.deb \
    "$apt/asterisk-core-sounds-$language-g722_"*.deb; do
    dpkg -x "$package" "$temporary"
  done
  prompts=$(find "$temporary/usr/share/asterisk/sounds" -name '*.g722' | wc -l)
  [[ $prompts -ge 500 ]] || die "$language: only $prompts prompts arrived; run again"
  gzip -t "$temporary/usr/share/doc/asterisk-core-sounds-$language/core-sounds-$language.txt.gz" \
    || die "$language: no transcripts arrived; run again"
  mv "$temporary" "$dir/$language"
  echo "$language: $prompts prompts"
}

[[ $# -eq 1 ]] || die "usage: local/download.sh DIR"
mkdir -p "$1"
dir=$(cd "$1" && pwd)
apt=$dir/.apt

missing=()
for language in "${languages[@]}"; do
  [[ -d $dir/$language ]] || missing+=("$language")
done
if [[ ${#missing[@]} -eq 0 ]]; then
  echo "$dir: complete, skipped"
  exit 0
fi
fetch "${missing[@]}"
for language in "${missing[@]}"; do
  unpack "$language"
done
rm -rf "$apt"
