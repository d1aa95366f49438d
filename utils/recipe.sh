# shellcheck shell=bash
# Sourced by run.sh of recipes: how commands are run.
# shellcheck disable=SC2154 # dry_run, and for job_list exp and nj, are the recipe's options

# run COMMAND...: print a command, and run it unless this is a dry run.
run() {
  printf '+'
  printf ' %q' "$@"
  printf '\n'
  $dry_run || "$@"
}

# job_list NAME: the commands on standard input, one a line, $nj of them at a time; what each of them
# printed is in EXP/log.
job_list() {
  local list=$exp/log/$1.list jobs threads
  if $dry_run; then
    sed 's/^/+ /'
    return
  fi
  mkdir -p "$exp/log"
  rm -f "$exp/log/$1".*.log
  cat > "$list"
  jobs=$(wc -l < "$list")
  # The processors are shared out: threads that wait for each other take ten times as long.
  threads=$(($(nproc) / (jobs < nj ? jobs : nj)))
  utils/run.py --max-jobs-run "$nj" --num-threads "$((threads > 0 ? threads : 1))" \
    "JOB=1:$jobs" "$exp/log/$1.JOB.log" sed -n JOBp "$list" \| bash -euo pipefail
  grep -h -e 'groups a second$' -e ' utterances to ' -e ': complete, skipped$' "$exp/log/$1".*.log
}
