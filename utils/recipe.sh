# shellcheck shell=bash disable=SC2154
# Sourced by a run.sh after its settings. It reads the options, goes to the recipe's folder, and has
# the functions that stages are made of (jobs.sh, stages.sh). A run.sh sets, besides its options:
#
#   stage, stop_stage   the first and the last stage there is, until options say otherwise
#   paths="NAME ..."    settings that are paths, relative to where the user stands; some may be empty
#   path_lists="NAME ..."       likewise, of those that hold several
#   names_or_paths="NAME ..."   likewise, of those that name a file; others stay as they are
#   titles=(...)        of the stages: stage_1 is a function of run.sh
#
# and then calls run_stages.
_first=$stage _last=$stop_stage _help=$here/utils/settings.sh
# shellcheck source=parse_options.sh
. "$here/utils/parse_options.sh"
[[ $# -eq 0 ]] || option_error "unexpected argument $1"
for name in stage stop_stage nj; do
  [[ -z ${!name-} || ${!name} =~ ^(0|[1-9][0-9]{0,3})$ ]] \
    || option_error "--${name//_/-} ${!name}: expected a number"
done
[[ ${nj:-1} -ge 1 ]] || option_error "--nj $nj: expected 1 or more"
[[ $stage -ge $_first && $stage -le $stop_stage && $stop_stage -le $_last ]] \
  || option_error "stages $stage to $stop_stage: there are $_first to $_last"
for name in data exp lm_config $paths; do
  [[ -z ${!name} ]] || printf -v "$name" '%s' "$(realpath -m "${!name}")"
done

for name in ${path_lists-}; do
  _all=()
  for _one in ${!name}; do _all+=("$(realpath -m "$_one")"); done
  printf -v "$name" '%s' "${_all[*]-}"
done

for name in ${names_or_paths-}; do
  [[ ! -e ${!name} ]] || printf -v "$name" '%s' "$(realpath "${!name}")"
done

cd "$here" || exit
launch=()  # cmd.sh: what starts a training on several devices
machine=() # options of every training: its devices
# shellcheck disable=SC1091 # the recipe's
{
  . ./path.sh
  [[ ! -e db.sh ]] || . ./db.sh
  . ./cmd.sh
}
# shellcheck source=jobs.sh
. utils/jobs.sh
# shellcheck source=stages.sh
. utils/stages.sh

run_stages() {
  local number
  for number in $(seq "$stage" "$stop_stage"); do
    echo "stage $number: ${titles[number]}"
    "stage_$number"
  done
}
