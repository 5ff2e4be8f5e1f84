"""The tables of ratios in both READMEs, which `python -m bench report` writes between two marks."""

import re
from collections.abc import Sequence
from pathlib import Path

from lecture.markdown import table

from .results import Results
from .targets import verdicts
from .wording import spread

MARKED = re.compile(r"(<!-- speed -->\n).*?(<!-- /speed -->)", re.DOTALL)
HEADERS = {
    "en": ("time of one core, smaller is faster", "median over cases", "worst case"),
    "zh": ("单核用时之比，越小越快", "各情形的中位数", "最差情形"),
}
SERVER_HEADERS = {
    "en": ("over HTTP, 64 connections, `zh-sentiment-lstm`", "median [range over the rounds]"),
    "zh": ("HTTP，64 个连接，`zh-sentiment-lstm`", "中位数 [各轮的范围]"),
}
KERNELS = {
    "LSTM, one layer, all sizes": ("an LSTM predicts, one layer / `nn.LSTM`", "单层 LSTM 预测 / `nn.LSTM`"),
    "BiLSTM 256, two layers, 64 tokens, 1 text": (
        "a BiLSTM of two layers of 256 units, 64 tokens / `nn.LSTM`",
        "两层各 256 单元的 BiLSTM，64 个词 / `nn.LSTM`",
    ),
    "BiLSTM 256, two layers, 64 tokens, 32 texts": ("the same, 32 texts together", "同上，32 条文本一批"),
    "RNN, all sizes": ("an RNN predicts / `nn.RNN`", "RNN 预测 / `nn.RNN`"),
    "All gates beside none": ("with every gate recorded / without", "记录全部门 / 不记录"),
    "All gates beside a loop that keeps them": ("every gate / a loop over `LSTMCell`", "全部门 / `LSTMCell` 循环"),
    "bfloat16 beside ONNX Runtime's int8, 1 text": (
        "bfloat16, one text / ONNX Runtime, int8",
        "bfloat16，单条文本 / ONNX Runtime int8",
    ),
}
STREAM_HEADERS = {
    "en": ("a stream, `zh-sentiment-lstm`, in one process", "median [range over the rounds]"),
    "zh": ("流式，`zh-sentiment-lstm`，单进程", "中位数 [各轮的范围]"),
}
STREAMS = {
    "late_over_early": ("time of a step after 10,000 tokens / after 10", "第 10,000 个词的单步用时 / 第 10 个词"),
    "prefix_seconds": (
        "time of reading 2,000 prefixes / of one stream of 2,000 tokens",
        "逐个重读 2,000 个前缀的用时 / 2,000 词的一条流",
    ),
    "together_over_alone": ("tokens a second of 64 streams together / of one", "64 条流一起的每秒词数 / 一条流"),
}
SERVERS = {
    "noop": (
        "requests a second / those of FastAPI alone, which answers a constant",
        "每秒请求数 / 只返回常量的 FastAPI",
    ),
    "litserve": ("requests a second / LitServe's", "每秒请求数 / LitServe"),
    "bentoml": ("requests a second / BentoML's", "每秒请求数 / BentoML"),
    "ray": ("requests a second / Ray Serve's", "每秒请求数 / Ray Serve"),
}
INSPECT = ("time of an inspection of 64 tokens, every gate / of a prediction", "64 个词、全部门的查看用时 / 预测用时")
READMES = {"en": Path("README.md"), "zh": Path("README.zh-CN.md")}


def write(results: Results, root: Path = Path()) -> None:
    """Writes the tables between the marks of both READMEs."""
    for language, name in READMES.items():
        page = (root / name).read_text("utf-8")
        (root / name).write_text(MARKED.sub(rf"\g<1>{tables(results, language)}\g<2>", page), "utf-8")


def tables(results: Results, language: str) -> str:
    sections = [
        (HEADERS[language], kernels(results, language)),
        (SERVER_HEADERS[language], servers(results, language)),
        (STREAM_HEADERS[language], streams(results, language)),
    ]
    written = [table(header, rows) for header, rows in sections if rows]
    return "".join(f"\n{text}\n" for text in written) + "\n" * bool(written)


def kernels(results: Results, language: str) -> list[Sequence[object]]:
    place = list(HEADERS).index(language)
    return [
        (KERNELS[v.target.name][place], f"{v.median:.2f}", f"{v.spread['median']:.2f}")
        for v in verdicts(results.get("kernels", {}).get("cases", ()))
        if v.target.name in KERNELS
    ]


def servers(results: Results, language: str) -> list[Sequence[object]]:
    """Rows of the servers' ratios; of each peer the faster configuration."""
    if "servers" not in results:
        return []
    place, part = list(HEADERS).index(language), results["servers"]
    configurations = {"noop": "noop", **part["best"]}
    rows = [(SERVERS[peer][place], spread(part["ratios"][f"ours/{name}"])) for peer, name in configurations.items()]
    return [*rows, (INSPECT[place], spread(part["latency"]["ratio"]))]


def streams(results: Results, language: str) -> list[Sequence[object]]:
    """Rows of the streams' ratios, of the first model measured."""
    if "streaming" not in results:
        return []
    place, model = list(HEADERS).index(language), results["streaming"]["models"][0]
    return [(names[place], spread(model[key])) for key, names in STREAMS.items()]
