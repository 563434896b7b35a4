#!/bin/sh
# Starts model with trtllm 9.9.9 for board
# as a process, where trtllm-serve is on PATH: inside its image.
# Written by trt-nemotron; works wherever the bundle lies.
#
#     start/start-here.sh         in the foreground, until Ctrl-C
#
# PORT   on 127.0.0.1; 8000 without it
# CACHE  a folder for compiled artefacts, for this bundle alone
set -eu

refuse() {
    printf 'start-here.sh: %s\n' "$*" >&2
    exit 3
}

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)
bundle=${here%/*}
port=${PORT:-8000}
cache=${CACHE:-${XDG_CACHE_HOME:-${HOME:?}/.cache}/trt-nemotron/key}

[ -f "$bundle/manifest.json" ] || refuse "$bundle is no bundle; run this file where it lies"
command -v trtllm-serve >/dev/null 2>&1 ||
    refuse trtllm-serve "is not on PATH; outside of the image use start.sh"
case $port in
    '' | *[!0-9]*) refuse "PORT is '$port', not a number" ;;
esac
mkdir -p -- "$cache"

# What a launcher above us left there would make the server take itself for one of its ranks.
ranks=$(awk 'BEGIN {
    for (name in ENVIRON)
        if (name ~ /^(OMPI|PMIX|PMI|PRTE|PRRTE|MPI|MPIR|HYDRA|I_MPI|SLURM|SRUN)_[A-Za-z0-9_]*$/) print name
}')
for rank in $ranks; do
    unset "$rank"
done

export PRICE='5$ or `six`'
export TRITON_CACHE_DIR="${cache}/triton"

exec trtllm-serve \
    "${bundle}/model/m" \
    --port "${port}" \
    --tag 'it'"'"'s'
