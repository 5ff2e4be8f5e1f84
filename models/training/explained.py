"""Which attribution method finds the tokens that matter, on a model that was just measured."""

import torch

from ..analysis.method_reports import AFFORDABLE, MethodReport, method_reports, methods_for, sample
from ..analysis.subject import TextRuns
from ..runtime.cpu.fused import FusedRunner
from ..runtime.cpu.kernel import choose
from ..runtime.runner import Runner, TorchRunner
from ..text.tokenizers import TOKENIZERS
from .measured import Measured

TEXTS = 40  # of those that were measured


@torch.inference_mode()
def faithfulness_reports(measured: Measured) -> list[MethodReport]:
    """The methods that a default may be chosen from; empty where no text is long enough to tell them apart."""
    manifest = measured.checkpoint.manifest
    network, kernel = measured.checkpoint.network.cpu(), choose("auto")
    runner: Runner = FusedRunner(network, kernel) if kernel else TorchRunner(network, torch.device("cpu"))
    one_pass = manifest.directions == ("forward",) and manifest.reads == "last_state"
    methods = methods_for(manifest.cell, AFFORDABLE, one_pass)
    places = sample([len(row.text) for row in measured.rows], TEXTS)
    tokenize, tags = TOKENIZERS[manifest.tokenizer], measured.checkpoint.tags
    texts = [TextRuns(runner, tokenize(measured.rows[n].text), measured.examples[n].ids, tags) for n in places]
    return method_reports([text for text in texts if len(text)], methods, lambda items, total, what: items)
