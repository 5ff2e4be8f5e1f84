"""recurrence.cu compiles for every card it is for, without a card: `pip install gatescope[cuda-kernel]` brings NVRTC."""

import itertools
import re

import pytest

from models.runtime.cuda.compiling import CannotCompile, Variant, cluster_of, machine_code

VARIANTS = [
    (sm, Variant(units, gates, record, together, cluster_of(units, capability) or 0))
    for (sm, capability), units, gates, record, together in itertools.product(
        (("sm_80", (8, 0)), ("sm_90", (9, 0))), (128, 256), (1, 4), (0, 2), (1, 4)
    )
]


@pytest.fixture(scope="module")
def nvrtc() -> None:
    pytest.importorskip("cuda.bindings.nvrtc", reason="the extra cuda-kernel is not installed")


@pytest.mark.usefixtures("nvrtc")
@pytest.mark.parametrize(
    ("sm", "variant"), VARIANTS, ids=lambda v: v if isinstance(v, str) else " ".join(v.definitions)
)
def test_every_variant_compiles_into_registers_alone(sm: str, variant: Variant) -> None:
    """A spill would put weights that are to stay in registers into memory."""
    code, log = machine_code(variant, sm)
    assert code.startswith(b"\x7fELF")
    assert re.findall(r"(\d+) bytes spill stores", log) == ["0"]
    registers = re.findall(r"Used (\d+) registers", log)
    assert len(registers) == 1
    assert int(registers[0]) <= 128  # of 65,536 for 512 threads


@pytest.mark.usefixtures("nvrtc")
def test_what_nvrtc_refuses_is_one_sentence() -> None:
    with pytest.raises(CannotCompile, match="H is a multiple of 64"):
        machine_code(Variant(65, 4, 0, 1, 1), "sm_80")
