"""The limits of one core of this machine, measured together with the kernels: multiply-adds, and reading from cache.

With one text a step reads all of W_hh and uses each weight once: reading is the limit. With 32 texts each weight is
used 32 times: the multiply-adds are the limit.
"""

import ctypes
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from .contenders import Network
from .ratios import Spread, measure

SOURCE = Path(__file__).with_name("limits.cpp")
BUILT = Path("build/bench/limits.so")
FLAGS = ("-O3", "-march=native", "-ffp-contract=fast", "-Wno-psabi", "-shared", "-fPIC")


@dataclass(frozen=True)
class Probe:
    """How the limits are measured. operations: of one `multiply_add` call; `read(block, n)` reads a block n times."""

    how: str
    operations: float
    multiply_add: Callable[[], object]
    read: Callable[[torch.Tensor, int], object]


def limits(floats: Sequence[int], rounds: int, build: Path = BUILT) -> dict[str, object]:
    """GF/s of multiply-adds, and GB/s of reading blocks of `floats` float32, each with its range over the rounds."""
    probe = compiled(build) or by_torch()
    blocks = {count: torch.rand(count) for count in floats}
    turns = {count: max(1, (1 << 24) // count) for count in floats}
    calls: dict[str, Callable[[], object]] = {"multiply_add": probe.multiply_add}
    for count, block in blocks.items():
        calls[str(count)] = lambda block=block, n=turns[count]: probe.read(block, n)  # type: ignore[misc]
    cpu = measure(calls, rounds)[0]

    def rate(name: str, work: float) -> dict[str, float]:
        return Spread.from_values([work / seconds / 1e9 for seconds in cpu.seconds[name]]).stored()

    return {
        "how": probe.how,
        "multiply_add_gflops": rate("multiply_add", probe.operations),
        "read_gbytes": {str(4 * count): rate(str(count), 4.0 * count * turns[count]) for count in floats},
    }


def compiled(build: Path) -> Probe | None:
    """Short loops in C++, compiled for this machine; None without a compiler."""
    compiler = shutil.which("g++") or shutil.which("c++")
    if compiler is None:
        return None
    build.parent.mkdir(parents=True, exist_ok=True)
    done = subprocess.run([compiler, *FLAGS, str(SOURCE), "-o", str(build)], capture_output=True, text=True)  # noqa: S603
    if done.returncode != 0:
        return None
    library = ctypes.CDLL(str(build.resolve()))
    library.multiply_add.argtypes = (ctypes.c_long, ctypes.c_float, ctypes.c_float)
    library.read_again.argtypes = (ctypes.c_void_p, ctypes.c_long, ctypes.c_long)
    turns = 1 << 18

    def read(block: torch.Tensor, n: int) -> None:
        library.read_again(block.data_ptr(), block.numel() // 256 * 256, n)

    how = "loops in C++, compiled with -O3 -march=native"
    return Probe(how, float(turns * library.operations()), lambda: library.multiply_add(turns, 0.5, 1.0), read)


def by_torch() -> Probe:
    """Lower bounds where nothing can be compiled: a large product, and sums over the block."""
    a, b, out = torch.rand(1024, 1024), torch.rand(1024, 1024), torch.empty(1024, 1024)

    def read(block: torch.Tensor, n: int) -> None:
        for _ in range(n):
            block.sum()

    return Probe("torch.mm and torch.sum, for want of a compiler", 2.0 * 1024**3, lambda: torch.mm(a, b, out=out), read)


def work(network: Network, looked_up: Sequence[str], tokens: int, texts: int) -> dict[str, float]:
    """The least work of the fused kernel: operations of its products, bytes of W_hh that its steps read."""
    a = network.architecture
    gates, directions = 4 if a.cell == "lstm" else 1, len(a.directions)
    rows = gates * a.units * directions
    projected = sum(f.dimension for f in a.features if f.kind not in looked_up)
    inputs = projected + (a.layers - 1) * directions * a.units
    products = 2.0 * tokens * texts * rows * (inputs + a.layers * a.units)
    return {"operations": products, "recurrent_bytes": 4.0 * tokens * rows * a.units * a.layers}
