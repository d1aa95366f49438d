#!/usr/bin/env bash
# speechocean762: three hours of English by 125 speakers, most of them not native. Compressed units,
# and recognisers of them, on speakers that neither model has heard.
#
#   egs/speechocean762/run.sh --corpus DIR --prompts DIR [options]
#
# --corpus is the corpus's train folder (OpenSLR 101): wav.scp, text, utt2spk, spk2age, recordings.
# --prompts are the data dirs of egs/asterisk (its stages 0 and 1), read by professionals: with them
# the models have heard five languages, and clean speech beside learners'.
# --native and --more are speech without texts, for the codebook and the LMs: Kaldi data dirs with
# wav.scp (paths may be relative to it) and utt2spk. Of --native, 50 speakers are held back; nobody
# is of --more.
#
# Stages (what is complete is skipped):
#   1  data dirs       100 speakers to train on, 10 for dev, 15 for the test; sentences of its adults
#                      for VC; the prompts' own sets
#   2  learn-kmeans    the codebook of Moonshine's third layer
#   3  dump-units
#   4  train-lm        forward and backward
#   5  score-entropy
#   6  segment         by every criterion, and the baselines
#   7  align-eval      boundaries against the prompts' alignments by MFA; of native speakers that no
#                      model heard, against pocketsphinx's of what Moonshine hears
#   8  pack            the model, for tokenize                 EXP/pack/moonshine-l3-kK
#   9  ASR             a recogniser for each stream and seed, decoded on unseen speakers and prompts
#  10  results         error rates of all streams and seeds, with intervals, on standard output
#  11  VC              a voice converter for each stream and seed; unseen adults in each other's voices
#  12  VC results      what was said, whose voice it is, how it sounds; on standard output
#
# Options (--nj here: models at a time):
#   --corpus DIR, --prompts DIR, --native DIR, --more DIR  see above
#   --whiten W, --max-frames N  of the codebook; see entcomp learn-kmeans
#   --pretrained DIR            where stage 8 puts the model, instead of EXP/pack: with entcomp/pretrained it
#                               replaces the one that comes with entcomp
#   --streams "NAME ..."        raw, dedup, or tags of stage 6
#   --seeds "N ..."
#   --asr-config FILE, --asr-steps N
#   --vc-streams "NAME ..."     for VC; what the first one learnt, the others start from
#   --vc-config FILE, --vc-steps N  of the first stream; an eighth for the others
#   --vc-seeds "N ..."
#   --vocoder NAME|FILE         universal (104 MB, which stage 11 fetches), griffin-lim, or a checkpoint
#

# shellcheck disable=SC2119 # options of stages are optional
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=utils/settings.sh
. "$here/utils/settings.sh"
stage=1
stop_stage=12
corpus=
native=
more=
prompts=$here/../asterisk/data
rates="24 15 10 7"
whiten=0.0
max_frames=128000
pretrained=
lm_config=$here/conf/lm/pretrained.yaml
streams="raw dedup fixed2 fixed4 uniform15 rate15_global rate15_bidirectional rate7_global"
seeds="0 1 2"
asr_config=$here/conf/asr/small.yaml
asr_steps=
vc_streams="rate24_global raw dedup rate15_global rate7_global"
vc_config=$here/conf/vc/small_long.yaml
vc_steps=12000
vc_seeds="0 1 2"
vocoder=universal
paths="corpus native more prompts pretrained asr_config vc_config"
names_or_paths=vocoder
# shellcheck source=utils/recipe.sh
. "$here/utils/recipe.sh"
[[ -n $corpus || $stage -gt 1 ]] || option_error "--corpus is needed for stage 1"
pretrained=${pretrained:-$exp/pack}

titles=("" "data dirs" learn-kmeans dump-units train-lm score-entropy segment align-eval pack ASR results
  VC "VC results")
directions="forward backward"
criteria=(global relative combined bidirectional uniform random "bidirectional --peaks")
windows="2 3 4"
watched=dev
peak_rates="10 7" # of both directions; more than 11 a second there are not
# Seconds, chosen on dev_en by egs/asterisk: Moonshine's units turn so much before the middle of what
# they cover.
unit_shift=-0.016
vc_share=8
convert_options=(--sets test_vc --reference "$data/test_vc/references.scp" --vocoder "$vocoder")

stage_1() {
  run local/prepare_data.py "$corpus" "$data"
  if [[ -n $native$more ]]; then
    run local/prepare_native.py ${native:+--native "$native"} ${more:+--more "$more"} "$data"
  fi
  run cp -R "$prompts"/{train,dev,test}_{en,es,fr,it,ru} "$data"
}

stage_2() { learn_kmeans 'train*' --whiten "$whiten" --max-frames "$max_frames"; }
stage_3() { dump_units; }
stage_4() { train_lm; }
stage_5() {
  local sets=dev,dev_en
  if [[ -e $data/dev_native ]]; then sets+=,dev_native; fi
  score_entropy "$sets"
}
stage_6() { segment; }

stage_7() {
  unpack_alignments ../asterisk/mfa/textgrids.tar.xz
  job cpu align-eval align-eval --sets test_en --shift "$unit_shift" --alignments "$exp/align_mfa"
  [[ -e $data/test_native ]] || return 0
  run local/transcribe.py "$data/test_native"
  job audio align align --aligner pocketsphinx --sets test_native
  job cpu align-eval_native align-eval --sets test_native --shift "$unit_shift"
}

stage_8() {
  local tags=() rate
  for rate in $rates; do tags+=(--segmentation "rate${rate}_global"); done
  for rate in $peak_rates; do tags+=(--segmentation "rate${rate}_bidirectional_peaks"); done
  run entcomp pack "${tags[@]}" --default rate10_bidirectional_peaks --notes local/model_card.md "$exp" \
    "$pretrained/moonshine-l3-k$num_clusters"
}

stage_9() {
  text_models asr '' "$streams" "$seeds" test,test_en --config "$asr_config" \
    --sets train,train_en --dev-sets dev,dev_en ${asr_steps:+--max-steps "$asr_steps"} \
    | job_array train asr
}

stage_10() {
  job cpu compare compare --sets test,test_en
  paper_tables test
}

stage_11() {
  fetch_voices
  vc "$vc_streams" "$vc_seeds" --pooling cale
}

stage_12() {
  job gpu score-vc score-vc --sets test_vc --vocoder "$vocoder"
  run local/conversion_table.py "$data" "$exp" test_vc
}

run_stages
