"""False alarms and power of the gate, beside other rules, on the same simulated and recorded noise.

    python benchmarks/gate_rates.py [--gates 6000] [--power-gates 300] [--only PART] [--noise NAME]

What is simulated are runs; the rules that decide are the gate's own (`measure/gate`). Recorded
noise (`benchmarks/gate_noise.json`, whose first line names the command that made it) is replayed in
its own order from a random place on, so that drift and dependence stay in it; the coin that orders
each pair is drawn anew. Takes some minutes on one core. Prints Markdown tables.
"""

import argparse
import json
import math
import random
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles

from trt_nemotron.measure.bench.figures.percentiles import percentile
from trt_nemotron.measure.gate.ab import order_of_arms
from trt_nemotron.measure.gate.ab_dependence import MOST_DEPENDENCE, dependence
from trt_nemotron.measure.gate.ab_judge import decide_shift
from trt_nemotron.measure.gate.between_runs import farthest_of, is_beyond, runs_needed
from trt_nemotron.measure.gate.changepoint import find_change
from trt_nemotron.measure.gate.design import (
    MOST_PAIRS,
    MOST_REQUEST_PAIRS,
    Design,
    make_design,
)
from trt_nemotron.measure.gate.metrics import METRICS, Interval
from trt_nemotron.measure.gate.outcome import worst
from trt_nemotron.measure.gate.rule import decide, decide_relative
from trt_nemotron.measure.gate.signed_rank import shift_of
from trt_nemotron.measure.gate.tail import requests_to_fail

RECORDED = Path(__file__).with_name("gate_noise.json")
BY_REQUESTS = Path(__file__).with_name("gate_request_noise.json")
"""Two servers request by request: held to one core, and put anywhere."""
FIRST_LOOK = 131
"""Pairs of requests of the embedded target that ten seconds hold, before which there is no look."""
METRIC_NAMES = ("ttft_p50_ms", "tpot_p50_ms")
HALVES = "the same, halves of a run as a pair"
"""Four requests each: pairs in turn are judged by such runs, one alone is not (seven at least)."""
PERCENT = 3.0
"""The bound of both metrics: the smallest there is, which is to catch +5 %."""

Series = list[tuple[float, float]]
"""Runs in order: the logarithms of their TTFT and TPOT medians."""
Noise = Callable[[random.Random, int], Series]


@dataclass(frozen=True)
class Model:
    """What disturbs the runs, and how much two processes of one program differ by themselves."""

    noise: Noise
    process_spread: float = 0.0


@dataclass(frozen=True)
class Run:
    """A recorded run."""

    ttft_ms: list[float]
    tpot_ms: list[float]


def recorded_runs() -> list[Run]:
    """Every recorded run that the client called valid, in order."""
    runs = json.loads(RECORDED.read_text())["runs"]
    return [Run(r["ttft_ms"], r["tpot_ms"]) for r in runs if r["is_valid"]]


def drawn(runs: Sequence[Run]) -> Noise:
    """The recorded runs, each for itself, as if hours lay between them."""
    logs = [(math.log(median(r.ttft_ms)), math.log(median(r.tpot_ms))) for r in runs]
    return lambda rng, count: rng.choices(logs, k=count)


def halved(runs: Sequence[Run]) -> Noise:
    """The two halves of each recorded run as a pair: nothing lies between its runs."""
    return replayed(
        [
            Run(run.ttft_ms[half], run.tpot_ms[half])
            for run in runs
            if min(len(run.ttft_ms), len(run.tpot_ms)) >= 8
            for half in (slice(0, 4), slice(4, 8))
        ],
        step=2,
    )


def replayed(runs: Sequence[Run], step: int = 1) -> Noise:
    """The recorded runs, in order, from a random place on, which is a multiple of `step`."""
    logs = [(math.log(median(r.ttft_ms)), math.log(median(r.tpot_ms))) for r in runs]

    def noise(rng: random.Random, count: int) -> Series:
        start = rng.randrange(0, len(logs), step)
        return [logs[(start + place) % len(logs)] for place in range(count)]

    return noise


def independent(draw: Callable[[random.Random], float]) -> Noise:
    """Each run for itself."""
    return lambda rng, count: [(draw(rng), draw(rng)) for _ in range(count)]


def shared(path: Callable[[random.Random, int], list[float]], own: float = 0.005) -> Noise:
    """A course that both metrics share, and a little of their own."""
    return lambda rng, count: [
        (value + rng.gauss(0, own), value + rng.gauss(0, own)) for value in path(rng, count)
    ]


def wandering(rng: random.Random, count: int) -> list[float]:
    """Autocorrelated: each run keeps 95 % of the last one's deviation; 6 % in the long run."""
    level, course = rng.gauss(0, 0.06), []
    for _ in range(count):
        level = 0.95 * level + rng.gauss(0, 0.06 * math.sqrt(1 - 0.95**2))
        course.append(level)
    return course


def warming(rng: random.Random, count: int) -> list[float]:
    """A board that becomes 30 % slower over the time of 240 runs."""
    return [math.log1p(0.3 * place / 240) for place in range(count)]


def neighboured(rng: random.Random, count: int) -> list[float]:
    """A neighbour that comes and goes, about every ten runs, and costs 40 %."""
    busy, course = False, []
    for _ in range(count):
        busy ^= rng.random() < 0.1
        course.append(0.34 * busy)
    return course


def stalled(rng: random.Random) -> float:
    """Heavy tails: 2 % times Student's t with two degrees of freedom, and now and then a stall."""
    chi = rng.expovariate(1.0)
    return 0.02 * rng.gauss(0, 1) / math.sqrt(chi) + (0.7 if rng.random() < 0.02 else 0.0)


SYNTHETIC: dict[str, Model] = {
    "quiet board (0.2 %)": Model(independent(lambda rng: rng.gauss(0, 0.002))),
    "processes differ (0.5 %)": Model(independent(lambda rng: rng.gauss(0, 0.005)), 0.005),
    "skewed (exponential, 3 %)": Model(independent(lambda rng: 0.03 * rng.expovariate(1.0))),
    "heavy tails (t2, stalls)": Model(independent(stalled)),
    "autocorrelated (0.95, 6 %)": Model(shared(wandering)),
    "drifting (+30 %)": Model(shared(warming, own=0.01)),
    "neighbour (+40 % at times)": Model(shared(neighboured, own=0.01)),
}


def simulated_gate(
    series: Series, design: Design, seed: int, effects: tuple[float, float]
) -> tuple[str, int]:
    """The verdict of one A/B gate over runs in order, and the pairs it took."""
    losses: tuple[list[float], list[float]] = ([], [])
    order = order_of_arms(seed, design.most_pairs)
    decision = "inconclusive"
    for count, (first, _) in enumerate(order, 1):
        early, late = series[2 * count - 2], series[2 * count - 1]
        a, b = (early, late) if first == "a" else (late, early)
        for place in (0, 1):
            losses[place].append(b[place] - a[place] + effects[place])
        if count not in design.looks:
            continue
        decision = look_at(losses, design)
        if decision != "inconclusive":
            return decision, count
    return decision, design.most_pairs


def look_at(losses: Sequence[Sequence[float]], design: Design) -> str:
    """The verdict at one look; inconclusive as well where neighbouring pairs are alike."""
    decisions = []
    for name, values in zip(METRIC_NAMES, losses, strict=True):
        shift = shift_of(values, low_miss=design.fail_miss, high_miss=design.pass_miss)
        decision = decide_shift(METRICS[name], shift, PERCENT)
        if decision != "inconclusive" and dependence(values) > MOST_DEPENDENCE:
            decision = "inconclusive"
        decisions.append(decision)
    return worst(decisions)


def upper_95(hits: int, trials: int) -> float:
    """The rate that so few hits rule out with 95 % confidence (Clopper and Pearson, one-sided)."""
    low, high = hits / trials, 1.0
    for _ in range(60):
        rate = (low + high) / 2
        chance = sum(
            math.exp(
                math.lgamma(trials + 1) - math.lgamma(k + 1) - math.lgamma(trials - k + 1)
                + k * math.log(rate) + (trials - k) * math.log1p(-rate)
            )
            for k in range(hits + 1)
        )  # fmt: skip
        low, high = (rate, high) if chance > 0.05 else (low, rate)
    return high


def many_gates(
    model: Model,
    gates: int,
    effects: tuple[float, float],
    seed: int,
    cap: int = MOST_PAIRS,
) -> list[tuple[str, int]]:
    """Verdicts and pairs of so many gates."""
    rng, design = random.Random(seed), make_design(len(METRIC_NAMES), most_pairs=cap)
    outcomes = []
    for _ in range(gates):
        series = model.noise(rng, 2 * design.most_pairs)
        own = rng.gauss(0, model.process_spread)
        found = (effects[0] + own, effects[1] + own)
        outcomes.append(simulated_gate(series, design, rng.getrandbits(48), found))
    return outcomes


def share(outcomes: Sequence[tuple[str, int]], decision: str) -> float:
    """Of the gates, those with that verdict."""
    return sum(found == decision for found, _ in outcomes) / len(outcomes)


def show_alarms(models: dict[str, Model], gates: int, cap: int) -> None:
    """No change at all: who fails it."""
    print(
        f"\nNo change, {gates} gates each, stated rate 1 %, bounds +{PERCENT:g} % on both medians\n"
    )
    print("| noise | false alarms | upper 95 % | passed | inconclusive | pairs, median |")
    print("|---|---:|---:|---:|---:|---:|")
    for name, model in models.items():
        outcomes = many_gates(model, gates, (0.0, 0.0), 1, cap)
        alarms = sum(found == "fail" for found, _ in outcomes)
        print(
            f"| {name} | {alarms} ({alarms / gates:.2%}) | {upper_95(alarms, gates):.2%} "
            f"| {share(outcomes, 'pass'):.1%} | {share(outcomes, 'inconclusive'):.1%} "
            f"| {median(pairs for _, pairs in outcomes):g} |",
            flush=True,
        )


def show_power(models: dict[str, Model], gates: int, cap: int) -> None:
    """+5 % on one metric: who catches it, and how soon."""
    print(f"\n+5 % on one median, {gates} gates each\n")
    print("| noise | +5 % TTFT p50 | +5 % TPOT p50 | passed wrongly | pairs, p95 |")
    print("|---|---:|---:|---:|---:|")
    step = math.log(1.05)
    for name, model in models.items():
        ttft = many_gates(model, gates, (step, 0.0), 2, cap)
        tpot = many_gates(model, gates, (0.0, step), 3, cap)
        wrong = sum(found == "pass" for found, _ in [*ttft, *tpot]) / (2 * gates)
        slow = quantiles([pairs for _, pairs in [*ttft, *tpot]], n=20)[-1]
        print(
            f"| {name} | {share(ttft, 'fail'):.1%} | {share(tpot, 'fail'):.1%} | {wrong:.1%} "
            f"| {slow:g} |",
            flush=True,
        )


def rank_sum_alarm(a: Sequence[float], b: Sequence[float]) -> bool:
    """Mann-Whitney over requests, normal approximation, p < 0.01 two-sided."""
    above = sum((y > x) + 0.5 * (y == x) for x in a for y in b)
    mean, spread = len(a) * len(b) / 2, math.sqrt(len(a) * len(b) * (len(a) + len(b) + 1) / 12)
    return (above - mean) / spread > 2.576


def bootstrap_alarm(a: Sequence[float], b: Sequence[float], rng: random.Random) -> bool:
    """A bootstrap over requests: the 99 % interval of the ratio of medians lies over 1.01."""
    ratios = sorted(
        median(rng.choices(b, k=len(b))) / median(rng.choices(a, k=len(a))) for _ in range(300)
    )
    return ratios[1] > 1.01


def limits_alarm(a: Sequence[float], b: Sequence[float]) -> bool:
    """B's better limit over A's worse one by more than the bound."""
    metric = METRICS["ttft_p50_ms"]
    before, after = (interval_of(values) for values in (a, b))
    return decide_relative(metric, after, before, PERCENT) == "fail"


def stored_alarm(a: Sequence[float], b: Sequence[float]) -> bool:
    """`gate --baseline` without a history: that, and beyond what unchanged runs may differ by."""
    metric = METRICS["ttft_p50_ms"]
    farthest = farthest_of(metric, median(a), [], 1)
    return limits_alarm(a, b) and is_beyond(metric, median(b), PERCENT, farthest)


def interval_of(values: Sequence[float]) -> Interval:
    """The median of a run's requests with its limits."""
    found = percentile(sorted(values), 0.5)
    return Interval(found.value or 0.0, found.low or 0.0, found.high or 0.0, len(values))


def show_other_rules(runs: Sequence[Run], draws: int) -> None:
    """Rules in use elsewhere beside ours, on the same recorded requests, TTFT.

    Back to back: a run against its neighbour. Stored: against one drawn from the whole recording,
    as a baseline kept from another hour. Three recorded runs in a row are one of 24 requests.
    """
    rng = random.Random(4)
    rules: dict[str, Callable[[list[float], list[float]], bool]] = {
        "fixed: p50 more than 5 % up": lambda a, b: median(b) > 1.05 * median(a),
        "Mann-Whitney on requests, p < 0.01": rank_sum_alarm,
        "bootstrap on requests, 99 % over 1.01": lambda a, b: bootstrap_alarm(a, b, rng),
        "200 % of the mean": lambda a, b: sum(b) / len(b) > 2 * sum(a) / len(a),
        "the limits of both medians, +3 %": limits_alarm,
        "ours, `--baseline`: that, and beyond 2.5 times": stored_alarm,
    }
    longer = [
        [value for run in runs[place : place + 3] for value in run.ttft_ms]
        for place in range(0, len(runs) - 2, 3)
    ]
    near, far = [], []
    for _ in range(draws):
        place = rng.randrange(len(longer) - 1)
        both = [longer[place], longer[place + 1]]
        near.append(both if rng.getrandbits(1) else both[::-1])
        far.append(rng.sample(longer, 2))
    print(f"\nRules over one run against one of 24 requests, recorded TTFT, {draws} draws\n")
    print("| rule | false alarms, back to back | stored | +5 % caught, back to back | stored |")
    print("|---|---:|---:|---:|---:|")
    for name, rule in rules.items():
        cells = [sum(rule(a, b) for a, b in pairs) / draws for pairs in (near, far)]
        cells += [
            sum(rule(a, [1.05 * value for value in b]) for a, b in pairs) / draws
            for pairs in (near, far)
        ]
        print(f"| {name} | {' | '.join(f'{cell:.1%}' for cell in cells)} |", flush=True)
    model = Model(halved(runs))
    for title, cap in (("", MOST_PAIRS), (", 240 pairs", 2 * MOST_PAIRS)):
        same = many_gates(model, draws, (0.0, 0.0), 8, cap)
        worse = many_gates(model, draws, (math.log(1.05), 0.0), 9, cap)
        print(
            f"| ours, A/B in turn{title} | {share(same, 'fail'):.1%} | - "
            f"| {share(worse, 'fail'):.1%} | - |",
            flush=True,
        )


def show_stored(models: dict[str, Model], gates: int) -> None:
    """One run against a stored one, two bounds, with and without runs enough to tell the noise.

    The medians stand without their limits, which the gate has besides and which only make it
    fail less. The baseline is any of the earlier runs, each of a process of its own.
    """
    needed = runs_needed(len(METRIC_NAMES))
    for earlier in (1, needed):
        print(f"\nOne run against a stored one, {earlier} earlier runs, {gates} gates each\n")
        print("| noise | false alarms | upper 95 % | +5 % | +10 % | +25 % | +50 % | x 3 |")
        print("|---|---:|---:|---:|---:|---:|---:|---:|")
        for name, model in models.items():
            rng, failed = random.Random(10), [0] * 6
            for _ in range(gates):
                past = with_processes(model, rng, needed + 1)
                for place, factor in enumerate((1.0, 1.05, 1.1, 1.25, 1.5, 3.0)):
                    failed[place] += stored_fails(past, earlier, math.log(factor), rng)
            cells = " | ".join(f"{count / gates:.1%}" for count in failed[1:])
            print(
                f"| {name} | {failed[0]} ({failed[0] / gates:.2%}) "
                f"| {upper_95(failed[0], gates):.2%} | {cells} |",
                flush=True,
            )


def with_processes(model: Model, rng: random.Random, count: int) -> Series:
    """Runs each of which has a process of its own."""
    series = []
    for ttft, tpot in model.noise(rng, count):
        own = rng.gauss(0, model.process_spread)
        series.append((ttft + own, tpot + own))
    return series


def stored_fails(series: Series, earlier: int, effect: float, rng: random.Random) -> bool:
    """Whether the last run, its TPOT worse by `effect`, fails against one of those before it."""
    *past, last = series
    kept = rng.randrange(len(past))
    for place, name in enumerate(METRIC_NAMES):
        metric, baseline = METRICS[name], math.exp(past[kept][place])
        figure = math.exp(last[place] + effect * place)
        known = [math.exp(run[place]) for run in past] if earlier == len(past) else [baseline]
        farthest = farthest_of(metric, baseline, known, len(METRIC_NAMES))
        over = not metric.is_within(figure, metric.worsened(baseline, PERCENT))
        if over and is_beyond(metric, figure, PERCENT, farthest):
            return True
    return False


def show_tail(runs: Sequence[Run], gates: int) -> None:
    """A p99 against an absolute bound, by the binomial rule."""
    rng = random.Random(5)
    pool = sorted(value for run in runs for value in run.ttft_ms)
    p99 = pool[math.ceil(0.99 * len(pool)) - 1]  # at most one percent lie over it
    print(f"\nTTFT p99 against a bound, requests drawn from {len(pool)} recorded, {gates} gates\n")
    print("| true p99 | over the bound | requests | missed bound found |")
    print("|---|---:|---:|---:|")
    for factor in (1.0, 1.1, 1.2, 1.5):
        bound = p99 / factor
        over = sum(value > bound for value in pool) / len(pool)
        count = requests_to_fail(0.99, over) if factor > 1.0 else 2000
        found = 0
        for _ in range(gates):
            figures = percentile(sorted(rng.choices(pool, k=count)), 0.99)
            interval = Interval(figures.value or 0, figures.low or 0, figures.high or 0, count)
            found += decide(METRICS["ttft_p99_ms"], interval, bound) == "fail"
        print(f"| {factor:g} times the bound | {over:.2%} | {count:,} | {found / gates:.1%} |")


def show_creep(models: dict[str, Model], gates: int) -> None:
    """Thirty runs of a history: nothing, or +1 % a run over the last ten."""
    metric = METRICS["tpot_p50_ms"]
    print(
        f"\nA history of 30 runs, {gates} each, stated rate 1 % of one look; and A/B, tenth run\n"
    )
    print("| noise from run to run | false alarms | creep of 1 % a run found | found by A/B |")
    print("|---|---:|---:|---:|")
    for name, model in models.items():
        rng = random.Random(6)
        alarms = caught = 0
        for _ in range(gates):
            flat = [value for _, value in model.noise(rng, 30)]
            creep = [value + 0.01 * max(0, place - 19) for place, value in enumerate(flat)]
            alarms += find_change(metric, [math.exp(value) for value in flat]) is not None
            caught += find_change(metric, [math.exp(value) for value in creep]) is not None
        paired = many_gates(model, max(1, gates // 10), (0.0, 0.1), 7)
        print(
            f"| {name} | {alarms / gates:.2%} (upper 95 % {upper_95(alarms, gates):.2%}) "
            f"| {caught / gates:.1%} | {share(paired, 'fail'):.1%} |",
            flush=True,
        )


def recorded_pairs(name: str) -> list[tuple[float, float, bool]]:
    """Of each pair by how much B was worse in both figures, as logarithms, and whether A was first.

    Of the pairs of one recording, in order.
    """
    rounds = json.loads(BY_REQUESTS.read_text())[name]["rounds"]
    return [
        (math.log(after / before), math.log(slow / fast), first == "a")
        for each in rounds
        for first, before, after, fast, slow in each["pairs"]
    ]


def paired_gate(
    rng: random.Random,
    pairs: Sequence[tuple[float, float, bool]],
    effects: tuple[float, float],
    *,
    is_redrawn: bool,
) -> str:
    """One gate over recorded pairs from a random place on.

    Args:
        rng: of the place and of the signs.
        pairs: recorded.
        effects: by how much B is worse, as logarithms.
        is_redrawn: whether each pair has a new coin, as if only moments differed; else one coin
            says which of the two real processes is B.
    """
    design = make_design(len(METRIC_NAMES), most_pairs=MOST_REQUEST_PAIRS)
    begin, side = rng.randrange(len(pairs)), rng.choice((1, -1))
    losses: tuple[list[float], list[float]] = ([], [])
    for place in range(MOST_REQUEST_PAIRS):
        sign = rng.choice((1, -1)) if is_redrawn else side
        pair = pairs[(begin + place) % len(pairs)]
        for metric in (0, 1):
            losses[metric].append(sign * pair[metric] + effects[metric])
        if place + 1 in design.looks and place + 1 >= FIRST_LOOK:
            decision = look_at(losses, design)
            if decision != "inconclusive":
                break
    return decision


def show_requests(gates: int, power_gates: int) -> None:
    """Single requests in turn: what the coin exchanges, and what only one place for both does."""
    print(f"\nRequests in turn, up to {MOST_REQUEST_PAIRS} pairs, stated rate 1 %, {gates} gates\n")
    print(
        "| recorded noise, loaded machine | false alarms | upper 95 % | passed | +5 % TTFT p50 ",
        end="",
    )
    print("| +5 % TPOT p50 | passed wrongly |\n|---|---:|---:|---:|---:|---:|---:|")
    step = math.log(1.05)
    for name in ("held to one core", "put anywhere"):
        pairs = recorded_pairs(name)
        for is_redrawn in (True, False):
            rng = random.Random(11)

            def many(count: int, *effects: float, redrawn: bool = is_redrawn) -> list[str]:
                both = (effects[0], effects[1])
                return [
                    paired_gate(rng, pairs, both, is_redrawn=redrawn)  # noqa: B023 - called within its turn of the loop
                    for _ in range(count)
                ]

            # One recording holds few gates of two processes, and many draws of coins.
            count = gates if is_redrawn else power_gates
            same = many(count, 0.0, 0.0)
            ttft, tpot = many(power_gates, step, 0.0), many(power_gates, 0.0, step)
            alarms = same.count("fail")
            wrong = [*ttft, *tpot].count("pass") / (2 * power_gates)
            what = "coins drawn anew" if is_redrawn else "the two processes as they were"
            print(
                f"| {name}, {what} | {alarms} ({alarms / count:.2%}) "
                f"| {upper_95(alarms, count):.2%} | {same.count('pass') / count:.1%} "
                f"| {ttft.count('fail') / power_gates:.1%} "
                f"| {tpot.count('fail') / power_gates:.1%} | {wrong:.1%} |",
                flush=True,
            )


PARTS = ("alarms", "power", "requests", "others", "stored", "tail", "creep")


def main() -> None:
    """Run the parts asked for and print their tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--gates", type=int, default=6000)
    parser.add_argument("--power-gates", type=int, default=300)
    parser.add_argument("--cap", type=int, default=MOST_PAIRS, help="pairs at most")
    parser.add_argument("--only", choices=PARTS)
    parser.add_argument("--noise", default="", help="models whose name holds this")
    given = parser.parse_args()
    begun = time.monotonic()
    runs = recorded_runs()
    models = {
        "recorded: embedded target, loaded machine": Model(replayed(runs)),
        HALVES: Model(halved(runs)),
        "the same, drawn one by one": Model(drawn(runs)),
        **SYNTHETIC,
    }
    models = {name: model for name, model in models.items() if given.noise in name}
    parts: dict[str, Callable[[], None]] = {
        "alarms": lambda: show_alarms(models, given.gates, given.cap),
        "power": lambda: show_power(models, given.power_gates, given.cap),
        "requests": lambda: show_requests(given.gates, given.power_gates),
        "others": lambda: show_other_rules(runs, given.power_gates),
        "stored": lambda: show_stored(
            {name: model for name, model in models.items() if name != HALVES}, given.gates
        ),
        "tail": lambda: show_tail(runs, given.gates),
        "creep": lambda: show_creep(models, given.gates),
    }
    for name in PARTS if given.only is None else (given.only,):
        parts[name]()
    print(f"took {time.monotonic() - begun:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
