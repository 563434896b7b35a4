set -- "$GATE_OUT" --budget "$GATE_BUDGET" --check-exit-code "$CODE" --provider "$GATE_PROVIDER"
if [ -n "$GATE_BASELINE_STORE" ]; then set -- "$@" --baseline-store "$GATE_BASELINE_STORE"; fi
"$TOOL" ci conclude "$@"
