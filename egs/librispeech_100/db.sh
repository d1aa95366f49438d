# shellcheck shell=bash disable=SC2034
# Sourced by run.sh: where the corpus lies, unpacked. A variable of the environment wins.
#
#   LIBRISPEECH   LibriSpeech: train-clean-100/ dev-clean/ dev-other/ test-clean/ test-other/
LIBRISPEECH=${LIBRISPEECH:-}
