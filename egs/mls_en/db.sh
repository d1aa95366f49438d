# shellcheck shell=bash disable=SC2034
# Sourced by run.sh: where the corpora lie, unpacked. Variables of the environment win.
#
#   MLS           mls_english or mls_english_opus: train/ dev/ test/ metainfo.txt
#   LIBRISPEECH   LibriSpeech: dev-clean/ test-clean/
# For translation, each of which may stay empty:
#   CVSS          a folder with cvss_c_zh_en_v1.0/ cvss_c_es_en_v1.0/ cvss_c_fr_en_v1.0/, each with
#                 train.tsv dev.tsv test.tsv train/ dev/ test/ (the archives name no such folder)
#   COVOST        a folder with covost_v2.en_zh-CN.tsv
#   COMMON_VOICE  cv-corpus-4-2019-12-10: en/ es/ fr/ zh-CN/, which both of them refer to
MLS=${MLS:-}
LIBRISPEECH=${LIBRISPEECH:-}
CVSS=${CVSS:-}
COVOST=${COVOST:-}
COMMON_VOICE=${COMMON_VOICE:-}
