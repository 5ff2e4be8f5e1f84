// The limits of one core: multiply-adds from registers, and reading the same block of memory repeatedly.
#if defined(__AVX512F__)
#define WIDTH 16
#define SUMS 24  // of 32 registers
#elif defined(__AVX2__)
#define WIDTH 8
#define SUMS 12  // of 16
#else
#define WIDTH 4
#define SUMS 12
#endif

typedef float Vector __attribute__((vector_size(4 * WIDTH), aligned(4), may_alias));

extern "C" {

// Floating-point operations in one turn of `multiply_add`; a multiply-add counts as two.
int operations() { return SUMS * WIDTH * 2; }

float multiply_add(long turns, float x, float y) {
    Vector sum[SUMS];
    for (int s = 0; s < SUMS; s++) sum[s] = Vector{} + static_cast<float>(s);  // different: the compiler would merge equal sums
    const Vector factor = Vector{} + x, added = Vector{} + y;
    for (long n = 0; n < turns; n++)
#pragma GCC unroll 32
        for (int s = 0; s < SUMS; s++) sum[s] = sum[s] * factor + added;
    Vector all = {};
    for (int s = 0; s < SUMS; s++) all = all + sum[s];
    return all[0];
}

// `count` floats, a multiple of 16 vectors, read `turns` times.
float read_again(const float* block, long count, long turns) {
    Vector sum[16] = {};
    for (long n = 0; n < turns; n++)
        for (const float* p = block; p < block + count; p += 16 * WIDTH)
#pragma GCC unroll 32
            for (int s = 0; s < 16; s++) sum[s] = sum[s] + *reinterpret_cast<const Vector*>(p + s * WIDTH);
    Vector all = {};
    for (int s = 0; s < 16; s++) all = all + sum[s];
    return all[0];
}
}
