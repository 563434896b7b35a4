set -- --target "$GATE_TARGET" --budget "$GATE_BUDGET" --profile "$GATE_PROFILE" --out "$GATE_OUT"
if [ -n "$GATE_RUNTIME" ]; then set -- "$@" --runtime "$GATE_RUNTIME"; fi
if [ -n "$GATE_CHECKPOINT" ]; then set -- "$@" --checkpoint "$GATE_CHECKPOINT"; fi
CODE=0
flock --wait "$GATE_WAIT_S" --conflict-exit-code 3 "$GATE_LOCK" "$TOOL" check "$@" || CODE=$?
