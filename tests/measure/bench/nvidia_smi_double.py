"""A double of nvidia-smi with two boards, for energy: it refuses what the real one refuses."""

import sys
from pathlib import Path

NVIDIA_SMI_DOUBLE = """#!{python}
import sys, time
options = dict(a.partition("=")[::2] for a in sys.argv[1:])
known = {{"--query-gpu", "--format", "--loop-ms", "--filename"}}
if set(options) - known or options["--format"] != "csv,noheader,nounits":
    sys.exit("Invalid combination of input arguments. Please run 'nvidia-smi -h' for help.")
assert options["--query-gpu"] == "timestamp,index,power.draw"
out = open(options["--filename"], "w") if "--filename" in options else sys.stdout
while True:
    now = time.time()
    stamp = time.strftime("%Y/%m/%d %H:%M:%S", time.localtime(now)) + f".{{int(now % 1 * 1e3):03d}}"
    for index in range(2):
        print(f"{{stamp}}, {{index}}, {power}", file=out, flush=True)
    if "--loop-ms" not in options:
        break
    time.sleep(int(options["--loop-ms"]) / 1e3)
"""


def nvidia_smi_double(folder: Path, power: str, name: str = "nvidia-smi-double") -> str:
    """A double of nvidia-smi with two boards, which refuses what it does not know."""
    path = folder / name
    path.write_text(NVIDIA_SMI_DOUBLE.format(python=sys.executable, power=power))
    path.chmod(0o700)
    return str(path)
