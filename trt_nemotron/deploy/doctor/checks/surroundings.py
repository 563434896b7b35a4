"""The environment that a server would inherit; values stay unread but for harmless switches."""

from trt_nemotron.deploy.doctor.examination import Examination, Outcome, ok, warn
from trt_nemotron.redaction import MPI_VARIABLE

_TOKENS = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
_OFFLINE = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE")
_ON = {"1", "ON", "YES", "TRUE"}
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")


def check_hub_token(at: Examination) -> Outcome:
    """Weights can be fetched under a name of one's own."""
    variables = at.host.environment()
    named = [name for name in _TOKENS if variables.get(name)]
    if named:
        return ok(f"{' and '.join(named)} is set; it was not read")
    empty = [name for name in _TOKENS if name in variables]
    return warn(
        f"{empty[0]} is set and empty" if empty else f"neither {' nor '.join(_TOKENS)} is set"
    )


def check_offline(at: Examination) -> Outcome:
    """Weights can be fetched."""
    variables = at.host.environment()
    on = [name for name in _OFFLINE if variables.get(name, "").upper() in _ON]
    return warn(f"{', '.join(on)} forbids it") if on else ok("no variable forbids it")


def check_mpi_variables(at: Examination) -> Outcome:
    """No launcher above us makes a server think that it is one of many."""
    found = sorted(name for name in at.host.environment() if MPI_VARIABLE.match(name))
    if not found:
        return ok("none is set")
    more = f" and {len(found) - 3} more" if len(found) > 3 else ""
    return warn(f"{', '.join(found[:3])}{more}")


def check_proxy(at: Examination) -> Outcome:
    """Requests to the loopback interface go to no proxy."""
    variables = at.host.environment()
    set_here = [name for name in _PROXIES for it in (name, name.lower()) if variables.get(it)]
    if not set_here:
        return ok("no proxy is set")
    excepted = {
        entry.strip()
        for name in ("NO_PROXY", "no_proxy")
        for entry in variables.get(name, "").split(",")
    }
    names = ", ".join(dict.fromkeys(set_here))
    if {"127.0.0.1", "localhost"} <= excepted or excepted & {"*"}:
        return ok(f"{names} is set, and NO_PROXY excepts the loopback interface")
    missing = ", ".join(sorted({"127.0.0.1", "localhost"} - excepted))
    return warn(f"{names} is set, and NO_PROXY does not except {missing}")
