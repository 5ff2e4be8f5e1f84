"""Builds the fused recurrence where there is a C++ compiler; without one everything works on torch's kernels.

One library with a C interface, loaded by ctypes: it depends on the ABI of neither Python nor torch. The same source is
compiled once for each target, and the best target that the machine can run is chosen at run time.
"""

import os
import platform

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

KERNEL = "models/runtime/cpu/kernel"
FLAGS = [
    "-std=c++17",
    "-O3",
    "-fPIC",
    "-ffp-contract=fast",
    "-fno-math-errno",
    "-Wno-psabi",
    "-Wno-maybe-uninitialized",
    "-fvisibility=hidden",
]
X86 = platform.machine().lower() in ("x86_64", "amd64")
TARGETS = {"generic": []}
if X86:
    TARGETS["avx2"] = ["-mavx2", "-mfma"]
    TARGETS["avx512"] = ["-mavx512f", "-mavx512vl", "-mavx512bw", "-mavx512dq", "-mfma", "-mprefer-vector-width=512"]
    TARGETS["avx512bf16"] = [*TARGETS["avx512"], "-mavx512bf16"]
SANITIZE = os.environ.get("GATESCOPE_SANITIZE", "")  # address,undefined in the tests of the kernel


class BuildKernel(build_ext):
    def get_ext_filename(self, fullname: str) -> str:
        return os.path.join(*fullname.split(".")) + ".so"

    def build_extension(self, ext: Extension) -> None:
        flags = [*FLAGS, *([f"-fsanitize={SANITIZE}", "-fno-omit-frame-pointer", "-g"] if SANITIZE else [])]
        objects = []
        for target, target_flags in TARGETS.items():
            objects += self.compiler.compile(
                [f"{KERNEL}/kernel.cpp"],
                os.path.join(self.build_temp, target),
                [("TARGET", target)],
                depends=ext.depends,
                extra_postargs=[*flags, *target_flags],
            )
        macros = [("HAS_X86", "1")] if X86 else []
        objects += self.compiler.compile(
            [f"{KERNEL}/targets.cpp"], self.build_temp, macros, depends=ext.depends, extra_postargs=flags
        )
        link = [f"-fsanitize={SANITIZE}"] if SANITIZE else ["-Wl,--as-needed"]
        self.compiler.link_shared_object(
            objects, self.get_ext_fullpath(ext.name), extra_postargs=link, target_lang="c++"
        )


setup(
    ext_modules=[
        Extension(
            "models.runtime.cpu.kernel.recurrence",
            sources=[f"{KERNEL}/kernel.cpp", f"{KERNEL}/targets.cpp"],
            depends=[f"{KERNEL}/kernel.h", f"{KERNEL}/check.hpp"],
            optional=True,
        )
    ],
    cmdclass={"build_ext": BuildKernel},
)
