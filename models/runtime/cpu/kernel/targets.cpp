// The targets in this library, the best first. HAS_X86: setup.py also built the x86 targets.
#include "kernel.h"

extern const Target generic;
#ifdef HAS_X86
extern const Target avx512bf16, avx512, avx2;
// Intel's vdpbf16ps takes longer than the two multiply-adds that it replaces; AMD's takes as long as one of them.
static const Target* const on_intel[] = {&avx512, &avx512bf16, &avx2, &generic};
static const Target* const elsewhere[] = {&avx512bf16, &avx512, &avx2, &generic};
static const Target* const* targets() { return __builtin_cpu_is("intel") ? on_intel : elsewhere; }
int32_t target_count(void) { return sizeof elsewhere / sizeof *elsewhere; }
#else
static const Target* const generic_only[] = {&generic};
static const Target* const* targets() { return generic_only; }
int32_t target_count(void) { return 1; }
#endif

const Target* target_at(int32_t index) { return index >= 0 && index < target_count() ? targets()[index] : nullptr; }
