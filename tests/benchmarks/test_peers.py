"""The comparison with other clients: what they are asked, what is read of them, what is truth."""

import json
import re
import shutil
import sys
import urllib.request
from pathlib import Path

import pytest

from benchmarks.peers import aiperf, baselines, guidellm, sglang, vllm
from benchmarks.peers.catalogue import DEFAULT, LEFT_OUT, PEERS
from benchmarks.peers.environments import Unavailable, folder_of, programs_of
from benchmarks.peers.faults import DIES_AFTER, FAULTS, TOKENS, TTFT_S, Ending, Fault
from benchmarks.peers.faulty_server import SOUND_FIRST, faulty_server
from benchmarks.peers.peer import Peer, Said, Work, percentile
from benchmarks.peers.tokenizer import write_tokenizer
from benchmarks.peers.truth_figures import TooFew, truth_of
from benchmarks.peers.watching import Cost, watch
from benchmarks.truth.running import Answer

RECORDED = Path(__file__).with_name("recorded")


@pytest.fixture
def work(tmp_path: Path) -> Work:
    return Work(
        url="http://127.0.0.1:8000", streams=8, requests=24, warmup=8, tokens=256,
        folder=tmp_path, tokenizer=tmp_path / "tokenizer", prompts=tmp_path / "prompts.jsonl",
        texts=tmp_path / "texts.jsonl",
    )  # fmt: skip


def rounded(said: Said) -> list[float | None]:
    figures = (said.ttft_p50, said.ttft_p99, said.itl_p99, said.tpot_p50)
    return [None if value is None else round(value, 2) for value in figures]


@pytest.mark.parametrize(
    ("module", "recorded", "name", "figures"),
    [
        (aiperf, "aiperf.json", "profile_export_aiperf.json", [57.53, None, None, 5.04]),
        (guidellm, "guidellm.json", "said.json", [54.64, 69.78, None, 5.0]),
        (sglang, "sglang.jsonl", "said.jsonl", [53.42, 58.88, 14.38, 4.99]),
        (vllm, "vllm.json", "said.json", [91.26, 240.53, 17.87, 4.92]),
    ],
)
def test_figures_are_those_that_the_peer_printed(work: Work, module, recorded, name, figures):
    shutil.copy(RECORDED / recorded, work.folder / name)
    said = module.read(work)
    expected = [
        seen if want is None else want for seen, want in zip(rounded(said), figures, strict=True)
    ]
    assert rounded(said) == expected
    assert said.good == (22 if module is guidellm else 24)
    assert said.failed == 0
    assert (said.itl_p99 is None) == (module is guidellm)


def test_itl_of_aiperf_is_that_of_chunks_and_not_the_mean_of_a_request(work: Work):
    tree = json.loads((RECORDED / "aiperf.json").read_text())
    shutil.copy(RECORDED / "aiperf.json", work.folder / "profile_export_aiperf.json")
    assert aiperf.read(work).itl_p99 == tree["inter_chunk_latency"]["p99"]


def test_baselines_give_the_times_of_each_token(work: Work):
    tree = {"times_ms": [[50, 55, 60], [52, 57, 68], []], "failed": {"Timeout": 1}}
    (work.folder / "said.json").write_text(json.dumps(tree))
    said = baselines.read(work)
    assert (said.ttft_p50, said.tpot_p50, said.good, said.failed) == (51, 6.5, 2, 1)


@pytest.mark.parametrize("name", PEERS)
def test_every_peer_is_asked_for_the_same_work(work: Work, name: str):
    command = PEERS[name].command(work)
    text = " ".join(command)
    assert work.url in text
    for number in (work.streams, work.requests):
        assert any(part.endswith(str(number)) for part in command)
    if name != "guidellm":  # which asks for no length and takes the server's
        assert "256" in text
    if PEERS[name].warms_up:
        assert sum(part == "8" for part in command) >= 2


def test_every_requirement_is_pinned():
    for peer in PEERS.values():
        assert all("==" in requirement for requirement in (*peer.requirements, *peer.bare))


def test_every_peer_is_shown_or_its_absence_is_explained():
    assert set(PEERS) == set(DEFAULT) | (set(LEFT_OUT) & set(PEERS))


def test_warm_up_and_probes_are_not_in_the_truth():
    log = [
        Answer(-1, at, at, [at + first, at + first + 5_000_000])
        for at, first in ((10**9, 90_000_000), (2 * 10**9, 50_000_000), (3 * 10**9, 52_000_000))
    ]
    truth = truth_of(log, 2)
    assert truth.ttft_p50 == pytest.approx(51.0)
    assert truth.itl_p99 == pytest.approx(5.0)
    assert (truth.first_ns, truth.begin_ns, truth.tokens) == (10**9, 2 * 10**9, 4)
    with pytest.raises(TooFew):
        truth_of(log, 4)


def test_percentile_is_between_ranks():
    assert percentile([4, 1, 3, 2], 0.5) == 2.5
    assert percentile([], 0.5) is None


def test_cost_is_of_all_processes_of_the_command():
    burn = "import time; e = time.process_time() + 0.4\nwhile time.process_time() < e: pass"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {burn!r}])"
    cost = watch([sys.executable, "-c", code], 0, {}, timeout_s=30)
    assert cost.exit_code == 0
    assert cost.cpu_s > 0.4
    assert cost.samples[-1][1] == pytest.approx(cost.cpu_s)


def test_command_that_does_not_end_is_ended():
    cost = watch(
        [sys.executable, "-c", "input() if 0 else __import__('time').sleep(99)"], 0, {}, 0.3
    )
    assert cost.exit_code == -9


def test_processor_time_is_interpolated_between_samples():
    cost = Cost(0, 0, "", 3.0, 0.0, ((0, 0.0), (10, 1.0), (20, 3.0)))
    assert cost.cpu_between(5, 15) == pytest.approx(1.5)
    assert cost.cpu_between(0, 99) == pytest.approx(3.0)


def fetched(fault: Fault, count: int) -> tuple[list[bytes], list[bool]]:
    bodies = []
    with faulty_server(fault) as server:
        for _ in range(count):
            request = urllib.request.Request(server.url, b"{}")  # noqa: S310 - http
            with urllib.request.urlopen(request, timeout=10) as reply:  # noqa: S310 - http
                bodies.append(reply.read())
        return bodies, list(server.struck)


def test_every_second_answer_dies_after_the_first_few():
    bodies, struck = fetched(FAULTS["in-band error mid-stream"], SOUND_FIRST + 4)
    assert struck == [False] * SOUND_FIRST + [False, True] * 2
    assert [b'"error"' in body for body in bodies] == struck
    assert [body.count(b'" word"') for body in bodies[-2:]] == [TOKENS, DIES_AFTER]


def test_what_is_allowed_comes_with_every_answer_after_the_first_few():
    bodies, struck = fetched(FAULTS["keep-alive comments"], SOUND_FIRST + 2)
    assert struck == [False] * SOUND_FIRST + [True] * 2
    assert bodies[-1].count(b": keep-alive") == bodies[-1].count(b'" word"') == TOKENS


@pytest.mark.parametrize("name", [name for name, fault in FAULTS.items() if fault.is_sound])
def test_what_is_allowed_has_all_tokens_and_the_time_it_says(name: str):
    fault = FAULTS[name]
    at, moments, sent = 0.0, [], b""
    for part in fault.parts():
        assert not isinstance(part, Ending)
        if isinstance(part, float):
            assert part >= 0
            at += part
            continue
        sent += part
        moments += [at] * len(re.findall(rb"word|\xf0\x9f\x98\x80", part.replace(b"\\", b"")))
    if name != "bytes split inside UTF-8":  # of which no piece has a whole character
        assert len(moments) == TOKENS
        assert moments[0] == pytest.approx(TTFT_S, abs=0.01)
        tpot_ms = 1e3 * (moments[-1] - moments[0]) / (TOKENS - 1)
        assert tpot_ms == pytest.approx(fault.tpot_ms, rel=0.02)
    assert sent.count(b"[DONE]") == 1
    assert sent.endswith(b"0\r\n\r\n")


def test_faults_are_those_of_the_page(repository: Path):
    text = (repository / "docs" / "wire-faults.md").read_text()
    outcomes = dict(re.findall(r"^\| (.+) \| `(\w+)` \|$", text, re.MULTILINE))
    sound = {name: outcome == "ok" for name, outcome in outcomes.items()}
    assert {name: fault.is_sound for name, fault in FAULTS.items()} == sound


def test_what_was_cut_off_while_installing_is_made_anew(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    peer = Peer("none", ("there-is-no-such-package==1",), lambda _: [], lambda _: None)
    folder = folder_of(peer)
    folder.mkdir(parents=True)
    (folder / "left over").touch()
    with pytest.raises(Unavailable, match="there-is-no-such-package"):
        programs_of(peer)
    assert not (folder / "left over").exists()
    assert folder_of(peer) != folder_of(Peer("none", ("other==1",), peer.command, peer.read))


def test_tokenizer_has_every_word_that_is_sent(tmp_path: Path):
    folder = write_tokenizer(tmp_path / "tokenizer")
    tree = json.loads((folder / "tokenizer.json").read_text())
    assert {"word", "w0", "w1020"} <= tree["model"]["vocab"].keys()
