# shellcheck shell=bash disable=SC2034
# Sourced by run.sh: what runs jobs. Where an array is empty, commands run on the terminal, and lists
# of them by utils/run.py; egs/mls_en/cmd.sh shows how a cluster gets them.
case ${CMD_BACKEND:-local} in
  local)
    cpu_cmd=()
    audio_cmd=() # whatever reads audio
    gpu_cmd=()   # whatever reads with a model
    train_cmd=()
    ;;
  *)
    echo "cmd.sh: CMD_BACKEND=$CMD_BACKEND: only local is known here" >&2
    exit 1
    ;;
esac
