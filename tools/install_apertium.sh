#!/usr/bin/env bash
# Fetch Apertium (GPL), a translator by rules, for English to Spanish and Catalan, from the system's
# Debian or Ubuntu archive, to tools/downloads/apertium. It needs no root, and nothing is installed.
#
#   tools/install_apertium.sh
#   tools/downloads/apertium/apertium -u eng-spa < text        # or eng-cat
#
# A second call returns at once.
set -euo pipefail

tools=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=debian.sh
. "$tools/debian.sh"
packages=(apertium apertium-eng-spa apertium-eng-cat)
target=$tools/downloads/apertium

die() {
  echo "install_apertium.sh: $*" >&2
  exit 1
}

# unpack FOLDER: the packages in it, and the paths in them to where they lie.
unpack() {
  local package
  for package in "$1"/apt/*.deb; do dpkg -x "$package" "$1/unpacked"; done
  sed -i "s,'/usr/share/,'$target/unpacked/usr/share/,g" "$1"/unpacked/usr/share/apertium/modes/*.mode
}

# write_command FOLDER: `apertium` with libraries, programs and languages of our own.
write_command() {
  cat > "$1/apertium" << 'END'
#!/usr/bin/env bash
here=$(cd "$(dirname "$(readlink -f "$0")")" && pwd)
export PATH=$here/unpacked/usr/bin:$PATH
export APERTIUM_PATH=$here/unpacked/usr/bin APERTIUM_DATADIR=$here/unpacked/usr/share/apertium
for folder in "$here"/unpacked/usr/lib/*-linux-gnu* "$here"/unpacked/lib/*-linux-gnu*; do
  LD_LIBRARY_PATH=$folder${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
done
export LD_LIBRARY_PATH
exec apertium "$@"
END
  chmod +x "$1/apertium"
}

if [[ -x $target/apertium ]]; then
  echo "$target: complete, skipped"
  exit 0
fi
temporary=$target.tmp
rm -rf "$temporary"
mkdir -p "$temporary/apt"
update_lists "$temporary/apt"
needed=$(with_dependencies "$temporary/apt" "${packages[@]}")
needed=$(printf '%s\n' "${packages[@]}" "$needed" | sort -u)
# shellcheck disable=SC2086 # names
fetch_packages "$temporary/apt" $needed
unpack "$temporary"
write_command "$temporary"
rm -rf "$target" "$temporary/apt"
mv "$temporary" "$target"
said=$(echo "The house is red." | "$target/apertium" -u eng-spa)
[[ $said == *casa* ]] || {
  rm -rf "$target"
  die "what came from the archive does not translate: '$said'"
}
echo "$target: $(du -sh "$target" | cut -f 1)"
