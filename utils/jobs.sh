# shellcheck shell=bash disable=SC2154
# Sourced by recipe.sh: how a recipe's commands are run. cmd.sh has an array for each kind of job,
# cpu_cmd, audio_cmd, gpu_cmd and train_cmd: a runner and its options, to which a log and the command
# are added. Where it is empty, a command runs right here, and writes to the terminal.

# run COMMAND...: print a command, and run it unless this is a dry run.
run() {
  printf '+'
  printf ' %q' "$@"
  printf '\n'
  $dry_run || "$@"
}

# entcomp_words STAGE OPTIONS...: the command `entcomp STAGE OPTIONS... DATA EXP` to the array `words`.
entcomp_words() {
  words=()
  if [[ $1 == train-* ]]; then words=("${launch[@]}"); fi
  words+=(entcomp "$@" "$data" "$exp")
}

# line STAGE OPTIONS...: the same as bash reads it, for job_array; it doesn't end the line.
line() {
  local words
  entcomp_words "$@"
  printf '%q ' "${words[@]}"
}

# job KIND NAME STAGE OPTIONS...: the same as one job; then what it printed last.
job() {
  local -n cmd=${1}_cmd
  local log=$exp/log/$2.log words
  shift 2
  entcomp_words "$@"
  if ((${#cmd[@]} == 0)); then
    run "${words[@]}"
    return
  fi
  run "${cmd[@]}" "$log" "${words[@]}"
  $dry_run || sed '/^#/d' "$log" | tail -n 20
}

# job_array KIND NAME: a job for each line on standard input; what they printed is in EXP/log, and in
# short on standard output. On this machine $nj of them run at a time.
job_array() {
  local -n cmd=${1}_cmd
  local log=$exp/log/$2 lines list count threads runner=("${cmd[@]}")
  lines=$(cat)
  # Another recipe may run in this folder with other lines: its jobs must not find ours.
  list=$log.$(cksum <<< "$lines" | cut -d ' ' -f 1).list
  count=$(wc -l <<< "$lines")
  if ((${#runner[@]} == 0)); then
    # The processors are shared out: threads that wait for each other take ten times as long.
    threads=$(($(nproc) / (count < nj ? count : nj)))
    runner=(utils/run.py --max-jobs-run "$nj" --num-threads "$((threads > 0 ? threads : 1))")
  fi
  if $dry_run; then
    echo "+ ${lines//$'\n'/$'\n+ '}"
  else
    mkdir -p "$exp/log"
    rm -f "$log".*.log
    echo "$lines" > "$list"
  fi
  run "${runner[@]}" "JOB=1:$count" "$log.JOB.log" sed -n JOBp "$list" \| bash -euxo pipefail
  # Lines with a plus are the commands themselves.
  local said='groups a second|out of reach.*| utterances to .*|: complete, skipped'
  $dry_run || sed -nE "/^\\+/d; /($said)\$/p" "$log".*.log
}

# sharded KIND NAME OUTPUT STAGE OPTIONS...: a stage in $nj jobs whose outputs are joined, where a
# runner does the jobs. It then runs as a whole, finds all done, and writes what needs all shards,
# such as the calibration.
sharded() {
  local -n cmd=${1}_cmd
  local kind=$1 name=$2 output=$3 words
  shift 3
  if ((${#cmd[@]} > 0 && nj > 1)); then
    entcomp_words "$@" ${all_sets:+--sets "$all_sets"} --shard "JOB/$nj"
    run "${cmd[@]}" "JOB=1:$nj" "$exp/log/$name.JOB.log" "${words[@]}"
    run entcomp merge-shards "$output" ${all_sets:+--sets "$all_sets"} --shards "$nj" "$data" "$exp"
  fi
  job "$kind" "$name" "$@" ${all_sets:+--sets "$all_sets"}
}
