"""The page from a small invented results file: every field is filled, verdicts are right, missing suites are named."""

import json
import re
from pathlib import Path
from string import Template
from typing import Any

import pytest

from bench import report, report_servers, results, serving, summary
from bench.__main__ import parser, rounds
from bench.contenders import BF16, FUSED, LOOP, RECORDED
from bench.fits import fit
from bench.graphs import INT8
from bench.targets import TARGETS, regressed, verdicts


def spread(median: float) -> dict[str, float]:
    return {"median": median, "low": median * 0.9, "high": median * 1.1}


def case(weights: str, units: int, texts: int, fused: float, **changes: Any) -> dict[str, Any]:
    """One of the kernels' cases; `fused` is its time over the library's."""
    properties = {
        "weights": weights,
        "shipped": False,
        "cell": "lstm",
        "layers": 1,
        "directions": 1,
        "units": units,
        "input": 300,
        "looked_up": ["token"],
        "tokens": 64,
        "texts": texts,
        "operations": 1e6,
        "recurrent_bytes": 1e6,
    } | changes
    library = "nn.LSTM" if properties["cell"] == "lstm" else "nn.RNN"
    times = {FUSED: fused, RECORDED: 1.1 * fused, library: 1.0, BF16: 0.2, INT8: 0.25, LOOP: 3.0}
    pairs = [(name, library) for name in times if name != library]
    pairs += [(RECORDED, FUSED), (RECORDED, LOOP), (BF16, INT8)]
    us = {name: spread(100 * time) for name, time in times.items()}
    return properties | {
        "cpu_us": us,
        "wall_us": us,
        "ratios": {f"{a} / {b}": spread(times[a] / times[b]) for a, b in pairs},
        "errors": dict.fromkeys(times, 1e-6),
    }


def kernels() -> dict[str, Any]:
    cases = [
        case("random LSTM 64", 64, 1, 0.25),
        case("random LSTM 64", 64, 32, 0.75),
        case("zh-sentiment-rnn", 128, 1, 0.29, cell="rnn", shipped=True),
        case("random 2-layer BiLSTM 256", 256, 1, 0.45, layers=2, directions=2),
    ]
    limits = {"how": "by hand", "multiply_add_gflops": spread(100), "read_gbytes": {"65536": spread(90)}}
    return {
        "kernel": "avx2",
        "rounds": 5,
        "versions": {"torch": "2"},
        "cases": cases,
        "limits": limits,
        "left_out": {INT8: {"it has no RNN": ["zh-sentiment-rnn"]}},
    }


def growth() -> dict[str, Any]:
    points = [{"x": x, **spread(5.0 * x)} for x in (1, 2, 4, 8)]
    series = {"points": points, "fit": fit([(p["x"], p["median"]) for p in points]).stored()}
    names = ("tokens", "memory", "models", "clients")
    curves = {name: {"x": f"{name}' x", "y": "µs", "series": {"ours": series}} for name in names}
    return {"kernel": "avx2", "rounds": 5, "versions": {"torch": "2"}, "curves": curves}


def servers() -> dict[str, Any]:
    figures = {"requests_per_second": spread(5000), "p50_ms": spread(2), "p99_ms": spread(9)}
    waits = ("predict_ms", "inspect_ms", "predict_p99_ms", "inspect_p99_ms", "ratio")
    probed = ("p50_ms", "p99_ms", "highest_ms", "failed", "requests_per_second", "failed_requests")
    return {
        "model": "tiny",
        "connections": 64,
        "rounds": 5,
        "seconds": 5.0,
        "versions": {"torch": "2"},
        "contenders": {"ours": figures, "noop": figures, "litserve-fused": figures},
        "ratios": {"ours/noop": spread(1.25), "ours/litserve-fused": spread(3)},
        "best": {"litserve": "litserve-fused"},
        "score_differences": {"ray-fused": 2e-7},
        "latency": {"tokens": 64, "answer_bytes": 4096} | {name: spread(1) for name in waits},
        "liveness": {"usual": {name: spread(1) for name in probed}},
        "memory": dict.fromkeys(report_servers.MEMORY, 5_000_000),
        "left_out": {"ray": "it is not installed"},
        "notes": ["one core alone"],
    }


def card() -> dict[str, Any]:
    places = ("cpu", "cuda, cuDNN", "auto")
    answers = [
        {
            "work": work,
            "texts": 8,
            "seconds": {place: spread(0.002) for place in places},
            "over_cpu": {place: spread(0.5) for place in places[1:]},
            "largest_difference": 3e-7,
            "certificate": error,
        }
        for work, error in (("predict", None), ("inspect", 4e-7))
    ]
    ways = {"nn.LSTM": spread(300), "our kernel, gates": spread(90)}
    recurrence = {"units": 128, "texts": 32, "ragged": True, "microseconds": ways}
    return {
        "card": "a card",
        "multiprocessors": 100,
        "versions": {"torch": "2"},
        "answers": answers,
        "recurrences": [recurrence],
    }


def streaming() -> dict[str, Any]:
    model = {
        "model": "zh-ner-lstm",
        "prefix_tokens": 500.0,
        "prepare_us": 9.0,
        "run_us": 90.0,
        "token_of_a_text_us": 2.0,
    }
    ratios = dict.fromkeys(("late_over_early", "prefix_seconds", "together_over_alone"), spread(1))
    state = {"state": "zh-ner-lstm", "bytes": 4096, "characters": 5500, "seal_us": 9.0, "open_us": 8.0}
    return {"rounds": 5, "kernel": "fused-avx2", "versions": {}, "models": [model | ratios], "states": [state]}


def others() -> dict[str, dict[str, Any]]:
    return {
        "forgeries": {"tried": 1_000_000, "accepted": 0, "seconds": 100.0},
        "replicas": {"steps": 100_000, "kills": 70, "repeated": 900, "lost": 0, "different": 0},
        "client": {"megabytes": 31.0, "import_s": spread(0.2), "versions": {}},
    }


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    path = tmp_path / "performance/results.json"
    parts = {"kernels": kernels(), "servers": servers(), "growth": growth(), "card": card(), "streaming": streaming()}
    for name, part in (parts | others()).items():
        results.merge(name, part, path)
    return path


def test_every_field_of_the_template_is_filled(stored: Path, tmp_path: Path) -> None:
    fields = report.fields(results.read(stored), lambda name, figure, alt: f"![{alt}]({name}.png)")
    expected = {m["named"] or m["braced"] for m in Template.pattern.finditer(report.TEMPLATE.read_text("utf-8"))}
    assert set(fields) == expected
    assert all(str(value).strip() for value in fields.values())


def test_the_page_links_the_pictures_that_it_draws(stored: Path, tmp_path: Path) -> None:
    (tmp_path / "performance/old.png").write_bytes(b"")
    page = report.write(results.read(stored), tmp_path)
    text = page.read_text("utf-8")
    linked = {tmp_path / name for name in re.findall(r"!\[[^]]+\]\(([^)]+)\)", text)}
    assert linked == set((tmp_path / "performance").glob("*.png"))
    assert len(linked) == 3
    assert all(p.read_bytes().startswith(b"\x89PNG") for p in linked)
    assert "0.75 [0.68, 0.8" in text
    assert "it has no RNN (zh-sentiment-rnn)" in text
    assert "ray was left out: it is not installed" in text
    assert "each further one takes 5 MB more" in text
    assert "| predict | 8 | 2 | 2 | 2 | 3e-07 |  |" in text
    assert "| 128 | 32 ragged | 300 | 90 |" in text
    assert "| zh-ner-lstm | 4,096 | 5,500 | 9 | 8 |" in text
    assert "Of 1,000,000 forged or altered state tokens 0 were accepted." in text
    assert "killed 70 times at random, 900 of them sent again: 0 were lost" in text


@pytest.mark.parametrize("missing", results.SUITES)
def test_the_page_names_a_suite_that_was_not_run(stored: Path, tmp_path: Path, missing: str) -> None:
    found = results.read(stored)
    del found[missing]
    text = report.write(found, tmp_path).read_text("utf-8")
    assert f"Not measured yet: `python -m bench {missing}` does." in text
    assert "$" not in text


def test_a_target_is_judged_by_its_worst_case() -> None:
    by_name = {v.target.name: v for v in verdicts(kernels()["cases"])}
    one_layer = by_name["LSTM, one layer, all sizes"]
    assert (one_layer.cases, one_layer.within, one_layer.missed) == (2, 1, True)
    assert one_layer.outcome == "missed in 1 of 2 cases"
    assert "random LSTM 64, 64 tokens, 32 texts" in one_layer.sentence
    assert by_name["BiLSTM 256, two layers, 64 tokens, 1 text"].outcome == "met"
    assert by_name["RNN, all sizes"].outcome == "aim reached"
    assert "BiLSTM 256, two layers, 64 tokens, 32 texts" not in by_name


def test_an_aim_is_never_looser_than_its_bound() -> None:
    assert all(t.aim <= t.bound for t in TARGETS if t.aim is not None and t.bound is not None)


def test_a_suite_replaces_its_own_part_alone(stored: Path) -> None:
    before = results.read(stored)
    results.merge("growth", {"curves": {}}, stored)
    after = results.read(stored)
    assert after["growth"]["curves"] == {}
    assert {k: v for k, v in after.items() if k != "growth"} == {k: v for k, v in before.items() if k != "growth"}


def test_the_machine_is_described_without_its_name_or_paths(stored: Path) -> None:
    text = json.dumps(results.machine())
    assert set(results.machine()) == {"date", "cpu", "cores", "system"}
    assert results.platform.node() not in text or not results.platform.node()
    assert str(Path.cwd()) not in text


def test_a_missed_bound_of_the_servers_is_one_sentence() -> None:
    assert serving.missed(0.5, 1.2) == []
    slow, late = serving.missed(0.3, 1.7)
    assert "ours / FastAPI alone is 0.30, at least 0.40" in slow
    assert "inspect / predict is 1.70, at most 1.60" in late
    assert serving.missed(0.5, 1.7, 1.8) == []


def test_a_regression_is_worse_than_asked_and_than_stored() -> None:
    cases = kernels()["cases"]
    (worse,) = regressed(cases, [])
    assert "random LSTM 64, 64 tokens, 32 texts" in worse
    assert regressed(cases, cases) == []
    faster = json.loads(json.dumps(cases))
    for case in faster:
        for ratio in case["ratios"].values():
            ratio["median"] /= 1.4
    assert (
        regressed(cases, faster) == [worse.replace("at most 0.55", "at most 0.75")]
        or len(regressed(cases, faster)) == 1
    )


def test_what_is_stored_has_five_digits(stored: Path) -> None:
    results.merge("growth", {"values": [1.23456789, {"many": 123456789}]}, stored)
    assert results.read(stored)["growth"]["values"] == [1.2346, {"many": 123456789}]


def test_targets_of_the_server_are_judged_by_medians() -> None:
    rows = {row.split(" | ")[0].strip("| "): row for row in report_servers.targets(servers()).splitlines()}
    assert rows["requests a second, ours / FastAPI alone"].endswith("aim reached |")
    assert "≥ 4 | ≥ 10 | 3.00" in rows["ours / litserve-fused"]
    assert rows["ours / litserve-fused"].endswith("missed |")
    assert rows["time of inspect / predict, 64 tokens, one client"].endswith("aim reached |")
    assert not any("bfloat16" in row for row in rows)


def test_the_tables_in_both_readmes_are_replaced(tmp_path: Path) -> None:
    found = {"kernels": kernels(), "servers": servers()}
    for name in summary.READMES.values():
        (tmp_path / name).write_text("before\n<!-- speed -->\nold\n<!-- /speed -->\nafter\n", "utf-8")
    for _ in range(2):
        summary.write(found, tmp_path)
        for name in summary.READMES.values():
            text = (tmp_path / name).read_text("utf-8")
            assert text.startswith("before\n")
            assert text.endswith("\nafter\n")
            assert "old" not in text
            assert text.count("| 3.00 [") == 1  # LitServe's
            assert text.count("/ `nn.RNN` |") == 1
    assert summary.tables({}, "en") == ""


@pytest.mark.parametrize("language", summary.READMES)
def test_readme_shows_what_is_stored(language: str) -> None:
    root = Path(__file__).parents[2]
    assert summary.tables(results.read(root / results.STORED), language) in (
        root / summary.READMES[language]
    ).read_text("utf-8")


def test_every_peer_pins_its_version() -> None:
    assert set(serving.pins(["litserve", "bentoml"])) == {"litserve", "bentoml"}


def test_help_names_every_suite(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parser().parse_args(["--help"])
    printed = capsys.readouterr().out
    assert all(name in printed for name in (*results.SUITES, "report", "all", "quick"))


def test_no_round_is_refused_in_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert rounds("7") == 7
    with pytest.raises(SystemExit):
        parser().parse_args(["kernels", "--rounds", "0"])
    assert "give a whole number from 1 on" in capsys.readouterr().err
