#!/usr/bin/env bash
# The one test command: sets everything up, then checks style and types and runs the tests.
#
#   tests/run.sh [--bench | --fuzz] [ARGUMENTS OF PYTEST...]
#
#   --bench    run the throughput comparisons in tests/bench, and nothing else
#   --fuzz     read 10,000 damaged files of all kinds, and nothing else; prints a table
set -euo pipefail

cd "$(dirname "$0")/.."
# A process a core, whose threads would only wait for each other; the tests of a file stay together,
# as they share what is costly to make, in the order of conftest.py.
selection=(-m "not bench" -n auto --dist loadfile --no-loadscope-reorder)
export OMP_NUM_THREADS=1
case ${1-} in
  -h | --help)
    sed -n '2,/^set/ { /^#/s/^# \{0,1\}//p }' "$0"
    exit 0
    ;;
  --bench)
    selection=(-m bench -s)
    unset OMP_NUM_THREADS
    shift
    ;;
  --fuzz)
    selection=(tests/fuzz --fuzz 10000)
    shift
    ;;
esac

tools/install.sh
tools/install_moonshine.sh
tools/install_chromium.sh
egs/asterisk/local/download.sh egs/asterisk/downloads/prompts
export PATH="$PWD/tools/venv/bin:$PATH"

echo "ruff"
ruff check --quiet --config tests/ruff.toml .
ruff format --quiet --check --config tests/ruff.toml . \
  || { echo "run: ruff format --config tests/ruff.toml ." >&2; exit 1; }
echo "mypy"
mypy --no-error-summary
echo "imports"
lint-imports --no-logo --no-cache > /dev/null || lint-imports --no-logo --no-cache
echo "pytest"
pytest "${selection[@]}" "$@"
