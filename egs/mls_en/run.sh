#!/usr/bin/env bash
# The paper's recipe: MLS English to train on, LibriSpeech test-clean to test, CVSS-C reversed and
# CoVoST 2 for translation. On one machine, or on a cluster:
#
#   egs/mls_en/run.sh [options]                     # see db.sh for where the corpora lie
#   CMD_BACKEND=slurm egs/mls_en/run.sh [options]   # see conf/slurm.conf
#
# Stages (what is complete is skipped, so a second call goes on where the first one stopped):
#   1  data dirs, alignments  DATA/{train_mls,dev_clean,test_clean,...}, EXP/align
#   2  learn-kmeans           the codebook                             EXP/units/kmeans.npz
#   3  dump-units             recordings to units, in shards           EXP/units/<set>
#   4  train-lm               the entropy LM                           EXP/lm
#   5  score-entropy          an entropy for every unit, in shards     EXP/entropy/<set>
#   6  segment                groups by every criterion, a job each    EXP/segments/<tag>/<set>
#   7  ASR                    a recogniser for each stream             EXP/asr/<tag>
#   8  ST                     a translator for each language, stream   EXP/st/<lang>_<tag>
#   9  VC                     a voice converter for each stream        EXP/vc/<tag>
#  10  alignment scores       boundaries against phones and words      EXP/align_eval*
#  11  latency                milliseconds from waveform to text      EXP/latency.json
#  12  tables                 1 to 13 beside the paper's figures       EXP/tables.md
#
# Options:
#   --stage N, --stop-stage N   first and last stage
#   --nj N                      jobs that share a stage's utterances
#   --ngpu N                    GPUs of a job that can use one; 0 works, slowly
#   --devices N                 GPUs of a node to train on (processes, with --ngpu 0)
#   --num-nodes N               nodes to train on, under SLURM
#   --threads N                 processors of a job that reads audio, and of a device that trains
#   --data DIR, --exp DIR       where data dirs and results go (default: beside this script)
#   --subset NAME               of MLS: 9hr, 1hr, 10hr (its limited supervision) or all
#   --hours N                   of MLS, instead: so much of it, drawn by --seed
#   --langs "LANG ..."          languages to translate to, of those in CVSS
#   --extractor NAME, --layer N, --checkpoint FILE   see entcomp learn-kmeans --help
#   --num-clusters K            size of the codebook
#   --kmeans-hours N            a codebook is learnt from no more than that
#   --lm-config FILE            see conf/lm/ of the project
#   --lm-units raw|dedup        does the LM see repeated units?
#   --lm-steps N                training steps, instead of the config's
#   --rates "HZ ..."            groups a second to aim at
#   --backward                  train an LM of reversed units too, for the criterion bidirectional
#   --asr-config, --st-config, --vc-config FILE   see conf/asr/, conf/st/, conf/vc/
#   --exp-k2000 DIR             an experiment with --num-clusters 2000, for table 10
#   --full                      train every model of the paper's tables, not the main ones alone
#   --models "NAME ..."         train these of them only, such as "raw fixed2_max rate15_global"
#   --seed N                    of the subset and the codebook
#   --dry-run                   print the commands, and run none
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
stage=1
stop_stage=12
nj=$(nproc)
ngpu=1
devices=1
num_nodes=1
threads=4
data=$here/data
exp=$here/exp
subset=all
hours=
seed=0
langs="zh es fr"
extractor=hubert
layer=
checkpoint=
num_clusters=500
kmeans_hours=100
lm_config=$here/../../conf/lm/paper.yaml
lm_units=raw
lm_steps=
rates="24 15 7"
backward=false
asr_config=$here/../../conf/asr/paper.yaml
st_config=$here/../../conf/st/paper.yaml
vc_config=$here/../../conf/vc/paper.yaml
exp_k2000=
full=false
models=
dry_run=false
# shellcheck source=../../utils/parse_options.sh
. "$here/utils/parse_options.sh"
[[ $# -eq 0 ]] || { echo "run.sh: unexpected argument $1; see $0 --help" >&2; exit 1; }
for name in data exp lm_config asr_config st_config vc_config ${checkpoint:+checkpoint} \
  ${exp_k2000:+exp_k2000}; do
  printf -v "$name" '%s' "$(realpath -m "${!name}")"
done
cd "$here"
. ./path.sh
. ./db.sh
# shellcheck disable=SC1091 # it reads options that are set above
. ./cmd.sh
# shellcheck source=../../utils/recipe.sh
. utils/recipe.sh
log=$exp/log
titles=("" "data dirs and alignments" learn-kmeans dump-units train-lm score-entropy segment
  ASR ST VC "alignment scores" latency tables)

# job NAME COMMAND...: one job, by the runner in the array `cmd`; then what it printed last.
job() {
  local name=$1
  shift
  run "${cmd[@]}" "$log/$name.log" "$@"
  $dry_run || grep -v '^#' "$log/$name.log" | tail -n 20
}

# job_array NAME: the commands on standard input, one a line, each a job of one array.
job_array() {
  local list=$log/$1.list commands
  commands=$(cat)
  [[ -n $commands ]] || { echo "run.sh: no model '$models'; see --models in --help" >&2; exit 1; }
  if $dry_run; then
    echo "$commands"
  else
    mkdir -p "$log"
    echo "$commands" > "$list"
  fi
  run "${cmd[@]}" "JOB=1:$(wc -l <<< "$commands")" "$log/$1.JOB.log" \
    sed -n JOBp "$list" \| bash -euxo pipefail
}

# sharded NAME OUTPUT SETS STAGE OPTIONS...: a stage of entcomp on some sets, in $nj jobs whose
# outputs are joined. It then runs as a whole, finds all done, and writes what needs all shards,
# such as the calibration.
sharded() {
  local name=$1 output=$2 sets=$3
  shift 3
  local command=(entcomp "$@" --sets "$sets")
  if ((nj > 1)); then
    run "${cmd[@]}" "JOB=1:$nj" "$log/$name.JOB.log" "${command[@]}" --shard "JOB/$nj" \
      "$data" "$exp"
    run entcomp merge-shards "$output" --sets "$sets" --shards "$nj" "$data" "$exp"
  fi
  job "$name" "${command[@]}" "$data" "$exp"
}

stage_1() {
  if [[ -z $MLS || -z $LIBRISPEECH ]]; then
    echo "run.sh: set MLS and LIBRISPEECH in db.sh, or in the environment" >&2
    exit 1
  fi
  local which=(--subset "$subset") cmd=("${audio_cmd[@]}")
  if [[ -n $hours ]]; then which=(--hours "$hours"); fi
  mls train_mls "${which[@]}"
  if [[ $(kmeans_set) == kmeans_mls ]]; then mls kmeans_mls --hours "$kmeans_hours"; fi
  run local/prepare_librispeech.py "$LIBRISPEECH/dev-clean" "$data/dev_clean"
  run local/prepare_librispeech.py "$LIBRISPEECH/test-clean" "$data/test_clean"
  local split corpus
  for split in train dev test; do
    for corpus in "${corpora[@]}"; do translation_set "$split" "$corpus"; done
  done
  job align entcomp align --sets test_clean --nj "$threads" "$data" "$exp"
}

# mls SET OPTIONS...: readers whom a model is developed or tested on are left out.
mls() {
  local set=$1
  shift
  run local/prepare_mls.py --exclude-readers "$LIBRISPEECH"/{dev,test}-clean --seed "$seed" "$@" \
    "$MLS" "$data/$set"
}

# translation_set SPLIT CORPUS: cvss_<lang> or covost_zh. Common Voice calls Chinese zh-CN.
translation_set() {
  local lang=${2#*_}
  local options=(--split "$1" --lang "$lang") set=$data/$1_$2
  if [[ $2 == covost_zh ]]; then
    run local/prepare_covost.py "${options[@]}" "$COVOST/covost_v2.en_zh-CN.tsv" \
      "$COMMON_VOICE/en" "$set"
  else
    run local/prepare_cvss.py "${options[@]}" "$CVSS/cvss_c_${lang}_en_v1.0" \
      "$COMMON_VOICE/${lang/#zh/zh-CN}" "$set"
  fi
}

# A set of its own only where train_mls is larger than a codebook needs.
kmeans_set() {
  if [[ -n $hours ]]; then
    if ((${hours%.*} > kmeans_hours)); then echo kmeans_mls; else echo train_mls; fi
  elif [[ $subset == all ]]; then
    echo kmeans_mls
  else
    echo train_mls
  fi
}

stage_2() {
  local cmd=("${audio_cmd[@]}")
  job learn-kmeans entcomp learn-kmeans --sets "$(kmeans_set)" --extractor "$extractor" \
    ${layer:+--layer "$layer"} ${checkpoint:+--checkpoint "$checkpoint"} \
    --num-clusters "$num_clusters" --seed "$seed" --nj "$threads" "$data" "$exp"
}

stage_3() {
  local cmd=("${audio_cmd[@]}")
  sharded dump-units units "$all_sets" dump-units ${checkpoint:+--checkpoint "$checkpoint"} \
    --nj "$threads"
}

stage_4() {
  local cmd=("${train_cmd[@]}") direction
  for direction in $directions; do
    job "train-lm_$direction" "${train[@]}" train-lm --config "$lm_config" \
      --lm-units "$lm_units" --direction "$direction" ${lm_steps:+--max-steps "$lm_steps"} \
      "${machine[@]}" --sets train_mls --dev-sets dev_clean "$data" "$exp"
  done
}

# dev_clean tells which threshold gives which rate: the LM has not seen it.
stage_5() {
  local cmd=("${gpu_cmd[@]}") direction output
  for direction in $directions; do
    output=entropy
    if [[ $direction == backward ]]; then output=entropy_backward; fi
    sharded "score-entropy_$direction" "$output" "$all_sets" score-entropy \
      --direction "$direction" --calibration-sets dev_clean
  done
}

# Every criterion at every rate, and the baselines: the paper's windows of 2 and 4 units, and equal
# or random spacing at the rates of the criteria.
stage_6() {
  local cmd=("${cpu_cmd[@]}") commands
  commands=$(segment_commands)
  job_array segment <<< "$commands"
}

segment_commands() {
  local options
  while read -r -a options; do
    if reachable "${options[@]}"; then
      command_line entcomp segment "${options[@]}" --sets "$all_sets"
    fi
  done < <(segmentations)
}

segmentations() {
  local rate criterion
  echo --criterion dedup
  echo --criterion fixed --window 2
  echo --criterion fixed --window 4
  for rate in $rates; do
    for criterion in uniform random global relative combined peak $backward_criterion; do
      echo --criterion "$criterion" --target-rate "$rate"
    done
  done
}

# reachable OPTIONS: can a criterion reach a rate? The small dev set tells; where not, it is said.
reachable() {
  local said
  $dry_run && return
  if said=$(entcomp segment "$@" --sets dev_clean "$data" "$exp" 2>&1); then
    grep dev_clean: <<< "$said" >&2
  elif [[ $said == *"out of reach"* ]]; then
    echo "$*: left out: ${said##*error: }" >&2
    return 1
  else
    echo "$said" >&2
    exit 1
  fi
}

# command_line COMMAND...: a command on the experiment as a line for bash.
command_line() {
  printf '%q ' "$@" "$data" "$exp"
  echo
}

# streams RATE: those of tables 3 to 5 and, with --full, of all others: units or groups, and their
# pooling where it is not CALE. Poolings are compared at RATE.
streams() {
  printf '%s\n' raw dedup 'fixed2 max' 'fixed4 max' rate15_global rate7_global
  if ! $full; then return; fi
  printf '%s\n' rate24_global rate{24,15,7}_{relative,combined} \
    "rate$1_global "{max,average,attention} fixed{2,4}' '{average,attention}
}

# wanted: of the streams on standard input, those that --models names.
wanted() {
  local segments pooling
  while read -r segments pooling; do
    if [[ -z $models || " $models " == *" $segments${pooling:+_$pooling} "* ]]; then
      echo "$segments $pooling"
    fi
  done
}

# text_model TASK NAME TEST_SET OPTIONS...: a command line that trains and decodes with one model.
text_model() {
  local task=$1 name=$2 test_set=$3
  shift 3
  printf '%s && ' "$(command_line "${train[@]}" "train-$task" --tag "$name" "${machine[@]}" "$@")"
  command_line entcomp decode --model "$task/$name" --sets "$test_set"
}

stage_7() {
  local cmd=("${train_cmd[@]}") segments pooling
  while read -r segments pooling; do
    text_model asr "$segments${pooling:+_$pooling}" test_clean --config "$asr_config" \
      --segments "$segments" ${pooling:+--pooling "$pooling"} --sets train_mls --dev-sets dev_clean
  done < <(streams 15 | wanted) | job_array train-asr
}

stage_8() {
  local cmd=("${train_cmd[@]}") corpus segments pooling
  if ((${#corpora[@]} == 0)); then
    echo "run.sh: no corpus for translation in db.sh"
    return
  fi
  while read -r segments pooling; do
    for corpus in "${corpora[@]}"; do
      text_model st "${corpus#cvss_}_$segments${pooling:+_$pooling}" "test_$corpus" \
        --lang "${corpus#*_}" --config "$st_config" --segments "$segments" \
        ${pooling:+--pooling "$pooling"} --sets "train_$corpus" --dev-sets "dev_$corpus"
    done
  done < <(streams 15 | wanted) | job_array train-st
}

stage_9() {
  local cmd=("${train_cmd[@]}") references=$exp/vc/references segments pooling
  run local/draw_references.py --seed "$seed" "$data/test_clean" "$references"
  while read -r segments pooling; do
    voice_model "$segments${pooling:+_$pooling}" --config "$vc_config" --segments "$segments" \
      ${pooling:+--pooling "$pooling"} --sets train_mls --dev-sets dev_clean
  done < <(streams 24 | wanted) | job_array train-vc
  cmd=("${gpu_cmd[@]}")
  job score-vc entcomp score-vc --sets test_clean "$data" "$exp"
}

# voice_model NAME OPTIONS...: a command line that trains, and lets test_clean change its voices.
voice_model() {
  local name=$1
  shift
  printf '%s && ' "$(command_line "${train[@]}" train-vc --tag "$name" "${machine[@]}" "$@")"
  command_line entcomp convert --model "vc/$name" --sets test_clean --reference "$references" \
    ${checkpoint:+--checkpoint "$checkpoint"}
}

stage_10() {
  local cmd=("${cpu_cmd[@]}")
  job align-eval entcomp align-eval --sets test_clean "$data" "$exp"
}

# The streams of table 6.
stage_11() {
  local cmd=("${gpu_cmd[@]}") list
  list=$(printf '%s\n' raw dedup 'fixed2 max' rate15_global rate7_global | wanted |
    sed 's,^,asr/,; s, $,,; s, ,_,' | paste -sd,)
  if [[ -z $list ]]; then
    echo "run.sh: none of --models is in table 6"
    return
  fi
  job bench-latency entcomp bench-latency --sets test_clean \
    ${checkpoint:+--checkpoint "$checkpoint"} --models "$list" "$data" "$exp"
}

stage_12() {
  run local/tables.py ${exp_k2000:+--exp-k2000 "$exp_k2000"} "$exp"
}

train=("${launch[@]}" entcomp)
machine=(--devices "$devices" --num-nodes "$num_nodes")
directions=forward
backward_criterion=
if $backward; then directions="forward backward" backward_criterion=bidirectional; fi
corpora=() # for translation
if [[ -n $CVSS ]]; then
  for name in $langs; do corpora+=("cvss_$name"); done
fi
if [[ -n $COVOST ]]; then corpora+=(covost_zh); fi
all_sets=$(printf ',%s' train_mls dev_clean test_clean "${corpora[@]/#/train_}" \
  "${corpora[@]/#/dev_}" "${corpora[@]/#/test_}")
all_sets=${all_sets#,}

for number in $(seq "$stage" "$stop_stage"); do
  echo "stage $number: ${titles[number]}"
  "stage_$number"
done
