# shellcheck shell=bash disable=SC2034
# Sourced by run.sh: what stands before each command. Nothing, where this machine does the work;
# a cluster's `srun --gpus=1`, say, would go here.
case ${CMD_BACKEND:-local} in
  local)
    cpu_cmd=()
    train_cmd=() # whatever trains a model, or reads with one
    ;;
  *)
    echo "cmd.sh: CMD_BACKEND=$CMD_BACKEND: only local is known here" >&2
    exit 1
    ;;
esac
