#!/usr/bin/env bash
# speechocean762: three hours of English by 125 speakers, most of them not native. Compressed units,
# and recognisers of them, on speakers that neither model has heard.
#
#   egs/speechocean762/run.sh --corpus DIR --prompts DIR [options]
#
# --corpus is the corpus's train folder (OpenSLR 101): wav.scp, text, utt2spk, spk2age, recordings.
# --prompts are the data dirs of egs/asterisk (its stages 0 and 1), read by professionals: with them
# the models have heard five languages, and clean speech beside learners'.
#
# Stages (what is complete is skipped):
#   1  data dirs       100 speakers to train on, 10 for dev, 15 for the test; sentences of its adults
#                      for VC; the prompts' own sets
#   2  learn-kmeans    the codebook of Moonshine's third layer
#   3  dump-units
#   4  train-lm        forward and backward
#   5  score-entropy
#   6  segment         by every criterion, and the baselines
#   7  align-eval      boundaries against the prompts' alignments by MFA
#   8  pack            the model that comes with entcomp        entcomp/pretrained/moonshine-l3-kK
#   9  ASR             a recogniser for each stream and seed, decoded on unseen speakers and prompts
#  10  results         error rates of all streams and seeds, with intervals, on standard output
#  11  VC              a voice converter for each stream and seed; unseen adults in each other's voices
#  12  VC results      what was said, whose voice it is, how it sounds; on standard output
#
# Options:
#   --stage N, --stop-stage N
#   --data DIR, --exp DIR
#   --num-clusters K, --whiten W, --max-frames N   of the codebook; see entcomp learn-kmeans
#   --pretrained DIR            where stage 8 puts the model
#   --lm-config FILE, --lm-units raw|dedup, --lm-steps N
#   --rates "HZ ..."
#   --streams "NAME ..."        raw, dedup, or tags of stage 6
#   --seeds "N ..."
#   --asr-config FILE, --asr-steps N
#   --vc-streams "NAME ..."     for VC; what the first one learnt, the others start from
#   --vc-config FILE, --vc-steps N  of the first stream; an eighth for the others
#   --vc-seeds "N ..."
#   --nj N                      models at a time (default: one a processor)
#   --dry-run                   print the commands, and run none
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
corpus=
prompts=$here/../asterisk/data
stage=1
stop_stage=12
data=$here/data
exp=$here/exp
num_clusters=500
whiten=0.0
max_frames=128000
pretrained=$here/../../entcomp/pretrained
lm_config=$here/conf/lm/pretrained.yaml
lm_units=raw
lm_steps=
rates="24 15 7"
streams="raw dedup fixed2 fixed4 uniform15 rate15_global rate15_bidirectional rate7_global"
seeds="0 1 2"
asr_config=$here/conf/asr/small.yaml
asr_steps=
vc_streams="rate24_global raw dedup rate15_global rate7_global"
vc_config=$here/conf/vc/small_long.yaml
vc_steps=12000
vc_seeds="0 1 2"
nj=$(nproc)
dry_run=false
# shellcheck source=utils/parse_options.sh
. "$here/utils/parse_options.sh"
[[ $# -eq 0 ]] || option_error "unexpected argument $1"
[[ -n $corpus || $stage -gt 1 ]] || option_error "--corpus is needed for stage 1"
for name in corpus prompts data exp pretrained lm_config asr_config vc_config; do
  [[ -z ${!name} ]] || printf -v "$name" '%s' "$(realpath -m "${!name}")"
done
cd "$here"
. ./path.sh
. ./cmd.sh
# shellcheck source=utils/recipe.sh
. utils/recipe.sh

# Seconds, chosen on dev_en by egs/asterisk: Moonshine's units turn so much before the middle of what
# they cover.
unit_shift=-0.016
titles=("" "data dirs" learn-kmeans dump-units train-lm score-entropy segment align-eval pack ASR results
  VC "VC results")

stage_1() {
  run local/prepare_data.py "$corpus" "$data"
  run cp -R "$prompts"/{train,dev,test}_{en,es,fr,it,ru} "$data"
}

stage_2() {
  run "${cpu_cmd[@]}" entcomp learn-kmeans --sets 'train*' --num-clusters "$num_clusters" \
    --whiten "$whiten" --max-frames "$max_frames" "$data" "$exp"
}

stage_3() { run "${cpu_cmd[@]}" entcomp dump-units "$data" "$exp"; }

stage_4() {
  for direction in forward backward; do
    run "${train_cmd[@]}" entcomp train-lm --config "$lm_config" --lm-units "$lm_units" \
      --direction "$direction" ${lm_steps:+--max-steps "$lm_steps"} "$data" "$exp"
  done
}

stage_5() {
  for direction in forward backward; do
    run "${train_cmd[@]}" entcomp score-entropy --direction "$direction" \
      --calibration-sets dev,dev_en "$data" "$exp"
  done
}

stage_6() {
  run "${cpu_cmd[@]}" entcomp segment --criterion dedup "$data" "$exp"
  for window in 2 3 4; do
    run "${cpu_cmd[@]}" entcomp segment --criterion fixed --window "$window" "$data" "$exp"
  done
  for rate in $rates; do
    for criterion in global relative combined bidirectional uniform random; do
      run "${cpu_cmd[@]}" entcomp segment --criterion "$criterion" --target-rate "$rate" \
        "$data" "$exp"
    done
  done
}

stage_7() {
  run mkdir -p "$exp/align_mfa"
  run tar -xJf ../asterisk/mfa/textgrids.tar.xz -C "$exp/align_mfa"
  run "${cpu_cmd[@]}" entcomp align-eval --sets test_en --shift "$unit_shift" \
    --alignments "$exp/align_mfa" "$data" "$exp"
}

stage_8() {
  local tags=() rate
  for rate in $rates; do
    tags+=(--segments "rate${rate}_global")
  done
  run "${cpu_cmd[@]}" entcomp pack "${tags[@]}" --notes local/model_card.md "$exp" \
    "$pretrained/moonshine-l3-k$num_clusters"
}

# One line a recogniser: its training, and the test sets decoded.
recognisers() {
  local stream seed
  for seed in $seeds; do
    for stream in $streams; do
      printf '%q ' "${train_cmd[@]}" entcomp train-asr --segments "$stream" \
        --tag "${stream}_seed$seed" --config "$asr_config" --seed "$seed" \
        --sets train,train_en --dev-sets dev,dev_en ${asr_steps:+--max-steps "$asr_steps"} \
        "$data" "$exp"
      printf '&& '
      printf '%q ' "${train_cmd[@]}" entcomp decode --model "asr/${stream}_seed$seed" \
        --sets test,test_en "$data" "$exp"
      echo
    done
  done
}

stage_9() { recognisers | job_list asr; }

stage_10() {
  for set in test test_en; do
    run local/error_table.py "$data" "$exp" "$set"
  done
}

# One line a seed: the converters of all streams, the first from nothing, the others from what it
# learnt, each with the sentences it speaks.
converters() {
  local seed stream first=${vc_streams%% *}
  for seed in $vc_seeds; do
    for stream in $vc_streams; do
      local options=(--max-steps "$vc_steps")
      if [[ $stream != "$first" ]]; then
        options=(--init "vc/${first}_seed$seed" --max-steps "$((vc_steps / 8 + 1))")
      fi
      printf '%q ' "${train_cmd[@]}" entcomp train-vc --segments "$stream" \
        --tag "${stream}_seed$seed" --config "$vc_config" --pooling cale --seed "$seed" \
        "${options[@]}" "$data" "$exp"
      printf '&& '
      printf '%q ' "${train_cmd[@]}" entcomp convert --model "vc/${stream}_seed$seed" \
        --sets test_vc --reference "$data/test_vc/references.scp" "$data" "$exp"
      printf '&& '
    done
    echo true
  done
}

stage_11() { converters | job_list vc; }

stage_12() {
  run "${train_cmd[@]}" entcomp score-vc --sets test_vc "$data" "$exp"
  run local/conversion_table.py "$data" "$exp" test_vc
}

for number in $(seq "$stage" "$stop_stage"); do
  echo "stage $number: ${titles[number]}"
  "stage_$number"
done
