#!/usr/bin/env bash
# Real HuBERT-base units (K = 100) of VCTK and LJSpeech: do groups made by entropy serve recognition
# and translation better than equally many groups made without it? On speakers, and sentences, that
# no model has met.
#
#   egs/hubert100/run.sh --source DIR [options]
#
# --source holds vctk and lj_val, each with units.txt, text and utt2spk; and lj_val/textgrids.tar.xz.
# They are CC BY-NC and no part of entcomp; README.md tells what lies in them.
#
# Stages (what is complete is skipped):
#   1  data dirs        95 speakers and LJSpeech to train on; dev; test_vctk, test_lj; LJSpeech alone
#   2  import-units
#   3  train-lm         forward and backward
#   4  score-entropy
#   5  segment          by every criterion, and the baselines
#   6  align-eval       boundaries on LJSpeech against MFA's alignments, plain and dithered; and
#                       what units and groups tell of phones, and cost    EXP/unit_eval/test_lj/table.md
#   7  ASR              a recogniser for each stream, encoder and seed, decoded on both test sets
#   8  ASR results      of all streams and seeds, with intervals        EXP/compare/asr_<set>.md;
#                       the paper's tables                              EXP/report/paper.md
#   9  references       translations by Apertium, a translator by rules    DATA/<set>/text.<lang>
#  10  ST               a translator for each stream, encoder, seed and language
#  11  ST results      likewise                                         EXP/compare/st_<lang>_<set>.md
#
# Options (--nj here: models at a time):
#   --source DIR                see above
#   --match-rate set|speaker|utterance   meet rates there, and not on dev only; tags then end so, as in
#                               rate12_peak_matchset
#   --learnt "HZ ..."           rates at which stage 5 trains a recogniser that learns its groups, for the
#                               criterion learnt; '' for none
#   --abx                       stage 6 scores their ABX, too: a minute a stream
#   --streams "NAME ..."        of ASR: raw, dedup, or tags of stage 5; NAME/max, /average, /attention
#                               for another pooling than CALE; results compare them with the first
#   --studied "NAME ..."        streams of ASR of which models with every pooling and with no encoder are
#                               trained, too; of none where --streams is given without it
#   --lj-streams "NAME ..."     of ASR that learns from LJSpeech alone, where phones are known: models
#                               lj_NAME, and oracle_phones, oracle_words as streams; '' for none, as
#                               where --streams is given without it
#   --st-streams "NAME ..."     likewise, of ST
#   --st-init TASK              asr: each translator goes on from the recogniser of its stream, encoder and
#                               seed, which stage 7 trains; '' for none
#   --encoders "KIND ..."       default (what the config says), conformer, transformer, none; models
#                               of all but the default are named after their kind, as in none_raw
#   --seeds "N ..."
#   --asr-config, --st-config FILE   see conf/asr, conf/st
#   --asr-steps, --st-steps N   training steps, instead of the configs'
#   --langs "CODE ..."          es, ca
#   --apertium COMMAND          one that is there, instead of what stage 9 fetches (12 MB)
#

# shellcheck disable=SC2119 # options of stages are optional
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=utils/settings.sh
. "$here/utils/settings.sh"
stage=1
stop_stage=11
source=
num_clusters=100
rates="15 12 10 7"
lm_config=$here/conf/lm/hubert100.yaml
match_rate=
learnt=default
abx=false
streams=
studied=default
lj_streams=default
st_streams=
st_init=asr
encoders=default
seeds="0 1 2"
asr_config=$here/conf/asr/hubert100.yaml
asr_steps=
st_config=$here/conf/st/hubert100.yaml
st_steps=
langs="es ca"
apertium=
paths="source asr_config st_config"
names_or_paths=apertium
# shellcheck source=utils/recipe.sh
. "$here/utils/recipe.sh"
[[ -n $source || $stage -gt 6 || ($stage -gt 1 && $stop_stage -lt 5) ]] \
  || option_error "--source is needed for stages 1, 5 and 6"

titles=("" "data dirs" import-units train-lm score-entropy segment align-eval ASR "ASR results"
  references ST "ST results")
directions="forward backward"
matching=${match_rate:+ --match-rate $match_rate} matched=${match_rate:+_match$match_rate}
criteria=(uniform random)
for criterion in "bpe --option of=runs --option train=train" global combined peak bidirectional \
  "bidirectional --peaks"; do
  criteria+=("$criterion$matching")
done
windows="2 3 4 5"
watched=test_lj
peaks=rate12_bidirectional_peaks$matched
if [[ $learnt == default ]]; then learnt=12; fi
if [[ -n $streams ]]; then # whoever asks for them need not have the rates of the others
  studied=${studied#default} lj_streams=${lj_streams#default}
else
  if [[ $studied == default ]]; then studied="fixed4 rate12_bpe_runs$matched $peaks"; fi
  if [[ $lj_streams == default ]]; then lj_streams="fixed4 $peaks oracle_phones"; fi
  streams="raw dedup fixed2 fixed3 fixed4 fixed5 uniform15 uniform12 uniform10 uniform7"
  for rate in $learnt; do streams+=" rate${rate}_learnt$matched"; done
  for tag in rate15_global rate12_{bpe_runs,global,combined,peak,bidirectional,bidirectional_peaks} \
    rate10_{bpe_runs,bidirectional_peaks}; do
    streams+=" $tag$matched"
  done
fi
st_streams=${st_streams:-raw dedup fixed4 uniform12 rate12_global$matched $peaks}
# Seconds: from one unit to the next, and where entcomp has HuBERT's frame 0 begin.
unit_times=(--frame-shift 0.02 --receptive-offset 0.009)
both_corpora=(--sets train --dev-sets dev)
# Imported units have no centroids; the entropy LM's embeddings serve as well.
embeddings=(--set local.embedding=lm)
asr_options=("${embeddings[@]}" --config "$asr_config" ${asr_steps:+--max-steps "$asr_steps"})
st_options=("${embeddings[@]}" --config "$st_config" ${st_steps:+--max-steps "$st_steps"})

stage_1() { run local/prepare_data.py "$source" "$data"; }

stage_2() {
  local set
  for set in train dev train_lj dev_lj test_vctk test_lj; do
    run entcomp import-units --format text --num-clusters "$num_clusters" "${unit_times[@]}" \
      "$data/$set/units.txt" "$data/$set" "$exp"
  done
}

stage_3() { train_lm "${both_corpora[@]}"; }
stage_4() { score_entropy dev; }
stage_5() {
  local rate tier tiers
  mapfile -t tiers < <(grep -o 'oracle_[a-z]*' <<< "$lj_streams" | sort -u)
  segment
  unpack_alignments "$source/lj_val/textgrids.tar.xz"
  for tier in "${tiers[@]}"; do
    job cpu "segment_$tier" segment --criterion oracle --option "tier=${tier#oracle_}" \
      --option "alignments=$exp/align_mfa/textgrids" --sets train_lj,dev_lj,test_lj
  done
  for rate in $learnt; do
    job train "train-asr_learnt$rate" train-asr --learn-boundaries "$rate" "${machine[@]}" \
      "${both_corpora[@]}" "${asr_options[@]}"
    # shellcheck disable=SC2086 # two words
    job cpu "segment_learnt$rate" segment --criterion learnt --target-rate "$rate"$matching
  done
}

stage_6() {
  local mfa=(--sets test_lj --alignments "$exp/align_mfa/textgrids") measures=()
  if [[ $abx == true ]]; then measures=(--abx); fi
  job cpu align-eval align-eval "${mfa[@]}"
  job cpu evaluate-units evaluate-units "${mfa[@]}" "${measures[@]}"
}

# models_of_encoders TASK PREFIX STREAMS OPTIONS...: lines for job_array, for each kind of encoder.
models_of_encoders() {
  local encoder kind
  for encoder in $encoders; do
    kind=${encoder#default}
    text_models "$1" "$2${kind:+${kind}_}" "$3" "$seeds" 'test_*' "${both_corpora[@]}" \
      ${kind:+--set "encoder.kind=$kind"} "${@:4}"
  done
}

stage_7() {
  local stream pooled=
  for stream in $studied; do pooled+=" $stream/max $stream/average $stream/attention"; done
  {
    models_of_encoders asr '' "$streams" "${asr_options[@]}"
    encoders=default models_of_encoders asr '' "$pooled" "${asr_options[@]}"
    encoders=none models_of_encoders asr '' "$studied" "${asr_options[@]}"
    text_models asr lj_ "$lj_streams" "$seeds" test_lj --sets train_lj --dev-sets dev_lj \
      "${asr_options[@]}"
  } | awk '!seen[$0]++' | job_array train asr
}

# baseline STREAMS: what the models of the first stream are called; results compare all with them.
baseline() {
  local stream=${1%% *} kind=${encoders%% *}
  kind=${kind#default}
  echo "${kind:+${kind}_}${stream/\//_}"
}

stage_8() {
  job cpu compare_asr compare --sets 'test_*' --baseline "$(baseline "$streams")"
  paper_tables test_lj
}

stage_9() {
  local lang
  [[ -n $apertium ]] || run ../../tools/install_apertium.sh
  for lang in $langs; do
    run local/translate.py --lang "$lang" \
      --apertium "${apertium:-../../tools/downloads/apertium/apertium}" \
      "$data"/{train,dev,test_vctk,test_lj}
  done
}

stage_10() {
  local lang begin_with=$st_init
  for lang in $langs; do
    models_of_encoders st "${lang}_" "$st_streams" --lang "$lang" "${st_options[@]}"
  done | job_array train st
}

stage_11() {
  local lang
  for lang in $langs; do
    job cpu "compare_st_$lang" compare --task st --lang "$lang" --sets 'test_*' \
      --baseline "$(baseline "$st_streams")"
  done
}

run_stages
