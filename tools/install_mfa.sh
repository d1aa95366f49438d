#!/usr/bin/env bash
# Set up the Montreal Forced Aligner in a conda environment of its own, with its English models.
#
#   tools/install_mfa.sh
#
# Afterwards put tools/mfa/bin on PATH; `entcomp align --aligner auto` finds `mfa` there.
set -euo pipefail

version=3.4.3
environment=$(cd "$(dirname "$0")" && pwd)/mfa

die() {
  echo "install_mfa.sh: $*" >&2
  exit 1
}

for conda in mamba micromamba conda none; do
  command -v "$conda" > /dev/null && break
done
[[ $conda != none ]] || die "no conda here, and MFA needs what only conda-forge has (kalpy)." \
  "entcomp align works without: --aligner pocketsphinx needs nothing else"

if [[ ! -x $environment/bin/mfa ]]; then
  "$conda" create --yes --prefix "$environment" --channel conda-forge \
    "montreal-forced-aligner=$version"
fi
export PATH="$environment/bin:$PATH"
mfa model download acoustic english_us_arpa
mfa model download dictionary english_us_arpa
echo "Done. Now: export PATH=$environment/bin:\$PATH"
