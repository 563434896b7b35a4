"""Names in a bundle: inside, apart, and with a mode."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trt_nemotron.deploy.bundle.names import check_apart, check_inside, mode_of
from trt_nemotron.errors import BundleDamaged


@pytest.mark.parametrize(
    "name", ["plan.json", "model/a b.gguf", "model/ü/é", "start/start.sh", "model/..x", "model/-x"]
)
def test_ordinary_names_pass(name: str):
    check_inside(name)
    check_apart([name, "another"])


@given(st.text())
def test_a_name_that_passes_stays_inside_on_any_file_system(name: str):
    try:
        check_inside(name)
    except BundleDamaged:
        return
    parts = name.split("/")
    assert all(part not in {"", ".", ".."} for part in parts)
    assert "\\" not in name
    assert "\x00" not in name


def test_only_our_own_scripts_are_programs():
    assert mode_of("start/start.sh") == 0o755
    assert {mode_of(name) for name in ("model/x.sh", "start/compose.yaml", "start.sh")} == {0o644}
