"""Workloads, prompts and addresses: what is accepted, and what is refused with a reason."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trt_nemotron.errors import EndpointUnfit, InvalidInput
from trt_nemotron.measure.bench.figures.percentiles import samples_needed
from trt_nemotron.measure.bench.prompts import GUESS, LengthModel, fit_length_model, make_prompt
from trt_nemotron.measure.bench.wire.address import resolve_address
from trt_nemotron.measure.bench.wire.http_request import build_request
from trt_nemotron.measure.bench.workload import PROFILES, change_workload, check_workload

QUICK = PROFILES["quick"]


@pytest.mark.parametrize("workload", PROFILES.values(), ids=PROFILES)
def test_profiles_can_be_measured(workload):
    assert check_workload(workload) is workload


def test_profiles_give_the_percentiles_they_promise():
    assert PROFILES["quick"].requests_per_concurrency >= samples_needed(0.5)
    assert PROFILES["standard"].requests_per_concurrency >= samples_needed(0.95)
    assert PROFILES["stress"].requests_per_concurrency >= samples_needed(0.99)


@pytest.mark.parametrize(
    "change",
    [
        {"concurrencies": ()},
        {"concurrencies": (0,)},
        {"concurrencies": (1, 1)},
        {"concurrencies": (100_000,)},
        {"requests_per_concurrency": 0},
        {"output_tokens": 0},
        {"input_tokens": 10**9},
        {"timeout_s": float("nan")},
        {"warmup_requests": -1},
    ],
)
def test_what_cannot_be_measured_is_refused(change):
    with pytest.raises(InvalidInput):
        change_workload(QUICK, **change)


def test_nothing_given_changes_nothing():
    assert change_workload(QUICK, seed=None, timeout_s=None) == QUICK


@settings(deadline=None)
@given(st.integers(0, 2**31), st.integers(0, 10_000), st.integers(1, 300))
def test_prompts_are_reproducible_and_of_the_asked_number_of_words(seed, index, words):
    prompt = make_prompt(seed, "run", index, words)
    assert prompt == make_prompt(seed, "run", index, words)
    assert len(prompt.split()) == words


def test_prompts_differ_between_requests_runs_and_seeds_from_their_first_words():
    prompts = [
        make_prompt(seed, run, index, 8)
        for seed in range(3) for run in ("a", "b") for index in range(200)
    ]  # fmt: skip
    assert len({" ".join(prompt.split()[:6]) for prompt in prompts}) == len(prompts)


@settings(deadline=None)
@given(st.floats(0, 500), st.floats(0.2, 8), st.integers(1, 200), st.integers(1, 200))
def test_the_length_model_finds_the_line_it_was_shown(overhead, per_word, one, more):
    words = (one, one + more)
    tokens = [round(overhead + per_word * count) for count in words]
    model = fit_length_model(words, tokens)
    if tokens[0] > 0 and tokens[1] > tokens[0]:
        assert model.overhead + model.per_word * words[0] == pytest.approx(tokens[0])
        assert model.overhead + model.per_word * words[1] == pytest.approx(tokens[1])


def test_without_counts_the_length_is_guessed():
    assert fit_length_model([10, 30], [-1, -1]) == GUESS
    assert fit_length_model([10, 10], [20, 20]) == GUESS
    assert LengthModel(50.0, 1.0).words_for(10) == 1


@pytest.mark.parametrize("url", ["http://127.0.0.1:8000", "http://127.0.0.1:8000/v1/"])
def test_a_root_is_found_with_or_without_v1(url):
    address = resolve_address(url, {})
    assert (address.root, address.path) == ("http://127.0.0.1:8000", "")
    assert address.host_header == "127.0.0.1:8000"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("ftp://127.0.0.1", "not a server's root URL"),
        ("127.0.0.1:8000", "not a server's root URL"),
        ("http://127.0.0.1:99999", "not a server's root URL"),
        ("http://[::1", "not a server's root URL"),
        ("http://two words", "not a server's root URL"),
        ("http://user:secret@127.0.0.1", "not a server's root URL"),
        ("http://127.0.0.1/?a=b", "not a server's root URL"),
    ],
)
def test_a_url_that_cannot_be_measured_is_refused(url, said):
    with pytest.raises(InvalidInput, match=said):
        resolve_address(url, {})


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_password_in_a_url_is_not_repeated(scheme):
    with pytest.raises(InvalidInput) as caught:
        resolve_address(f"{scheme}://user:hunter2@127.0.0.1", {})
    assert "hunter2" not in str(caught.value)


def test_a_name_that_does_not_resolve_is_an_unfit_endpoint():
    with pytest.raises(EndpointUnfit, match="does not resolve"):
        resolve_address("http://a..b", {})


def test_a_proxy_is_refused_but_not_for_this_machine_or_where_it_is_ruled_out():
    proxied = {"http_proxy": "http://proxy:3128"}
    with pytest.raises(InvalidInput, match="proxy"):
        resolve_address("http://192.0.2.1:8000", proxied)
    resolve_address("http://127.0.0.1:8000", proxied)
    resolve_address("https://192.0.2.1", proxied)
    with pytest.raises(InvalidInput, match="https_proxy"):
        resolve_address("https://192.0.2.1", {"https_proxy": "http://proxy:3128"})
    resolve_address("http://192.0.2.1:8000", {**proxied, "NO_PROXY": "example.org, 192.0.2.1"})


def test_a_request_carries_key_and_length_and_a_broken_key_is_refused():
    address = resolve_address("http://127.0.0.1:8000/api", {})
    text = build_request(address, "POST", "/v1/x", b"{}", api_key="k-1").decode()
    assert text.startswith("POST /api/v1/x HTTP/1.1\r\n")
    assert "\r\nAuthorization: Bearer k-1\r\n" in text
    assert text.endswith("Content-Length: 2\r\n\r\n{}")
    with pytest.raises(InvalidInput, match="header"):
        build_request(address, "GET", "/", api_key="a\r\nX: y")
