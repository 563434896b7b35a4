"""Write the ready-made configurations: engine_configs/<target>/<precision>-<profile>.yaml.

python tools/write_configs.py            # write them
python tools/write_configs.py --check    # exit 1 when one is missing, stale or too many

Each is a plan from published facts, usable with plain trtllm-serve: its head is the command.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from trt_nemotron.deploy.checkpoint.known_model import known_checkpoint
from trt_nemotron.deploy.plan import Plan
from trt_nemotron.deploy.runtimes.protocol import Wishes
from trt_nemotron.deploy.runtimes.trtllm.card import CARD_RELEASE
from trt_nemotron.deploy.runtimes.trtllm.files import server_file_text
from trt_nemotron.deploy.runtimes.trtllm.plan import plan
from trt_nemotron.deploy.runtimes.trtllm.profiles import CARD, PROFILES
from trt_nemotron.document import write_atomically
from trt_nemotron.errors import PlanRefused
from trt_nemotron.facts.catalogue import load_model, load_release, load_target, target_names

FOLDER = Path(__file__).resolve().parent.parent / "engine_configs"
MODEL = "nemotron-3-nano-4b"
FORMS = ("bf16", "fp8", "nvfp4")
RUNTIME = "trtllm"


def main() -> int:
    """Write every file, or name those that are not as they would be written."""
    parser = argparse.ArgumentParser(description="Ready-made configurations.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when stale")
    is_check = parser.parse_args().check
    wanted = dict(configurations())
    stale = [path for path, text in wanted.items() if _text(path) != text]
    surplus = [path for path in _present() if path not in wanted]
    for path in (*stale, *surplus):
        if not is_check and path in wanted:
            write_atomically(path, wanted[path].encode())
        elif not is_check:
            path.unlink()
        word = "stale" if is_check else "wrote" if path in wanted else "removed"
        sys.stdout.write(f"{word}: {path.relative_to(FOLDER.parent)}\n")
    return 1 if is_check and (stale or surplus) else 0


def configurations() -> Iterator[tuple[Path, str]]:
    """Path and text of every file that there should be."""
    for name in target_names():
        for form in FORMS:
            for profile in PROFILES:
                if profile == CARD and form != "bf16":
                    continue
                made = _plan(name, form, profile)
                if made is not None:
                    path = FOLDER / name / f"{form}-{profile}.yaml"
                    yield path, _text_of(made, path)


def _plan(target_name: str, form: str, profile: str) -> Plan | None:
    """The plan; nothing where it is refused, for a reason that `plan` tells."""
    target, checkpoint = load_target(target_name), known_checkpoint(f"{MODEL}-{form}")
    support = next((it for it in target.runtimes if it.runtime == RUNTIME), None)
    if support is None or checkpoint is None:
        return None
    is_experimental = support.status == "experimental"
    wishes = Wishes(profile=profile, is_experimental=is_experimental)
    release = load_release(RUNTIME, CARD_RELEASE if profile == CARD else support.release)
    if is_experimental and profile == CARD:
        return None
    try:
        return plan(target, checkpoint, wishes, release)
    except PlanRefused:
        return None


def _text_of(made: Plan, path: Path) -> str:
    place = path.relative_to(FOLDER.parent).as_posix()
    repository = next(
        variant.repository
        for variant in load_model(MODEL).variants
        if variant.name == made.checkpoint.name
    )
    return server_file_text(made, model=repository, config=place, revision=made.checkpoint.revision)


def _present() -> list[Path]:
    return [path for name in target_names() for path in sorted((FOLDER / name).glob("*.yaml"))]


def _text(path: Path) -> str:
    return path.read_text() if path.is_file() else ""


if __name__ == "__main__":
    sys.exit(main())
