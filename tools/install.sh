#!/usr/bin/env bash
# Set up Python for entcomp: an environment with PyTorch, ESPnet, entcomp itself, and the test tools.
#
#   tools/install.sh [--venv DIR]      DIR is tools/venv, unless it is given
#   PYTHON=python3.12 tools/install.sh
#
# Nothing is installed outside of DIR. A second call returns at once; one that was interrupted goes
# on where it stopped. DIR.log holds what pip said.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv=$root/tools/venv
# shellcheck source=../utils/parse_options.sh
. "$root/utils/parse_options.sh"

[[ $# -eq 0 ]] || option_error "unexpected argument $1"
venv=$(realpath -m "$venv")
python=${PYTHON:-python3}
stamp=$venv/installed.sha256
log=$venv.log

die() {
  echo "install.sh: $*" >&2
  exit 1
}

# Hash of all that the outcome depends on.
inputs() {
  {
    echo "$root $venv"
    cat "$root"/setup.cfg "$root"/pyproject.toml "$root"/tools/{install.sh,*.txt}
  } | sha256sum
}

# step TITLE COMMAND...: run a command with its output in the log and a clock on the terminal.
step() {
  local title=$1 begin=$SECONDS pid
  shift
  "$@" >> "$log" 2>&1 &
  pid=$!
  trap 'kill "$pid" 2> /dev/null; exit 130' INT TERM
  while [[ -t 1 ]] && kill -0 "$pid" 2> /dev/null; do
    printf '\r  %-44s %4d s' "$title" "$((SECONDS - begin))"
    sleep 0.5
  done
  wait "$pid" || {
    tail -n 20 "$log" >&2
    die "$title: failed; its output is in $log. Fix that and run again"
  }
  trap - INT TERM
  [[ ! -t 1 ]] || printf '\r'
  printf '  %-44s %4d s\n' "$title" "$((SECONDS - begin))"
}

check_python() {
  command -v "$python" > /dev/null || die "no $python; install Python >= 3.10, or set PYTHON"
  "$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' \
    || die "$("$python" --version) is too old; Python >= 3.10 is needed. Set PYTHON to one"
  "$python" -c 'import ensurepip, venv' 2> /dev/null \
    || die "$python has no venv module; on Debian and Ubuntu: apt-get install python3-venv"
}

# An environment that was not finished, or whose Python is gone, is made anew.
make_environment() {
  "$venv/bin/python" -m pip --version || "$python" -m venv --clear "$venv"
}

pip() {
  "$venv/bin/python" -m pip install -q --disable-pip-version-check \
    -c "$root/tools/constraints.txt" "$@"
}

# On PyPI torchaudio is built for CUDA; beside a CPU-only torch it imports only without its
# compiled part. entcomp uses transforms, features and models, which need none.
strip_torchaudio() {
  "$venv/bin/python" - << 'PYTHON'
import importlib.util
from pathlib import Path

import torch

folder = Path(importlib.util.find_spec("torchaudio").submodule_search_locations[0])
if torch.version.cuda is None:
    for library in folder.glob("lib/*.so"):
        library.unlink()
    print("  PyTorch is CPU-only: torchaudio goes without forced_align and rnnt_loss")
PYTHON
}

can_compile() {
  command -v cc > /dev/null || return
  "$venv/bin/python" -c 'import pathlib, sysconfig
assert pathlib.Path(sysconfig.get_path("include"), "Python.h").exists()' 2> /dev/null
}

check_imports() {
  "$venv/bin/python" -c '
import entcomp, faiss, onnxruntime, resemblyzer, torchaudio
import espnet.nets.batch_beam_search, espnet2.asr.ctc, espnet2.gan_tts.hifigan.loss
import espnet2.asr.encoder.conformer_encoder, espnet2.asr.decoder.transformer_decoder'
}

[[ ! -f $stamp || $(inputs) != "$(< "$stamp")" ]] || exit 0
check_python
mkdir -p "$(dirname "$venv")"
: > "$log"
# From here on the environment is no longer what an older stamp says.
rm -f "$stamp"
echo "Installing into $venv"
step "environment of $("$python" --version)" make_environment
step "setuptools" pip "setuptools" wheel
step "PyTorch" pip torch
step "torchaudio, ESPnet, Resemblyzer" pip --no-deps -r "$root/tools/requirements_nodeps.txt"
step "entcomp and what it imports" pip -r "$root/tools/requirements.txt" \
  -e "${root}[av,units,bpe,lm,scoring,vc,align,hub,lhotse,recipes,tests]"
strip_torchaudio
if can_compile; then
  step "ABX" pip -e "${root}[abx]"
else
  echo "  no C compiler, or no headers of Python: evaluate-units goes without --abx"
fi
step "imports" check_imports
inputs > "$stamp"
