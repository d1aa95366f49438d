#!/usr/bin/env bash
# What ESPnet's users of discrete units compare on: LibriSpeech's train-clean-100, and its dev and test
# sets, clean and other. Recognition, boundaries and latency, on one GPU, or on a cluster:
#
#   egs/librispeech_100/run.sh [options]            # db.sh says where LibriSpeech lies
#   egs/librispeech_100/run.sh --units wavlm        # WavLM-large, layer 21, K = 2000
#
# Stages (what is complete is skipped, so a second call goes on where the first one stopped):
#   1  data dirs, alignments  DATA/{train_clean_100,dev_clean,...}, EXP/align
#   2  learn-kmeans           the codebook                             EXP/units/kmeans.npz
#   3  dump-units             recordings to units, in shards           EXP/units/<set>
#   4  train-lm               the entropy LM, forward and backward     EXP/lm, EXP/lm_backward
#   5  score-entropy          an entropy for every unit, in shards     EXP/entropy/<set>
#   6  segment                groups by every criterion, a job each    EXP/segments/<tag>/<set>
#   7  ASR                    a recogniser for each stream             EXP/asr/<tag>
#   8  align-eval             boundaries against phones and words      EXP/align_eval
#   9  latency                milliseconds from waveform to text       EXP/latency.json
#  10  results                error rates of all streams               EXP/results.md
#
# Options (--exp is EXP_UNITS beside the script by default; --nj: jobs that share a stage's utterances):
#   --units hubert|wavlm|NAME   HuBERT-base, layer 9, K = 500 (the default); WavLM-large, layer 21,
#                               K = 2000; or another extractor, with --layer
#   --layer N, --checkpoint FILE   see entcomp learn-kmeans --help
#   --codebook FILE             a published one, such as ESPnet's km_500.mdl, instead of our own
#   --max-frames N              a codebook is learnt from so many, drawn from train-clean-100
#   --streams "NAME ..."        for ASR: raw, dedup, or tags of stage 6 (/max for another pooling)
#   --seeds "N ..."             of ASR; without any, one model a stream
#   --asr-config FILE           see conf/asr.yaml
#   --ngpu N                    GPUs of a job that can use one; 0 works, slowly
#   --devices N, --num-nodes N  GPUs of a node to train on, and nodes, under SLURM
#   --threads N                 processors of a job that reads audio, and of a device that trains
#
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=../../utils/settings.sh
. "$here/utils/settings.sh"
stage=1
stop_stage=10
exp=
num_clusters=
rates="24 15 12 10 7"
units=hubert
layer=
checkpoint=
codebook=
max_frames=1000000
lm_config=$here/conf/lm.yaml
streams="raw dedup fixed2/max rate15_global rate12_bidirectional_peaks rate10_bidirectional_peaks"
seeds=
asr_config=$here/conf/asr.yaml
ngpu=1
devices=1
num_nodes=1
threads=4
paths="asr_config checkpoint codebook"
# shellcheck source=../../utils/recipe.sh
. "$here/utils/recipe.sh"

titles=("" "data dirs and alignments" learn-kmeans dump-units train-lm score-entropy segment ASR
  align-eval latency results)
case $units in
  hubert) extractor=hubert_base layer=${layer:-9} num_clusters=${num_clusters:-500} ;;
  wavlm) extractor=wavlm_large layer=${layer:-21} num_clusters=${num_clusters:-2000} ;;
  *) extractor=$units num_clusters=${num_clusters:-500} ;;
esac
exp=${exp:-$here/exp_$units}
machine=(--devices "$devices" --num-nodes "$num_nodes")
weights=(${checkpoint:+--checkpoint "$checkpoint"})
train_set=train_clean_100
dev_sets=dev_clean,dev_other
test_sets=test_clean,test_other
directions="forward backward"
criteria=(uniform random global relative combined peak bidirectional "bidirectional --peaks")
windows="2 4"

stage_1() {
  local set
  if [[ -z $LIBRISPEECH ]]; then
    echo "run.sh: set LIBRISPEECH in db.sh, or in the environment" >&2
    exit 1
  fi
  for set in "$train_set" ${dev_sets/,/ } ${test_sets/,/ }; do
    run local/prepare_librispeech.py "$LIBRISPEECH/${set//_/-}" "$data/$set"
  done
  job audio align align --sets "$test_sets" --nj "$threads"
}

stage_2() {
  learn_kmeans "$train_set" --extractor "$extractor" ${layer:+--layer "$layer"} "${weights[@]}" \
    ${codebook:+--from "$codebook"} --max-frames "$max_frames" --nj "$threads"
}

stage_3() { dump_units "${weights[@]}" --nj "$threads"; }
stage_4() { train_lm --sets "$train_set" --dev-sets "$dev_sets"; }
stage_5() { score_entropy "$dev_sets"; }
stage_6() { segment; }

stage_7() {
  text_models asr '' "$streams" "$seeds" "$dev_sets,$test_sets" --config "$asr_config" \
    --sets "$train_set" --dev-sets "$dev_sets" | job_array train asr
}

stage_8() { job cpu align-eval align-eval --sets "$test_sets"; }

stage_9() {
  local seed=${seeds%% *}
  latency "${streams// /${seed:+_seed$seed} }${seed:+_seed$seed}" --sets test_clean "${weights[@]}"
}

stage_10() {
  run local/results.py "$exp"
  paper_tables test_clean
}

run_stages
