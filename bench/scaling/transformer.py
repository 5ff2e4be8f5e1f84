"""A transformer of DistilBERT's size with random weights: six layers, 768 wide. Speed needs no training.

Written here in a page, as the library's own model is written for torch alone: eager torch and ONNX Runtime run the same
graph. Texts have one length, so that nothing is padded or masked, and their ids are drawn: tokenizing costs it nothing.
"""

import importlib.util
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

LAYERS, WIDTH, HEADS, INNER, VOCABULARY, POSITIONS = 6, 768, 12, 3072, 30_522, 512
LABELS = 2
AGREE = 1e-3  # the largest allowed difference of a logit between the two
ABSENT = "onnxruntime and onnxscript are not in this environment: `python -m bench scaling` makes one that has them"


class Block(nn.Module):
    """Attention and two linear layers, each added to its input and normalised after, as in BERT."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.grow, self.shrink = nn.Linear(WIDTH, INNER), nn.Linear(INNER, WIDTH)
        self.norm_attention, self.norm_inner = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        texts, tokens, _ = x.shape
        heads = self.qkv(x).view(texts, tokens, 3, HEADS, WIDTH // HEADS).permute(2, 0, 3, 1, 4)
        attended = nn.functional.scaled_dot_product_attention(heads[0], heads[1], heads[2])
        x = self.norm_attention(x + self.out(attended.transpose(1, 2).reshape(texts, tokens, WIDTH)))
        y: Tensor = self.norm_inner(x + self.shrink(nn.functional.gelu(self.grow(x))))
        return y


class Transformer(nn.Module):
    """ids [texts, tokens] -> logits [texts, labels], from the first token's last state."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.places = nn.Embedding(VOCABULARY, WIDTH), nn.Embedding(POSITIONS, WIDTH)
        self.norm, self.blocks = nn.LayerNorm(WIDTH), nn.Sequential(*(Block() for _ in range(LAYERS)))
        self.dense, self.head = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, LABELS)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.norm(self.words(ids) + self.places.weight[: ids.shape[1]])
        logits: Tensor = self.head(torch.relu(self.dense(self.blocks(x)[:, 0])))
        return logits


def random_transformer() -> Transformer:
    torch.manual_seed(0)
    return Transformer().eval().requires_grad_(False)


def random_ids(texts: int, tokens: int) -> Tensor:
    return torch.randint(0, VOCABULARY, (texts, tokens), generator=torch.Generator().manual_seed(0))


def has_onnx() -> bool:
    return all(importlib.util.find_spec(name) for name in ("onnxruntime", "onnxscript"))


def on_onnx_runtime(transformer: Transformer, ids: Tensor) -> Callable[[], object]:
    """A call that runs the same graph on the same ids, by one thread.

    Raises: AssertionError where its logits differ from torch's.
    """
    import onnxruntime  # type: ignore[import-not-found, unused-ignore]

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "transformer.onnx"
        torch.onnx.export(transformer, (ids,), path, dynamo=True, verbose=False)
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    feed = {session.get_inputs()[0].name: ids.numpy()}
    (logits,) = session.run(None, feed)
    difference = float((torch.from_numpy(logits) - transformer(ids)).abs().max())
    if not difference < AGREE:
        raise AssertionError(f"ONNX Runtime's logits differ from torch's by {difference:.1e}: allowed is {AGREE:g}")
    return lambda: session.run(None, feed)
