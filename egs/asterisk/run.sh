#!/usr/bin/env bash
# From the Asterisk prompts to compressed units, and from these to text: two hours of English,
# Spanish, French, Italian and Russian speech, in one command.
#
#   egs/asterisk/run.sh [options]
#
# Stages (what is complete is skipped, so a second call goes on where the first one stopped):
#   0  set-up and download    Python, Moonshine, the prompts           tools/, downloads/
#   1  data dirs              train, dev, test of every language       DATA/<set>
#   2  learn-kmeans           the codebook                             EXP/units/kmeans.npz
#   3  dump-units             recordings to units                      EXP/units/<set>
#   4  train-lm               the entropy LM, forward and backward     EXP/lm, EXP/lm_backward
#   5  score-entropy          an entropy for every unit                EXP/entropy/<set>
#   6  segment                groups, by every criterion and baseline  EXP/segments/<tag>/<set>
#   7  align, align-eval      boundaries against phones and words      EXP/align, EXP/align_eval
#   8  report                 tables and figures                       EXP/report
#   9  ASR                    a recogniser for each stream             EXP/asr/<tag>
#  10  ST                     English to French and Spanish, likewise  EXP/st/<lang>_<tag>
#  11  latency                from waveform to text, stage by stage    EXP/latency.json
#  12  results                the report again, and a table            EXP/report/results.md
#  13  VC                     a voice converter for each stream        EXP/vc/<tag>
#  14  VC scores              of English in other voices; the report   EXP/vc/scores/test_en
#
# Options:
#   --stage N, --stop-stage N   first and last stage
#   --nj N                      processes at a time (default: one a processor)
#   --data DIR, --exp DIR       where data dirs and results go (default: beside this script)
#   --subset N                  about N prompts a language, to try things out
#   --num-clusters K, --whiten W, --max-frames N   of the codebook; see entcomp learn-kmeans
#   --lm-config FILE            see conf/lm/
#   --lm-units raw|dedup        does the LM see repeated units?
#   --lm-steps N                training steps, instead of the config's
#   --rates "HZ ..."            groups a second to aim at
#   --streams "NAME ..."        for ASR and ST: raw, dedup, or tags of stage 6
#   --asr-config, --st-config FILE   see conf/asr/, conf/st/
#   --asr-steps N               training steps of ASR and ST
#   --vc-streams "NAME ..."     for VC, likewise; what the first one learnt, the others start from
#   --vc-config FILE            see conf/vc/
#   --vc-steps N                training steps of the first stream's VC; a quarter for the others
#   --full                      ASR, ST and VC of all streams there are, as long as the configs say
#   --dry-run                   print the commands, and run none
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
stage=0
stop_stage=14
nj=$(nproc)
data=$here/data
exp=$here/exp
subset=0
num_clusters=500
whiten=0.0
max_frames=128000
lm_config=$here/conf/lm/small.yaml
lm_units=raw
lm_steps=
rates="24 15 7"
streams="raw dedup fixed2 fixed4 rate15_global rate7_global"
asr_config=$here/conf/asr/tiny.yaml
st_config=$here/conf/st/tiny.yaml
asr_steps=200
vc_streams="rate24_global rate15_global rate7_global raw dedup fixed2"
vc_config=$here/conf/vc/small.yaml
vc_steps=800
full=false
dry_run=false
# shellcheck source=utils/parse_options.sh
. "$here/utils/parse_options.sh"
[[ $# -eq 0 ]] || option_error "unexpected argument $1"
[[ $stage -ge 0 && $stage -le $stop_stage && $stop_stage -le 14 ]] \
  || option_error "stages $stage to $stop_stage: there are 0 to 14"
for name in data exp lm_config asr_config st_config vc_config; do
  printf -v "$name" '%s' "$(realpath -m "${!name}")"
done
cd "$here"
. ./path.sh
. ./cmd.sh
# shellcheck source=utils/recipe.sh
. utils/recipe.sh

downloads=downloads
# Seconds, chosen on dev_en: Moonshine's units turn so much before the middle of what they cover.
unit_shift=-0.016
titles=("set-up and download" "data dirs" learn-kmeans dump-units train-lm score-entropy segment
  "align and align-eval" report ASR ST latency results VC "VC scores")

stage_0() {
  run ../../tools/install.sh
  run ../../tools/install_moonshine.sh
  run local/download.sh "$downloads/prompts"
}

stage_1() {
  run local/prepare_data.py --subset "$subset" "$downloads/prompts" "$downloads/flac" "$data"
}

stage_2() {
  run "${cpu_cmd[@]}" entcomp learn-kmeans --sets 'train_*' --num-clusters "$num_clusters" \
    --whiten "$whiten" --max-frames "$max_frames" --nj "$nj" "$data" "$exp"
}

stage_3() {
  run "${cpu_cmd[@]}" entcomp dump-units --nj "$nj" "$data" "$exp"
}

stage_4() {
  for direction in forward backward; do
    run "${train_cmd[@]}" entcomp train-lm --config "$lm_config" --lm-units "$lm_units" \
      --direction "$direction" ${lm_steps:+--max-steps "$lm_steps"} "$data" "$exp"
  done
}

# The English dev set tells which threshold gives which rate: the LM has not seen it, and it is
# the speech that stage 7 looks at.
stage_5() {
  for direction in forward backward; do
    run "${train_cmd[@]}" entcomp score-entropy --direction "$direction" \
      --calibration-sets dev_en "$data" "$exp"
  done
}

# segment OPTIONS...: a line on the threshold, one on the English test set. A rate that a criterion
# cannot reach is said, and ends nothing.
segment() {
  local command=("${cpu_cmd[@]}" entcomp segment "$@" "$data" "$exp") log=$exp/log/segment.log
  if $dry_run; then
    run "${command[@]}"
  elif "${command[@]}" > "$log" 2> "$log.err"; then
    sed -n -e 1p -e 's/^test_en:/  &/p' "$log"
  elif grep -q 'out of reach' "$log.err"; then
    echo "segment $*: $(sed -n 's/.*error: //p' "$log.err")"
  else
    cat "$log.err" >&2
    return 1
  fi
}

stage_6() {
  $dry_run || mkdir -p "$exp/log"
  segment --criterion dedup
  segment --criterion fixed --window 4
  for rate in $rates; do
    for criterion in global relative combined peak bidirectional uniform random; do
      segment --criterion "$criterion" --target-rate "$rate"
    done
    segment --criterion bidirectional --peaks --target-rate "$rate"
    segment --criterion fixed --window "$(frames_at "$rate")"
  done
}

# The whole number of frames that comes closest to a rate; Moonshine's last 24 ms.
frames_at() {
  awk -v rate="$1" 'BEGIN { printf "%d", 1 / (0.024 * rate) + 0.5 }'
}

# Against the alignments by MFA that come with the recipe, and against pocketsphinx's.
stage_7() {
  run mkdir -p "$exp/align_mfa"
  run tar -xJf mfa/textgrids.tar.xz -C "$exp/align_mfa"
  run "${cpu_cmd[@]}" entcomp align --aligner pocketsphinx --sets test_en --nj "$nj" \
    "$data" "$exp"
  run "${cpu_cmd[@]}" entcomp align-eval --sets test_en --shift "$unit_shift" \
    --output "$exp/align_eval_pocketsphinx" "$data" "$exp"
  run "${cpu_cmd[@]}" entcomp align-eval --sets test_en --shift "$unit_shift" \
    --alignments "$exp/align_mfa" "$data" "$exp"
}

stage_8() {
  run "${cpu_cmd[@]}" entcomp report --set test_en --alignments "$exp/align_mfa" "$data" "$exp"
  $dry_run || printf '%s\n' "$exp"/report/*.png "$exp/align_eval/test_en.md"
}

# stream_names LIST: one a line; with --full, raw, dedup and every segmentation of stage 6 instead.
stream_names() {
  local file
  if ! $full; then
    xargs -n 1 <<< "$1"
    return
  fi
  printf '%s\n' raw dedup
  for file in "$exp"/segments/*/threshold.json; do
    if [[ -e $file && $file != */dedup/* ]]; then basename "$(dirname "$file")"; fi
  done
}

# text_model TASK MODEL OPTIONS...: a line that trains a model and decodes the English test set.
text_model() {
  local task=$1 model=$2
  local train=("${train_cmd[@]}" entcomp "train-$task" --tag "$model" --sets train_en
    --dev-sets dev_en "${steps[@]}" "${@:3}" "$data" "$exp")
  local decode=("${train_cmd[@]}" entcomp decode --model "$task/$model" --sets test_en
    "$data" "$exp")
  printf '%q ' "${train[@]}"
  printf '&& '
  printf '%q ' "${decode[@]}"
  echo
}

stage_9() {
  local stream
  for stream in $(stream_names "$streams"); do
    text_model asr "$stream" --config "$asr_config" --segments "$stream"
  done | job_list asr
}

stage_10() {
  local lang stream
  for lang in fr es; do
    for stream in $(stream_names "$streams"); do
      text_model st "${lang}_$stream" --lang "$lang" --config "$st_config" --segments "$stream"
    done
  done | job_list st
}

stage_11() {
  run "${train_cmd[@]}" entcomp bench-latency --sets test_en --utterances 30 \
    --models "$(stream_names "$streams" | sed 's|^|asr/|' | paste -sd ,)" "$data" "$exp"
}

stage_12() {
  stage_8
  $dry_run || cat "$exp/report/results.md"
}

# voice_model STREAM OPTIONS...: a line that trains a converter and speaks the English test set with
# the voices of others. All streams have the same network, CALE included. A language has one voice
# here, so that units tell whose they are: conversion has to push away from it.
voice_model() {
  local train=("${train_cmd[@]}" entcomp train-vc --tag "$1" --segments "$1" --config "$vc_config"
    --pooling cale --sets 'train_*' --dev-sets 'dev_*' "${@:2}" "$data" "$exp")
  local convert=("${train_cmd[@]}" entcomp convert --model "vc/$1" --sets test_en
    --reference "$exp/vc/references.scp" --voice-guidance 1 "$data" "$exp")
  printf '%q ' "${train[@]}"
  printf '&& '
  printf '%q ' "${convert[@]}"
  echo
}

# The first stream's converter is trained from nothing, and the others go on from it for a quarter
# of its steps; with --full each one starts from nothing.
stage_13() {
  local stream first rest=()
  run local/draw_references.py "$data"/test_{en,fr,it,ru} "$exp/vc/references.scp"
  if $full; then
    for stream in $(stream_names ''); do voice_model "$stream"; done | job_list vc
    return
  fi
  read -ra rest <<< "$vc_streams"
  first=${rest[0]}
  voice_model "$first" --max-steps "$vc_steps" | job_list vc_first
  [[ ${#rest[@]} -gt 1 ]] || return 0
  for stream in "${rest[@]:1}"; do
    voice_model "$stream" --init "vc/$first" --max-steps "$((vc_steps / 4 + 1))"
  done | job_list vc
}

stage_14() {
  run "${train_cmd[@]}" entcomp score-vc --sets test_en "$data" "$exp"
  stage_8
}

steps=(--max-steps "$asr_steps")
if $full; then steps=(); fi

for number in $(seq "$stage" "$stop_stage"); do
  echo "stage $number: ${titles[number]}"
  "stage_$number"
done
