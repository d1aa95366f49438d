#!/usr/bin/env bash
# Install Debian's Chromium, in which tests/report opens the page of `entcomp explore`.
#
#   tools/install_chromium.sh
#
# Where it cannot be installed, this says so, and those tests are left out.
set -euo pipefail

if command -v chromium > /dev/null; then
  echo "chromium: here, skipped"
elif [[ $EUID -eq 0 ]] && command -v apt-get > /dev/null; then
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium > /dev/null
else
  echo "no chromium: its tests are left out; as root, apt-get install chromium" >&2
fi
