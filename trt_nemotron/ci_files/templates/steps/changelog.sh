set -- --changelog "$GATE_CHANGELOG" --budgets "$(dirname -- "$GATE_BUDGET")"
if [ -n "$GATE_BASELINE_STORE" ]; then set -- "$@" --store "$GATE_BASELINE_STORE"; fi
"$TOOL" baseline check-changelog "$@"
