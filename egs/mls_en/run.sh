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
#  12  report                 tables 1 to 13 beside the paper's        EXP/report/{paper.md,index.html}
#
# Options (--nj here: jobs that share a stage's utterances):
#   --ngpu N                    GPUs of a job that can use one; 0 works, slowly
#   --devices N                 GPUs of a node to train on (processes, with --ngpu 0)
#   --num-nodes N               nodes to train on, under SLURM
#   --threads N                 processors of a job that reads audio, and of a device that trains
#   --subset NAME               of MLS: 9hr, 1hr, 10hr (its limited supervision) or all
#   --hours N                   of MLS, instead: so much of it, drawn by --seed
#   --langs "LANG ..."          languages to translate to, of those in CVSS
#   --extractor NAME, --layer N, --checkpoint FILE   see entcomp learn-kmeans --help
#   --kmeans-hours N            a codebook is learnt from no more than that
#   --backward                  train an LM of reversed units too, for the criterion bidirectional
#   --asr-config, --st-config, --vc-config FILE   see conf/asr/, conf/st/, conf/vc/; instead of
#                               ST.yaml, ST_<lang>.yaml is taken for a language that has one
#   --vocoder NAME|FILE         of VC: universal (fetched by stage 9), griffin-lim, or a checkpoint
#   --utmos FILE                utmos.jit, which also judges VC; without it, that column stays empty
#   --exp-k2000 DIR             an experiment with --num-clusters 2000, for table 10
#   --full                      train every model of the paper's tables, not the main ones alone
#   --models "NAME ..."         train these of them only, such as "raw fixed2_max rate15_global"
#   --seed N                    of the subset and the codebook
#
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=../../utils/settings.sh
. "$here/utils/settings.sh"
stage=1
stop_stage=12
ngpu=1
devices=1
num_nodes=1
threads=4
subset=all
hours=
seed=0
langs="zh es fr"
extractor=hubert
layer=
checkpoint=
kmeans_hours=100
lm_config=$here/../../conf/lm/paper.yaml
backward=false
asr_config=$here/../../conf/asr/paper.yaml
st_config=$here/../../conf/st/paper.yaml
vc_config=$here/../../conf/vc/paper.yaml
vocoder=universal
utmos=
exp_k2000=
full=false
models=
paths="asr_config st_config vc_config checkpoint exp_k2000 utmos"
names_or_paths=vocoder
# shellcheck source=../../utils/recipe.sh
. "$here/utils/recipe.sh"

titles=("" "data dirs and alignments" learn-kmeans dump-units train-lm score-entropy segment
  ASR ST VC "alignment scores" latency report)
machine=(--devices "$devices" --num-nodes "$num_nodes")
directions=forward
# The paper's criteria, windows of 2 and 4 units, and equal or random spacing at the same rates.
criteria=(uniform random global relative combined peak)
windows="2 4"
if $backward; then directions="forward backward" criteria+=(bidirectional); fi
convert_options=(--sets test_clean --reference "$exp/vc/references" --vocoder "$vocoder"
  ${checkpoint:+--checkpoint "$checkpoint"})
corpora=() # for translation
if [[ -n $CVSS ]]; then
  for name in $langs; do corpora+=("cvss_$name"); done
fi
if [[ -n $COVOST ]]; then corpora+=(covost_zh); fi
all_sets=$(printf ',%s' train_mls dev_clean test_clean "${corpora[@]/#/train_}" \
  "${corpora[@]/#/dev_}" "${corpora[@]/#/test_}")
all_sets=${all_sets#,}

stage_1() {
  if [[ -z $MLS || -z $LIBRISPEECH ]]; then
    echo "run.sh: set MLS and LIBRISPEECH in db.sh, or in the environment" >&2
    exit 1
  fi
  local which=(--subset "$subset") split corpus
  if [[ -n $hours ]]; then which=(--hours "$hours"); fi
  mls train_mls "${which[@]}"
  if [[ $(kmeans_set) == kmeans_mls ]]; then mls kmeans_mls --hours "$kmeans_hours"; fi
  run local/prepare_librispeech.py "$LIBRISPEECH/dev-clean" "$data/dev_clean"
  run local/prepare_librispeech.py "$LIBRISPEECH/test-clean" "$data/test_clean"
  for split in train dev test; do
    for corpus in "${corpora[@]}"; do translation_set "$split" "$corpus"; done
  done
  job audio align align --sets test_clean --nj "$threads"
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
  learn_kmeans "$(kmeans_set)" --extractor "$extractor" ${layer:+--layer "$layer"} \
    ${checkpoint:+--checkpoint "$checkpoint"} --seed "$seed" --nj "$threads"
}

stage_3() { dump_units ${checkpoint:+--checkpoint "$checkpoint"} --nj "$threads"; }
stage_4() { train_lm --sets train_mls --dev-sets dev_clean; }
stage_5() { score_entropy dev_clean; }
stage_6() { segment; }

# streams RATE: those of tables 3 to 5 and, with --full, of all others, with their pooling where it is
# not CALE; of these, the ones that --models names. Poolings are compared at RATE.
streams() {
  local found=(raw dedup fixed2/max fixed4/max rate15_global rate7_global) stream
  if $full; then
    found+=(rate24_global rate{24,15,7}_{relative,combined} "rate$1_global"/{max,average,attention}
      fixed{2,4}/{average,attention})
  fi
  for stream in "${found[@]}"; do
    if [[ -z $models || " $models " == *" ${stream/\//_} "* ]]; then echo "$stream"; fi
  done
}

# some_streams RATE: the same, to the variable `chosen`; there has to be one.
some_streams() {
  chosen=$(streams "$1")
  [[ -n $chosen ]] || { echo "run.sh: no model '$models'; see --models in --help" >&2; exit 1; }
}

stage_7() {
  local chosen
  some_streams 15
  text_models asr '' "$chosen" '' test_clean --config "$asr_config" --sets train_mls \
    --dev-sets dev_clean | job_array train train-asr
}

# st_config_of LANG: a language's own config, where there is one.
st_config_of() {
  local own=${st_config%.yaml}_$1.yaml
  if [[ -e $own ]]; then echo "$own"; else echo "$st_config"; fi
}

stage_8() {
  local chosen corpus
  if ((${#corpora[@]} == 0)); then
    echo "run.sh: no corpus for translation in db.sh"
    return
  fi
  some_streams 15
  for corpus in "${corpora[@]}"; do
    text_models st "${corpus#cvss_}_" "$chosen" '' "test_$corpus" --lang "${corpus#*_}" \
      --config "$(st_config_of "${corpus#*_}")" --sets "train_$corpus" --dev-sets "dev_$corpus"
  done | job_array train train-st
}

stage_9() {
  local chosen
  some_streams 24
  fetch_voices
  run local/draw_references.py --seed "$seed" "$data/test_clean" "$exp/vc/references"
  voice_models "$chosen" '' '' --sets train_mls --dev-sets dev_clean | job_array train train-vc
  job gpu score-vc score-vc --sets test_clean --vocoder "$vocoder" ${utmos:+--utmos "$utmos"}
}

stage_10() { job cpu align-eval align-eval --sets test_clean; }

# The streams of table 6.
stage_11() {
  local chosen
  chosen=$(full=false streams 15 | grep -v fixed4) || true
  if [[ -z $chosen ]]; then
    echo "run.sh: none of --models is in table 6"
    return
  fi
  latency "$chosen" --sets test_clean ${checkpoint:+--checkpoint "$checkpoint"}
}

# The paper's BLEU is CVSS's: translators of CoVoST stay out of the tables.
stage_12() {
  paper_tables test_clean --models 'asr/*,st/??_*,vc/*' ${exp_k2000:+--exp-k2000 "$exp_k2000"}
}

run_stages
