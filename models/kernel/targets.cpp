// The targets that this library was built for, the best first. HAS_X86: setup.py built the x86 ones as well.
#include "kernel.h"

extern const Target generic;
#ifdef HAS_X86
extern const Target avx512bf16, avx512, avx2;
static const Target* const targets[] = {&avx512bf16, &avx512, &avx2, &generic};
#else
static const Target* const targets[] = {&generic};
#endif

int32_t target_count(void) { return sizeof targets / sizeof *targets; }

const Target* target_at(int32_t index) { return index >= 0 && index < target_count() ? targets[index] : nullptr; }
