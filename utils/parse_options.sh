# shellcheck shell=bash
# Options of a script: --name value, --name=value, or --flag alone, to the variable `name`.
#
#   stage=0                        # whatever is set before is an option, this its default
#   full=false                     # true or false makes it a flag: --full or --full false
#   . utils/parse_options.sh       # afterwards "$@" holds what is no option
#
# Dashes and underscores are one: --stop-stage and --stop_stage set stop_stage. Where the default
# is a whole number, the value must be one. --help prints the comment at the head of the script, and
# of the file that _help names.
# option_error MESSAGE ends a script that finds more to object to.

option_error() {
  echo "${0##*/}: $1; see $0 --help" >&2
  exit 1
}

_print_header() {
  local file
  for file in "$0" ${_help:+"$_help"}; do
    sed -n '2,$ { /^#/!q; s/^# \{0,1\}//; p }' "$file"
  done
}

while [[ $# -gt 0 ]]; do
  case $1 in
    -h | --help)
      _print_header
      exit 0
      ;;
    --)
      shift
      break
      ;;
    --*) ;;
    -*) option_error "unknown option $1" ;;
    *) break ;;
  esac

  _option=${1%%=*}
  _name=${_option#--}
  _name=${_name//-/_}
  # Options are lower-case words; a variable such as PATH or _name is none.
  [[ $_name =~ ^[a-z][a-z0-9_]*$ && -v $_name ]] || option_error "unknown option $_option"
  _default=${!_name}

  if [[ $1 == *=* ]]; then
    _value=${1#*=}
  elif [[ $_default =~ ^(true|false)$ && ! ${2-} =~ ^(true|false)$ ]]; then
    _value=true
  elif [[ $# -gt 1 && $2 != --* ]]; then
    _value=$2
    shift
  else
    option_error "$_option needs a value"
  fi
  shift

  if [[ $_default =~ ^(true|false)$ && ! $_value =~ ^(true|false)$ ]]; then
    option_error "$_option $_value: expected true or false"
  fi
  if [[ $_default =~ ^-?[0-9]+$ && ! $_value =~ ^-?[0-9]+$ ]]; then
    option_error "$_option $_value: expected a whole number"
  fi
  printf -v "$_name" '%s' "$_value"
done
unset _option _name _default _value
