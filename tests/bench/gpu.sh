#!/usr/bin/env bash
# What the GPU paths do, in ten minutes: a Markdown table, OUT/gpu.md.
#
#   tests/bench/gpu.sh OUT [--device cpu --size tiny]
#
# Entropy scoring and an LM's training step beside transformers' Llama, HuBERT, CALE beside a dense
# mask, train-asr, 2,000 steps of train-lm in each precision, and on several GPUs where there are.
# OUT/work has the experiments and what the commands said. PYTHON=... is another Python than that of
# tools/install.sh; packages that it lacks cost the rows that need them. It ends with 1 if a row failed.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
case ${1-} in
  '' | -*)
    sed -n '2,/^set/ { /^#/s/^# \{0,1\}//p }' "$0"
    exit 1
    ;;
esac
python=${PYTHON:-$root/tools/venv/bin/python}
command -v "$python" > /dev/null || {
  echo "gpu.sh: no $python; run tools/install.sh, or set PYTHON" >&2
  exit 1
}
export PYTHONPATH="$root${PYTHONPATH:+:$PYTHONPATH}"
exec "$python" "$root/tests/bench/gpu.py" "$@"
