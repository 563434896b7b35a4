import pytest

from trt_nemotron.deploy.machine import Machine, detect_machine
from trt_nemotron.deploy.threads import SMALL_WEIGHTS_BYTES, choose_threads

MACHINE = Machine(architecture="x86_64", cores=8, memory_total_bytes=1 << 34, physical_cores=4)


def test_a_model_that_stays_in_cache_gets_one_thread():
    choice = choose_threads(None, SMALL_WEIGHTS_BYTES, MACHINE)
    assert choice.threads == 1
    assert "spinning" in choice.reason


def test_a_large_model_gets_the_physical_cores():
    assert choose_threads(None, SMALL_WEIGHTS_BYTES + 1, MACHINE).threads == 4


def test_where_the_system_does_not_tell_the_usable_cores_are_taken():
    machine = Machine(architecture="aarch64", cores=6, memory_total_bytes=1)
    assert choose_threads(None, 1 << 30, machine).threads == 6


@pytest.mark.parametrize("weight_bytes", [1, 1 << 33])
def test_the_user_s_wish_comes_first(weight_bytes: int):
    choice = choose_threads(3, weight_bytes, MACHINE)
    assert (choice.threads, choice.source) == (3, "asked for")


def test_this_machine_has_no_more_physical_cores_than_usable_ones():
    machine = detect_machine()
    assert 0 <= machine.physical_cores <= machine.cores
