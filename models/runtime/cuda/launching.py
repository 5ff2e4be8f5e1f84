"""Compiled variants of recurrence.cu on a card, launched on torch's own stream by CUDA's driver interface.

Not run on a card yet: what a card has to show is in bench/card.sh.
"""

import ctypes
from typing import Any

import torch

from .compiling import CannotCompile, Variant, architecture, machine_code
from .problem import Arguments, Limits, Problem

THREADS = 512


def limits_of(device: torch.device) -> Limits:
    """Raises: CannotCompile: without cuda-bindings."""
    try:
        from cuda.bindings import driver
    except ImportError as error:
        raise CannotCompile(f"cuda-bindings is not at hand: {error}") from error
    properties = torch.cuda.get_device_properties(device)
    attribute = driver.CUdevice_attribute.CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN
    shared = int(_checked(driver.cuDeviceGetAttribute(attribute, device.index or 0)))
    return Limits((properties.major, properties.minor), properties.multi_processor_count, shared)


class Launcher:
    """A `Launch` on one card; a variant is compiled when it is first asked for."""

    def __init__(self, device: torch.device, limits: Limits) -> None:
        self.device, self.limits = device, limits
        self._functions: dict[Variant, Any] = {}
        self._modules: list[Any] = []  # a function lives as long as its module

    def __call__(self, variant: Variant, problem: Problem) -> None:
        from cuda.bindings import driver

        with torch.cuda.device(self.device):
            function = self._function(variant)
            arguments = Arguments.of_problem(problem)
            pointers = (ctypes.c_void_p * 1)(ctypes.addressof(arguments))
            blocks = problem.clusters * problem.sizes[2] * variant.cluster
            stream = torch.cuda.current_stream(self.device).cuda_stream
            _checked(
                driver.cuLaunchKernel(
                    function,
                    *(blocks, 1, 1),
                    *(THREADS, 1, 1),
                    variant.shared_bytes(problem.texts_of_block),
                    stream,
                    ctypes.addressof(pointers),
                    0,
                )
            )

    def _function(self, variant: Variant) -> Any:
        """Raises: CannotCompile, also where the card does not take the code."""
        if variant not in self._functions:
            from cuda.bindings import driver

            torch.zeros(1, device=self.device)  # torch's context, in which the code is loaded
            code, _ = machine_code(variant, architecture(self.limits.capability))
            module = _checked(driver.cuModuleLoadData(code))
            function = _checked(driver.cuModuleGetFunction(module, b"recurrence"))
            attribute = driver.CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
            _checked(driver.cuFuncSetAttribute(function, attribute, self.limits.shared_bytes))
            self._modules.append(module)
            self._functions[variant] = function
        return self._functions[variant]


def _checked(result: tuple[Any, ...]) -> Any:
    """The value of a call of the driver.

    Raises: CannotCompile.
    """
    if int(result[0]):
        raise CannotCompile(f"CUDA's driver answers {result[0]}")
    return result[1] if len(result) > 1 else None
