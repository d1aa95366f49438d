#!/usr/bin/env bash
# Fetch Moonshine-tiny (MIT licence), the default source of units, to tools/downloads/moonshine.
set -euo pipefail

tools=$(cd "$(dirname "$0")" && pwd)
exec "$tools/../entcomp/units/extractors/install_moonshine.sh" "$tools/downloads/moonshine"
