#!/usr/bin/env bash
# Boundaries from real HuBERT-base units (K=100): the LM on VCTK and half of LJSpeech's validation
# set, the scores on the other half against its MFA TextGrids.
#
#   local/hubert100.sh [options] SOURCE DIR
#
# SOURCE holds vctk/units.txt and lj_val/{units.txt,utt2spk,textgrids.tar.xz}. The units are CC BY-NC
# test material and come from elsewhere. DIR receives data/, align/, and an experiment for each kind
# of LM, raw and dedup: DIR/<kind>. The table is DIR/<kind>/align_eval/test.md.
#
# Options:
#   --lm-config FILE   see conf/lm/
#   --kinds "raw dedup"
#   --rates "HZ ..."
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
lm_config=$here/conf/lm/hubert100.yaml
kinds="raw dedup"
rates="15 12 10 8.5 7"
# shellcheck source=../utils/parse_options.sh
. "$here/utils/parse_options.sh"
[[ $# -eq 2 ]] || { echo "usage: hubert100.sh [options] SOURCE DIR" >&2; exit 1; }
source=$1
dir=$2
lm_config=$(realpath "$lm_config")
# shellcheck source=../path.sh
. "$here/path.sh"

# of_set NAME FILE: the lines of an LJSpeech table that belong to a set. Every second utterance is
# for the test, every twentieth for dev.
of_set() {
  awk -v want="$1" '{ set = NR % 2 == 0 ? "test" : NR % 20 == 1 ? "dev" : "train" } set == want' "$2"
}

# segment OPTIONS...: a rate that a criterion cannot reach is said, and ends nothing.
segment() {
  entcomp segment "$@" 2> "$dir/segment.err" && return
  grep 'out of reach' "$dir/segment.err" || { cat "$dir/segment.err" >&2; return 1; }
}

mkdir -p "$dir"/data/{train,dev,test} "$dir/align"
for set in train dev test; do
  for table in units.txt utt2spk; do
    of_set "$set" "$source/lj_val/$table" > "$dir/data/$set/$table"
  done
done
for table in units.txt utt2spk; do
  sort -o "$dir/data/train/$table" "$dir/data/train/$table" "$source/vctk/$table"
done
tar -xJf "$source/lj_val/textgrids.tar.xz" -C "$dir/align" --strip-components=1

# Seconds: where entcomp has frame 0 of HuBERT begin.
offset=$(python3 -c 'from entcomp.units.extractor import HUBERT_GRID; print(HUBERT_GRID.offset / 16000)')
for kind in $kinds; do
  exp=$dir/$kind
  for set in train dev test; do
    entcomp import-units --format text --num-clusters 100 --frame-shift 0.02 \
      --receptive-offset "$offset" "$dir/data/$set/units.txt" "$dir/data/$set" "$exp"
  done
  for direction in forward backward; do
    entcomp train-lm --config "$lm_config" --lm-units "$kind" --direction "$direction" \
      --sets train --dev-sets dev "$dir/data" "$exp"
    entcomp score-entropy --direction "$direction" --sets dev,test --calibration-sets dev \
      "$dir/data" "$exp"
  done
  for rate in $rates; do
    for options in "global" "relative" "combined" "peak" "bidirectional" "bidirectional --peaks"; do
      # shellcheck disable=SC2086
      segment --criterion $options --target-rate "$rate" --sets test "$dir/data" "$exp"
    done
  done
  segment --criterion dedup --sets test "$dir/data" "$exp"
  entcomp align-eval --sets test --alignments "$dir/align" "$dir/data" "$exp"
done
