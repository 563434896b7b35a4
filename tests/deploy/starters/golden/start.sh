#!/bin/sh
# Starts model with trtllm 9.9.9 for board
# in a container, as `trt-nemotron serve` does, and stays until it ends.
# Written by trt-nemotron; works wherever the bundle lies.
#
#     start/start.sh              in the foreground, until Ctrl-C
#     start/start.sh --detach     arguments go to the engine's `run`
#     start/start.sh remove       removes the container, should one have been left
#
# ENGINE   docker or podman; without it the first that answers
# IMAGE    an image in place of registry.example/trtllm:9.9.9
# PORT     on 127.0.0.1; 8000 without it
# NAME     of the container
# SECRETS  names of variables that the server gets too: SECRETS="HF_TOKEN"
set -eu

refuse() {
    printf 'start.sh: %s\n' "$*" >&2
    exit 3
}

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)
bundle=${here%/*}
name=${NAME:-trt-nemotron-board-model}
port=${PORT:-8000}

[ -f "$bundle/manifest.json" ] || refuse "$bundle is no bundle; run this file where it lies"
case $bundle in
    *[,\"]*) refuse "a comma or a quotation mark in $bundle: engines cannot be told such a path" ;;
esac
case $port in
    '' | *[!0-9]*) refuse "PORT is '$port', not a number" ;;
esac

engine=${ENGINE:-}
if [ -z "$engine" ]; then
    for candidate in docker podman; do
        if "$candidate" version >/dev/null 2>&1; then
            engine=$candidate
            break
        fi
    done
fi
[ -n "$engine" ] || refuse "neither docker nor podman answers here"
"$engine" version >/dev/null 2>&1 || refuse "$engine is not here, or does not answer"

if [ "${1:-}" = remove ]; then
    left=$("$engine" ps --all --quiet --filter "label=io.trt-nemotron.starter=$name")
    [ -z "$left" ] || "$engine" rm --force "$left"
    exit 0
fi

image=${IMAGE:-}
[ -n "$image" ] || image=registry.example/trtllm:9.9.9
# A tag may stand for other content tomorrow: name a digest with IMAGE to pin it.
"$engine" image inspect "$image" >/dev/null 2>&1 ||
    refuse "the image $image is not here; get it with: $engine pull $image"

set -- "$@" \
    --rm \
    --init \
    --pull never \
    --name "${name}" \
    --label 'io.trt-nemotron.release=trtllm 9.9.9' \
    --stop-timeout 10 \
    --cap-drop ALL \
    --security-opt no-new-privileges \
    --read-only

case ${engine##*/} in
    podman*)
        set -- "$@" \
            --http-proxy=false \
            --device nvidia.com/gpu=all
        ;;
    *)
        set -- "$@" \
            --gpus all
        ;;
esac

set -- "$@" \
    --publish "127.0.0.1:${port}:8000" \
    --ipc host \
    --ulimit memlock=-1 \
    --tmpfs /tmp:rw,exec \
    --mount "type=bind,source=${bundle},target=/bundle,readonly" \
    --mount type=volume,source=trt-nemotron-key,target=/cache \
    --env HOME=/cache/home \
    --env 'PRICE=5$ or `six`'

for secret in ${SECRETS:-}; do
    case $secret in
        *[!A-Za-z0-9_]*) refuse "SECRETS takes names of variables, not '$secret'" ;;
    esac
    set -- "$@" --env "$secret"
done

set -- "$@" "$image" trtllm-serve \
    /bundle/model/m \
    --port 8000 \
    --tag 'it'"'"'s'

exec "$engine" run "$@"
