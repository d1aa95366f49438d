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
#   --subset N                  about N prompts a language, to try things out
#   --whiten W, --max-frames N  of the codebook; see entcomp learn-kmeans
#   --streams "NAME ..."        for ASR and ST: raw, dedup, or tags of stage 6
#   --asr-config, --st-config FILE   see conf/asr/, conf/st/
#   --asr-steps N               training steps of ASR and ST
#   --voices "DIR ..."          data dirs of more speakers for VC to learn from, with wav.scp and utt2spk
#                               (no text; one recording of each speaker will do): DATA/voices_<name>
#   --vc-streams "NAME ..."     for VC, likewise; what the first one learnt, the others start from
#   --vc-config FILE            see conf/vc/
#   --vc-steps N                training steps of the first stream's VC; a quarter for the others
#   --vocoder NAME|FILE         universal (104 MB, which stage 0 fetches if VC is to come), griffin-lim,
#                               or a checkpoint; with all but griffin-lim, a second judge of voices
#   --full                      ASR, ST and VC of all streams there are, as long as the configs say
#

# shellcheck disable=SC2119 # options of stages are optional
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=utils/settings.sh
. "$here/utils/settings.sh"
stage=0
stop_stage=14
subset=0
whiten=0.0
max_frames=128000
lm_config=$here/conf/lm/small.yaml
streams="raw dedup fixed2 fixed4 rate15_global rate7_global"
asr_config=$here/conf/asr/tiny.yaml
st_config=$here/conf/st/tiny.yaml
asr_steps=200
voices=
vc_streams="rate24_global rate15_global rate7_global raw dedup fixed2"
vc_config=$here/conf/vc/small.yaml
vc_steps=800
vocoder=universal
full=false
paths="asr_config st_config vc_config"
path_lists=voices
names_or_paths=vocoder
# shellcheck source=utils/recipe.sh
. "$here/utils/recipe.sh"

twice=$(for one in $voices; do basename "$one"; done | sort | uniq -d | paste -sd ,)
[[ -z $twice ]] || option_error "--voices: several folders are called $twice; name them apart"

titles=("set-up and download" "data dirs" learn-kmeans dump-units train-lm score-entropy segment
  "align and align-eval" report ASR ST latency results VC "VC scores")
downloads=downloads
directions="forward backward"
criteria=(global relative combined peak bidirectional uniform random "bidirectional --peaks")
windows=4
frame_shift=0.024
watched=test_en
# Seconds, chosen on dev_en: Moonshine's units turn so much before the middle of what they cover.
unit_shift=-0.016
vc_share=4
convert_options=(--sets test_en --reference "$exp/vc/references.scp" --voice-guidance 1
  --vocoder "$vocoder")
text_options=(--sets train_en --dev-sets dev_en --max-steps "$asr_steps")
if $full; then text_options=(--sets train_en --dev-sets dev_en); fi

stage_0() {
  run ../../tools/install.sh
  run ../../tools/install_moonshine.sh
  run local/download.sh "$downloads/prompts"
  if ((stop_stage >= 13)); then fetch_voices; fi
}

stage_1() {
  local one
  run local/prepare_data.py --subset "$subset" "$downloads/prompts" "$downloads/flac" "$data"
  for one in $voices; do run local/prepare_voices.py "$one" "$data/voices_$(basename "$one")"; done
}

stage_2() {
  learn_kmeans 'train_*' --whiten "$whiten" --max-frames "$max_frames" --nj "$nj"
}

stage_3() { dump_units --nj "$nj"; }
stage_4() { train_lm; }
# The English dev set: the LM has not seen it, and it is the speech that stage 7 looks at.
stage_5() { score_entropy dev_en; }
stage_6() { segment; }

# Against the alignments by MFA that come with the recipe, and against pocketsphinx's.
stage_7() {
  unpack_alignments mfa/textgrids.tar.xz
  job cpu align align --aligner pocketsphinx --sets test_en --nj "$nj"
  job cpu align-eval align-eval --sets test_en --shift "$unit_shift" \
    --output "$exp/align_eval_pocketsphinx"
  job cpu align-eval align-eval --sets test_en --shift "$unit_shift" --alignments "$exp/align_mfa"
}

stage_8() {
  paper_tables test_en --alignments "$exp/align_mfa"
  $dry_run || printf '%s\n' "$exp"/report/*.png "$exp/align_eval/test_en.md"
}

# chosen STREAMS: these, or all there are.
chosen() {
  if $full; then all_streams; else echo "$1"; fi
}

stage_9() {
  text_models asr '' "$(chosen "$streams")" '' test_en --config "$asr_config" "${text_options[@]}" \
    | job_array train asr
}

stage_10() {
  local lang
  for lang in fr es; do
    text_models st "${lang}_" "$(chosen "$streams")" '' test_en --lang "$lang" \
      --config "$st_config" "${text_options[@]}"
  done | job_array train st
}

stage_11() { latency "$(chosen "$streams")" --sets test_en --utterances 30; }

stage_12() {
  stage_8
  $dry_run || cat "$exp/report/results.md"
}

# All streams have the same network, CALE included. A language has one voice here, so that units
# tell whose they are: conversion has to push away from it.
stage_13() {
  local sets="train_*${voices:+,voices_*}"
  local options=(--pooling cale --sets "$sets" --dev-sets 'dev_*')
  run local/draw_references.py "$data"/test_{en,fr,it,ru} "$exp/vc/references.scp"
  if $full; then
    voice_models "$(all_streams)" '' '' "${options[@]}" | job_array train vc
  else
    vc "$vc_streams" '' "${options[@]}"
  fi
}

stage_14() {
  job gpu score-vc score-vc --sets test_en --vocoder "$vocoder"
  stage_8
}

run_stages
