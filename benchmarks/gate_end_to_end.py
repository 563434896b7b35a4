"""Real A/B gates of the embedded target: unchanged, and with ten percent injected.

    python benchmarks/gate_end_to_end.py --gates 20 --out gates.jsonl
    python benchmarks/gate_end_to_end.py --summarise gates.jsonl

Two servers of one bundle, both behind a relay (`delaying_relay.py`) that adds nothing to A. To B it
adds nothing in every other gate; in the others TTFT and TPOT come out ten percent longer. Each gate
is `trt-nemotron gate --ab-urls` as anybody would run it, with both medians bounded at +3 %. Both
servers and both relays are held to one core, so that no scheduler gives one of them the better
place (docs/gating.md); the gate itself is not. One line is appended for each gate, so a run that
was stopped goes on where it was. Prints the counts as Markdown.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

TOOL = [sys.executable, "-m", "trt_nemotron"]
RELAY = Path(__file__).with_name("delaying_relay.py")
KINDS = ("unchanged", "injected")
SLOWER = 1.10


def tool(*arguments: str, may_fail: bool = False) -> subprocess.CompletedProcess[str]:
    """A command of ours."""
    done = subprocess.run([*TOOL, *arguments], capture_output=True, text=True, check=False)
    if done.returncode and not may_fail:
        sys.exit(f"{' '.join(arguments)}: {done.stderr}")
    return done


@contextmanager
def held_to(core: int) -> Iterator[None]:
    """What is started in the block stays on one core."""
    usual = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core} & usual or usual)
    try:
        yield
    finally:
        os.sched_setaffinity(0, usual)


@contextmanager
def served(bundle: Path, name: str) -> Iterator[int]:
    """The port of a bundle's server."""
    try:
        tool("serve", str(bundle), "--name", name, "--detach")
        known = json.loads(tool("status", "--json").stdout)
        (url,) = [each["url"] for each in found(known) if each.get("name") == name]
        yield int(url.removesuffix("/").removesuffix("/v1").rpartition(":")[2])
    finally:
        tool("stop", name, may_fail=True)


def found(tree: object) -> Iterator[dict[str, str]]:
    """Every object with a name in a tree of JSON."""
    if isinstance(tree, dict):
        if "name" in tree and "url" in tree:
            yield tree
        for value in tree.values():
            yield from found(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from found(value)


@contextmanager
def relayed(port: int, stretch: float) -> Iterator[str]:
    """The URL of a relay to that port."""
    argv = [sys.executable, "-I", "-S", str(RELAY), str(port), str(stretch), str(stretch)]
    relay = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    if relay.stdin is None or relay.stdout is None:
        sys.exit("the relay has no pipes")
    try:
        yield f"http://127.0.0.1:{int(relay.stdout.readline())}"
    finally:
        relay.stdin.close()
        relay.wait(10)
        relay.stdout.close()


def one_gate(kind: str, seed: int, ports: tuple[int, int], cap: int, core: int) -> dict:  # type: ignore[type-arg]
    """One gate; what it said."""
    with ExitStack() as held:
        with held_to(core):
            a = held.enter_context(relayed(ports[0], 1.0))
            b = held.enter_context(relayed(ports[1], SLOWER if kind == "injected" else 1.0))
        folder = held.enter_context(tempfile.TemporaryDirectory())
        begun, load = time.monotonic(), os.getloadavg()[0]
        options = ["--max-pairs", str(cap), "--seed", str(seed)]
        done = tool("gate", "--ab-urls", a, b, *options, "--out", folder, "--json", may_fail=True)
    verdict = json.loads(done.stdout)
    if not verdict.get("paired"):
        sys.exit(f"the gate measured nothing: {done.stdout}{done.stderr}")
    paired = verdict.get("paired") or {}
    return {
        "kind": kind,
        "seed": seed,
        "cap": cap,
        "exit_code": done.returncode,
        "decision": verdict.get("decision", "error"),
        "pairs": paired.get("pairs", 0),
        "dropped": paired.get("dropped", 0),
        "seconds": round(time.monotonic() - begun, 1),
        "load": [round(load, 2), round(os.getloadavg()[0], 2)],
        "invalid_reasons": verdict.get("invalid_reasons", []),
        "reasons": [
            result["reason"]
            for result in verdict.get("results", [])
            if result["decision"] != "pass"
        ]
        or verdict.get("error", {}).get("message", ""),
    }


def read(path: Path) -> list[dict]:  # type: ignore[type-arg]
    """The gates that were run; a line that was cut off by a kill is left out."""
    done = []
    for line in path.read_text().splitlines() if path.exists() else ():
        with suppress(json.JSONDecodeError):
            done.append(json.loads(line))
    return done


def show(done: list[dict]) -> None:  # type: ignore[type-arg]
    """The counts."""
    print("| injected | gates | failed | passed | inconclusive | invalid | pairs, median |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for kind in KINDS:
        here = [gate for gate in done if gate["kind"] == kind]
        if not here:
            continue
        counts = Counter(gate["decision"] for gate in here)
        pairs = sorted(gate["pairs"] for gate in here)
        title = "nothing" if kind == "unchanged" else "TTFT and TPOT +10 %"
        print(
            f"| {title} | {len(here)} | {counts['fail']} | {counts['pass']} "
            f"| {counts['inconclusive']} | {counts['invalid']} | {pairs[len(pairs) // 2]} |"
        )


def main() -> None:
    """Run what is still to be run, and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--gates", type=int, default=20, help="of each kind")
    parser.add_argument("--cap", type=int, default=480, help="pairs of requests at most")
    parser.add_argument("--core", type=int, default=1, help="that both servers are held to")
    parser.add_argument("--seconds", type=float, default=1e9, help="begin no gate after so long")
    wanted = parser.add_mutually_exclusive_group(required=True)
    wanted.add_argument("--out", type=Path, help="append each gate there; go on where it ended")
    wanted.add_argument(
        "--summarise", type=Path, metavar="FILE", help="only print the counts of it"
    )
    given = parser.parse_args()
    if given.summarise:
        show(read(given.summarise))
        return
    done, begun = read(given.out), time.monotonic()
    ran = {(gate["kind"], gate["seed"]) for gate in done}
    ahead = [
        (kind, seed)
        for seed in range(1, given.gates + 1)
        for kind in KINDS
        if (kind, seed) not in ran
    ]
    with ExitStack() as held:
        if ahead:
            folder = Path(held.enter_context(tempfile.TemporaryDirectory()))
            tool("build", "--target", "cpu", "--out", str(folder / "bundle"))
            with held_to(given.core):
                ports = (
                    held.enter_context(served(folder / "bundle", "end-to-end-a")),
                    held.enter_context(served(folder / "bundle", "end-to-end-b")),
                )
        for kind, seed in ahead:
            if time.monotonic() - begun > given.seconds:
                break
            gate = one_gate(kind, seed, ports, given.cap, given.core)
            done.append(gate)
            with given.out.open("a") as file:
                file.write(json.dumps(gate) + "\n")
            print(
                f"{kind} {seed}: {gate['decision']} after {gate['pairs']} pairs, "
                f"{gate['seconds']} s",
                file=sys.stderr,
                flush=True,
            )
    show(done)


if __name__ == "__main__":
    main()
