"""recurrence.cu on the CPU, under the address sanitizer: a `Launch` for tensors of the host."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch

from models.runtime.cuda.compiling import SOURCE, Variant
from models.runtime.cuda.problem import Limits, Problem

HERE = Path(__file__).parent
needs_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler is at hand")
HOPPER, AMPERE = Limits((9, 0), 132, 227 << 10), Limits((8, 0), 2, 163 << 10)


class Emulated:
    """Compiles a variant when it is first launched. seed: of the order in which warps and messages take turns."""

    def __init__(self, folder: Path, seed: int = 7) -> None:
        self.folder, self.seed = folder, seed
        self.launched: list[tuple[Variant, int]] = []

    def __call__(self, variant: Variant, problem: Problem) -> None:
        texts, time, directions = problem.sizes
        self.launched.append((variant, problem.clusters))
        head = (
            texts,
            time,
            directions,
            problem.clusters,
            problem.first is not None,
            problem.last is not None,
            self.seed,
        )
        given = (problem.pre, problem.weight, problem.order, problem.lengths, problem.first)
        question, answer = self.folder / "problem", self.folder / "answer"
        blocks = [np.array(head, np.int32), *(x.contiguous().numpy() for x in given if x is not None)]
        question.write_bytes(b"".join(block.tobytes() for block in blocks))
        done = subprocess.run([self._program(variant), question, answer], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr[:4000]
        values, begin = torch.from_numpy(np.fromfile(answer, np.float32)), 0
        for out in (problem.states, problem.record, problem.last):
            if out is not None:
                written = values[begin : begin + out.numel()].view(out.shape)
                out.copy_(torch.where(written.isnan(), out, written))  # NaN: not written
                begin += out.numel()
        assert begin == len(values)

    def _program(self, variant: Variant) -> Path:
        program = self.folder / "-".join(d.removeprefix("-D") for d in variant.definitions)
        if not program.exists():
            sanitizers = "-fsanitize=address,undefined"
            flags = ["-std=c++17", "-O0", "-g1", sanitizers, "-fno-sanitize-recover=all", "-I", str(SOURCE.parent)]
            source = str(HERE / "emulate.cpp")
            subprocess.run(["g++", *flags, *variant.definitions, source, "-o", str(program)], check=True)
        return program
