"""The line by which the server says where it listens."""

import re

import pytest

from trt_nemotron.deploy.runtimes.llamacpp.log import READY_PATTERN

URL = "http://127.0.0.1:35881"


@pytest.mark.parametrize(
    "line", [f"listening on {URL}", f"0.00.023.184 I srv  init: listening on {URL}"]
)
def test_either_line_tells_the_address(line: str):
    found = re.search(READY_PATTERN, line)
    assert found is not None
    assert found["url"] == URL


@pytest.mark.parametrize("next_line", ["0.00.024.001 I srv  update_slots", "listening"])
def test_an_address_into_which_another_thread_wrote_is_not_believed(next_line: str):
    found = re.search(READY_PATTERN, f"init: listening on {URL}{next_line} all slots are idle")
    assert found is None


def test_the_launcher_s_line_is_found_behind_a_line_without_end():
    found = re.search(READY_PATTERN, f"init: listening on {URL}listening on {URL}")
    assert found is not None
    assert found["url"] == URL
