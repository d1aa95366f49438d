#!/usr/bin/env bash
# Fetch the universal HiFi-GAN (MIT licence), `--vocoder universal`, to tools/downloads/hifigan.
set -euo pipefail

tools=$(cd "$(dirname "$0")" && pwd)
exec "$tools/../entcomp/tasks/vc/vocoders/install_hifigan.sh" "$tools/downloads/hifigan"
