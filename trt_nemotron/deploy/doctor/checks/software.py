"""What is installed: architecture, system software of the board, the runtime, this tool."""

import re

from trt_nemotron.deploy.doctor.examination import Examination, Outcome, fail, ok, unknown, warn
from trt_nemotron.deploy.doctor.order import PROCESS_MODULES
from trt_nemotron.deploy.doctor.versions import is_at_least, version_in
from trt_nemotron.facts.contract import Payload
from trt_nemotron.facts.release import Defect

TENSORRT_PACKAGES = ("dpkg-query", "-W", "libnvinfer10", "tensorrt")

_LEAST_PYTHON = "3.10"
_PROGRAMS = {"llamacpp": "llama-server"}
_TEGRA_RELEASE = "/etc/nv_tegra_release"
_MODELS = ("/proc/device-tree/model", "/sys/class/dmi/id/product_name")


def check_architecture(at: Examination) -> Outcome:
    """The processor is one that the target has."""
    mine, wanted = at.host.architecture(), at.order.target.architectures
    evidence = f"this machine is {mine}, the target is {' or '.join(wanted)}"
    return ok(evidence) if mine in wanted else fail(evidence)


def check_support(at: Examination) -> Outcome:
    """The runtime is supported on the target."""
    support = at.order.support
    others = [it for it in at.order.target.runtimes if it.status == "supported"]
    remedy = f"Use --runtime {others[0].runtime}." if others else ""
    if support.status == "refused":
        return fail(f"{support.runtime}: {support.reason}", remedy, support.source)
    if support.status == "experimental":
        return warn(f"{support.runtime} is experimental: {support.reason}", remedy, support.source)
    return ok(f"{support.runtime}: {support.reason}")


def check_runtime_installed(at: Examination) -> Outcome:
    """What serves the model is installed beside this tool."""
    runtime = at.order.support.runtime
    missing = [it for it in PROCESS_MODULES[runtime] if not at.host.has_module(it)]
    program = _PROGRAMS.get(runtime, "")
    if not missing:
        return ok(f"{', '.join(PROCESS_MODULES[runtime])} are installed")
    if program and at.host.has_program(program):
        return ok(f"{program} is on PATH; {', '.join(missing)} are not installed")
    return fail(f"not installed: {', '.join(missing)}", f"pip install 'trt-nemotron[{runtime}]'")


def check_python(at: Examination) -> Outcome:
    """The interpreter is one that this tool is made for."""
    version = at.host.python_version()
    if not version_in(version):
        return unknown(f"the interpreter calls itself {version!r}")
    is_new = is_at_least(version_in(version), _LEAST_PYTHON)
    return (ok if is_new else fail)(f"Python {version}, and {_LEAST_PYTHON} is needed")


def check_payload(at: Examination) -> Outcome:
    """The runtime has a native part for this board and its system software."""
    release, gpu = at.order.release, at.order.target.gpu
    payloads = release.payloads if release else ()
    wanted = [it for it in payloads if gpu is not None and gpu.sm in it.sms]
    if release is None or not wanted:
        return fail(f"none of {len(payloads)} is for this board")
    found = [it.id for it in wanted if _is_for(it, at)]
    what = f"Jetson Linux {jetson_release(at)}" if jetson_release(at) else "this system"
    if found:
        return ok(f"{found[0]}, for {what}")
    known = ", ".join(f"{it.id} ({' or '.join(it.probe_values)})" for it in wanted)
    is_exact = release.exactness is not None and release.exactness.value == "exact"
    return (fail if is_exact else warn)(f"none is for {what}: {known}", source=wanted[0].source)


def _is_for(payload: Payload, at: Examination) -> bool:
    """Whether its probe reads what it wants; a probe that we cannot make finds nothing."""
    values = payload.probe_values
    if payload.probe == "l4t":
        mine = jetson_release(at)
        return any(mine == it or mine.startswith(f"{it}.") for it in values)
    if payload.probe == "device-model":
        models = " ".join(at.host.read(path) or "" for path in _MODELS).replace("_", " ")
        return any(it in models for it in values)
    if payload.probe == "os-release":
        return _system(at) in values
    return False


def _system(at: Examination) -> str:
    """`ubuntu:24.04`."""
    text = at.host.read("/etc/os-release") or ""
    said = dict(re.findall(r'^(ID|VERSION_ID)="?([^"\n]*)"?$', text, re.MULTILINE))
    return f"{said.get('ID', '')}:{said.get('VERSION_ID', '')}"


def jetson_release(at: Examination) -> str:
    """`R38.2.2`, from `# R38 (release), REVISION: 2.2, ...`; empty without such a line."""
    found = re.match(
        r"# (R[0-9]{1,4}) \(release\), REVISION: ([0-9]{1,4}(?:\.[0-9]{1,4})*)",
        at.host.read(_TEGRA_RELEASE) or "",
    )
    return ".".join(found.groups()) if found else ""


def check_board_libraries(at: Examination) -> Outcome:
    """No library of the board is at a version that is known to be wrong there."""
    answer = at.answer(TENSORRT_PACKAGES)
    versions = dict(re.findall(r"^(\S+)\s+(\S+)$", answer.output, re.MULTILINE))
    shown = versions.get("tensorrt") or versions.get("libnvinfer10") or ""
    if not version_in(shown):
        return unknown("dpkg-query names no TensorRT; some of its versions answer garbage here")
    version = version_in(shown)
    for defect in at.facts.library_defects:
        if defect.target == at.order.target.name and defect.version == version:
            return warn(defect.summary, defect.answer, defect.source)
    return ok(f"TensorRT {version}, of which nothing bad is known here")


def check_defects(at: Examination) -> tuple[Outcome, ...]:
    """Nothing that the release is known to do wrong hits this target."""
    release = at.order.release
    if release is None:
        return (unknown("no release of the runtime is known"),)
    hits = [it for it in release.defects if not it.targets or at.order.target.name in it.targets]
    outcomes = tuple(_of_defect(it, at) for it in hits if it.effect != "answered")
    answered = [it.id for it in hits if it.effect == "answered"]
    words = f"{release.runtime} {release.release}: {len(answered)} known defects are answered"
    words += f" by our settings ({', '.join(answered)})" if answered else ""
    return (*outcomes, ok(words))


def _of_defect(defect: Defect, at: Examination) -> Outcome:
    """A defect of certain forms of weights fails only where the plan has that form."""
    plan = at.order.plan
    forms = defect.quantizations
    is_met = not forms or (plan is not None and plan.checkpoint.quantization in forms)
    evidence = defect.summary + (f" It hits {', '.join(forms)} weights." if forms else "")
    is_fatal = defect.effect == "breaks" and is_met
    return Outcome(
        "fail" if is_fatal else "warn", evidence, defect.answer, defect.source, defect.id
    )
