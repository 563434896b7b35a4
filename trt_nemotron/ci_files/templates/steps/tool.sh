TOOL=trt-nemotron
if [ -n "$GATE_PACKAGE" ]; then
  python3 -m venv "$GATE_TOOL_DIR"
  "$GATE_TOOL_DIR/bin/python" -m pip --quiet --disable-pip-version-check install -- "$GATE_PACKAGE"
  TOOL="$GATE_TOOL_DIR/bin/trt-nemotron"
elif ! command -v trt-nemotron; then
  echo "trt-nemotron is not on this runner's PATH: install it there, or name a package" >&2
  exit 3
fi
"$TOOL" --version
