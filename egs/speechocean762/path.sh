# shellcheck shell=bash
# Sourced by run.sh: where the commands are.
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
export PATH="$root/tools/venv/bin:$root/tools/mfa/bin:$PATH"
# Tables are sorted by bytes, as Kaldi's are.
export LC_ALL=C
