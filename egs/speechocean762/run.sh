#!/usr/bin/env bash
# speechocean762: three hours of English by 125 speakers, most of them not native. Compressed units,
# and recognisers of them, on speakers that neither model has heard.
#
#   egs/speechocean762/run.sh --corpus DIR [options]
#
# DIR is the corpus's train folder (OpenSLR 101): wav.scp, text, utt2spk, and the recordings.
#
# Stages (what is whole is skipped):
#   1  data dirs       100 speakers to train on, 10 for dev, 15 for the test
#   2  learn-kmeans    the codebook of Moonshine's third layer
#   3  dump-units
#   4  train-lm        forward and backward
#   5  score-entropy
#   6  segment         by every criterion, and the baselines
#   7  ASR             a recogniser for each stream and seed, decoded on the test speakers
#
# Options:
#   --stage N, --stop-stage N
#   --data DIR, --exp DIR
#   --lm-units raw|dedup, --lm-steps N
#   --rates "HZ ..."
#   --streams "NAME ..."        raw, dedup, or tags of stage 6
#   --seeds "N ..."
#   --asr-config FILE, --asr-steps N
#   --dry-run                   print the commands, and run none
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
corpus=
stage=1
stop_stage=7
data=$here/data
exp=$here/exp
lm_units=raw
lm_steps=2000
rates="15 7"
streams="raw dedup fixed2 fixed4 uniform15 rate15_global rate15_bidirectional rate7_global"
seeds="0 1 2"
asr_config=$here/conf/asr/small.yaml
asr_steps=4000
dry_run=false
# shellcheck source=utils/parse_options.sh
. "$here/utils/parse_options.sh"
[[ $# -eq 0 ]] || option_error "unexpected argument $1"
[[ -n $corpus || $stage -gt 1 ]] || option_error "--corpus is needed for stage 1"
for name in corpus data exp asr_config; do
  printf -v "$name" '%s' "$(realpath -m "${!name}")"
done
cd "$here"
. ./path.sh
. ./cmd.sh

titles=("" "data dirs" learn-kmeans dump-units train-lm score-entropy segment ASR)

run() {
  printf '+'
  printf ' %q' "$@"
  printf '\n'
  $dry_run || "$@"
}

stage_1() { run local/prepare_data.py "$corpus" "$data"; }

stage_2() { run "${cpu_cmd[@]}" entcomp learn-kmeans --sets train "$data" "$exp"; }

stage_3() { run "${cpu_cmd[@]}" entcomp dump-units "$data" "$exp"; }

stage_4() {
  for direction in forward backward; do
    run "${train_cmd[@]}" entcomp train-lm --config conf/lm/small.yaml --lm-units "$lm_units" \
      --direction "$direction" --max-steps "$lm_steps" "$data" "$exp"
  done
}

stage_5() {
  for direction in forward backward; do
    run "${train_cmd[@]}" entcomp score-entropy --direction "$direction" --calibration-sets dev \
      "$data" "$exp"
  done
}

stage_6() {
  run "${cpu_cmd[@]}" entcomp segment --criterion dedup "$data" "$exp"
  for window in 2 4; do
    run "${cpu_cmd[@]}" entcomp segment --window "$window" "$data" "$exp"
  done
  for rate in $rates; do
    for criterion in global relative combined bidirectional uniform random; do
      run "${cpu_cmd[@]}" entcomp segment --criterion "$criterion" --target-rate "$rate" \
        "$data" "$exp"
    done
  done
}

stage_7() {
  for stream in $streams; do
    for seed in $seeds; do
      run "${train_cmd[@]}" entcomp train-asr --segments "$stream" --tag "${stream}_seed$seed" \
        --config "$asr_config" --max-steps "$asr_steps" --seed "$seed" --sets train \
        --dev-sets dev "$data" "$exp"
      run "${train_cmd[@]}" entcomp decode --model "asr/${stream}_seed$seed" --sets test \
        "$data" "$exp"
    done
  done
}

for number in $(seq "$stage" "$stop_stage"); do
  echo "stage $number: ${titles[number]}"
  "stage_$number"
done
