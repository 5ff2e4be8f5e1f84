"""recurrence.cu -> machine code, by NVRTC: no nvcc, no card, nothing is written to disk.

torch's CUDA build brings NVRTC and the package cuda-bindings, through which it is called.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

SOURCE = Path(__file__).with_name("recurrence.cu")
MOST_UNITS = 256  # W_hh of more does not fit into the registers of a cluster
SLAB = 32  # units of a block, in a cluster


class CannotCompile(Exception):
    """The sentence says why."""


@dataclass(frozen=True)
class Variant:
    """What recurrence.cu is compiled for; its head says what each definition means."""

    units: int
    gates: Literal[1, 4]
    record: Literal[0, 1, 2]
    together: Literal[1, 4]
    cluster: int

    @property
    def definitions(self) -> list[str]:
        return [
            f"-DH={self.units}",
            f"-DGATES={self.gates}",
            f"-DRECORD={self.record}",
            f"-DTOGETHER={self.together}",
            f"-DCLUSTER={self.cluster}",
        ]

    @property
    def tensors(self) -> int:
        """How many are recorded beside h."""
        if self.gates == 4:
            return (0, 5, 9)[self.record]
        return int(self.record == 2)

    def shared_bytes(self, texts: int) -> int:
        """Shared memory of a block that has so many texts."""
        room = -(-texts // self.together) * self.together
        own_units = SLAB if self.cluster > 1 else self.units
        return 16 + 4 * (2 * room * self.units + room * own_units + 2 * texts)


def architecture(capability: tuple[int, int]) -> str:
    """(9, 0) -> sm_90"""
    return f"sm_{capability[0]}{capability[1]}"


def padded(units: int) -> int:
    """The number of units that the kernel computes with."""
    return -(-units // 64) * 64


def cluster_of(units: int, capability: tuple[int, int]) -> int | None:
    """Blocks that share W_hh on a card of this compute capability: 1 below 9.0; None where the kernel cannot run."""
    if capability < (8, 0) or units > MOST_UNITS:
        return None
    return padded(units) // SLAB if capability >= (9, 0) else 1


def machine_code(variant: Variant, sm: str) -> tuple[bytes, str]:
    """The cubin for an architecture, and the assembler's log with registers and spills.

    Raises: CannotCompile.
    """
    try:
        from cuda.bindings import nvrtc
    except ImportError as error:
        raise CannotCompile(f"NVRTC is not at hand: {error}") from error
    options = [f"--gpu-architecture={sm}", "-std=c++17", "--ptxas-options=-v", *variant.definitions]
    try:
        program = _checked(nvrtc.nvrtcCreateProgram(SOURCE.read_bytes(), b"recurrence.cu", 0, [], []))
        done = nvrtc.nvrtcCompileProgram(program, len(options), [option.encode() for option in options])
        log = b" " * _checked(nvrtc.nvrtcGetProgramLogSize(program))
        nvrtc.nvrtcGetProgramLog(program, log)
        if int(done[0]):
            raise CannotCompile(f"NVRTC refuses recurrence.cu for {sm}: {log.decode(errors='replace').strip()[:500]}")
        code = b" " * _checked(nvrtc.nvrtcGetCUBINSize(program))
        _checked(nvrtc.nvrtcGetCUBIN(program, code))
    except RuntimeError as error:  # cuda-bindings finds no library of NVRTC
        raise CannotCompile(f"NVRTC cannot be loaded: {error}") from error
    return code, log.decode(errors="replace")


def _checked(result: tuple[Any, ...]) -> Any:
    """The value of a call of NVRTC.

    Raises: CannotCompile.
    """
    if int(result[0]):
        raise CannotCompile(f"NVRTC answers {result[0]}")
    return result[1] if len(result) > 1 else None
