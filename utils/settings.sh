# shellcheck shell=bash disable=SC2034,SC2154
# Options of every recipe:
#   --stage N, --stop-stage N   first and last stage
#   --data DIR, --exp DIR       where data dirs and results go (default: beside the script)
#   --nj N                      processes at a time (default: one a processor)
#   --num-clusters K            size of the codebook
#   --lm-config FILE            see conf/lm/
#   --lm-units raw|dedup        does the LM see repeated units?
#   --lm-steps N                training steps, instead of the config's
#   --rates "HZ ..."            groups a second to aim at
#   --dry-run                   print the commands, and run none

# Sourced by a run.sh first: the settings that recipes share. What else it sets before it sources
# recipe.sh is an option as well.
data=$here/data
exp=$here/exp
nj=$(nproc)
num_clusters=500
lm_units=raw
lm_steps=
rates="24 15 7"
dry_run=false
