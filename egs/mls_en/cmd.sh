# shellcheck shell=bash disable=SC2034,SC2154
# Sourced by run.sh: what stands before each command. CMD_BACKEND=slurm sends the work to a cluster
# (see conf/slurm.conf); Kaldi's run.pl and slurm.pl take the same arguments, --retries apart.
cmd_backend=${CMD_BACKEND:-local}
case $cmd_backend in
  local)
    runner=(utils/run.py)
    ;;
  slurm)
    runner=(utils/run.py --cluster slurm)
    if ((devices * num_nodes > 1)); then
      launch=(srun --kill-on-bad-exit=1 --input=none --cpus-per-task="$threads")
    fi
    ;;
  *)
    echo "cmd.sh: CMD_BACKEND=$cmd_backend: expected local or slurm" >&2
    exit 1
    ;;
esac
cpu_cmd=("${runner[@]}" --mem 4G --retries 1)
audio_cmd=("${runner[@]}" --mem 16G --retries 1 --gpu "$ngpu" --num-threads "$threads")
gpu_cmd=("${runner[@]}" --mem 16G --retries 1 --gpu "$ngpu")
# Started once more, a training goes on from its last checkpoint: so much for a limit of time.
train_cmd=("${runner[@]}" --mem 64G --retries 1 --gpu "$((ngpu > 0 ? devices : 0))"
  --num-nodes "$num_nodes" --num-tasks "$devices" --num-threads "$threads")
