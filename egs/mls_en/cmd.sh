# shellcheck shell=bash disable=SC2034,SC2154
# Sourced by run.sh: what stands before each command. CMD_BACKEND=slurm sends the work to a cluster
# (see conf/slurm.conf); Kaldi's run.pl and slurm.pl take the same arguments, --retries apart.
cmd_backend=${CMD_BACKEND:-local}
case $cmd_backend in
  local) runner=(utils/run.py) ;;
  slurm) runner=(utils/slurm.py) ;;
  *)
    echo "cmd.sh: CMD_BACKEND=$cmd_backend: expected local or slurm" >&2
    exit 1
    ;;
esac
cpu_cmd=("${runner[@]}" --mem 4G --retries 1)
audio_cmd=("${runner[@]}" --mem 16G --retries 1 --gpu "$ngpu" --num-threads "$threads")
gpu_cmd=("${runner[@]}" --mem 16G --retries 1 --gpu "$ngpu")
train_cmd=("${runner[@]}" --mem 64G --gpu "$ngpu")
