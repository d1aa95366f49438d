#!/usr/bin/env bash
# Kills the asterisk recipe at random points of all its stages, runs it again, and compares bytes.
#
#   tests/fuzz/kill_recipe.sh [options]
#
#   --points N        points to kill it at (default: 200)
#   --seed N          of the points (default: 0)
#   --seconds N       begin no further point after so long; the report says how many were left
#   --stages A-B      (default: 1-14)
#   --folder DIR      where it works; removed at the end (default: a temporary folder)
#
# The subset is of about 60 prompts a language, the models are tiny. Needs the prompts: run
# egs/asterisk/run.sh --stop-stage 0 first. (Stage 0, installers and downloads, is not killed.)
# Prints a line for each point and a table by stage; exits with 1 if any bytes differ.
set -euo pipefail

case ${1-} in
  -h | --help)
    sed -n '2,/^set/ { /^#/s/^# \{0,1\}//p }' "$0"
    exit 0
    ;;
esac
root=$(cd "$(dirname "$0")/../.." && pwd)
export PATH="$root/tools/venv/bin:$PATH" PYTHONPATH="$root:$root/tests/recipes" OMP_NUM_THREADS=1
exec nice python "$root/tests/fuzz/kill_recipe.py" "$@"
