// The fused recurrence, in vectors of the target's width. setup.py compiles this file once for each target.
//
//     z_t = pre_t + W_hh h_{t-1}                       pre_t = W_ih x_t + b, computed before
//     i, f, o = sigmoid(z_i, z_f, z_o)   g = tanh(z_g)
//     c_t = f * c_{t-1} + i * g          h_t = o * tanh(c_t)
//
// The sums of a column block stay in registers, and the cell is updated as soon as they are complete. The gates are then
// in registers, so recording them takes a few stores. Texts that have ended are dropped, not masked.
//
// Weights are float32 or bfloat16. With bfloat16 weights h_{t-1} is rounded to bfloat16, but only for the product: sums,
// gates and states stay float32.
//
// Every sum adds k = 0, 1, 2, ... in this order, however many rows are computed at the same time, and one function updates
// the cell for all of them: a text's values are bitwise independent of its batch.
#include "kernel.h"

#include <cstdlib>
#include <cstring>
#if defined(__AVX512F__)
#include <immintrin.h>
#endif

// No standard library templates: the linker would keep one copy for all targets, perhaps the one compiled for AVX-512.

#if defined(__AVX512F__)
#define WIDTH 16
#define ROWS 6  // x 4 sums = 24 of 32 registers
#elif defined(__AVX2__)
#define WIDTH 8
#define ROWS 3  // x 4 sums = 12 of 16 registers
#else
#define WIDTH 4
#define ROWS 3
#endif
#define TEXT_OF(name) #name
#define NAME(name) TEXT_OF(name)

namespace {

typedef float Vector __attribute__((vector_size(4 * WIDTH)));
typedef int32_t Integers __attribute__((vector_size(4 * WIDTH)));
constexpr int BLOCK = 4 * WIDTH;  // floats in a column block

template <class To, class From>
inline To bits(const From& from) {
    To to;
    static_assert(sizeof to == sizeof from, "the same bits");
    std::memcpy(&to, &from, sizeof to);
    return to;
}

template <class V = Vector>
inline V load(const void* p) {
    V v;
    std::memcpy(&v, p, sizeof v);
    return v;
}

inline void store(float* p, Vector v) { std::memcpy(p, &v, sizeof v); }

inline void store(float* p, Vector v, int units) {  // the last panel may be narrower than a vector
    if (units == WIDTH) store(p, v);
    else std::memcpy(p, &v, units * sizeof(float));
}

inline Vector all(float x) { return Vector{} + x; }

inline int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

// Zeroed memory for one call, aligned to a cache line. Without memory the process ends: C code has no way to report it.
template <class T>
struct Room {
    T* const at;
    explicit Room(int64_t count) : Room(static_cast<size_t>(count) * sizeof(T) / 64 * 64 + 64, true) {}
    Room(size_t bytes, bool) : at(static_cast<T*>(std::aligned_alloc(64, bytes))) {
        if (!at) std::abort();
        std::memset(static_cast<void*>(at), 0, bytes);
    }
    ~Room() { std::free(at); }
    Room(const Room&) = delete;
    T& operator[](int64_t n) { return at[n]; }
};

inline Vector clamp(Vector x, float low, float high) {
    x = x < low ? all(low) : x;  // a NaN passes both comparisons
    return x > high ? all(high) : x;
}

// e^x = 2^n e^r with n = round(x / ln 2): Cephes' polynomial on |r| <= ln(2)/2, with a relative error of 1e-7.
inline Vector exponential(Vector x) {
    x = clamp(x, -87.0f, 88.0f);
    const Vector to_integer = all(12582912.0f);  // 1.5 * 2^23: adding it leaves an integer in the last bits
    Vector n = x * 1.44269504088896341f + to_integer;
    n = n - to_integer;
    Vector r = x - n * 0.693359375f;
    r = r + n * 2.12194440e-4f;
    Vector p = all(1.9875691500e-4f);
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * (r * r) + r + 1.0f;
    const Integers power = (__builtin_convertvector(n, Integers) + 127) << 23;
    return p * bits<Vector>(power);
}

inline Vector sigmoid(Vector x) { return 1.0f / (1.0f + exponential(-x)); }

// Under |x| = 0.625 Cephes' odd polynomial, accurate where tanh(x) ~ x; above, 1 - 2 / (e^2|x| + 1) with the sign of x.
inline Vector tanh_of(Vector x) {
    Vector size = x < 0.0f ? -x : x;
    Vector far = 1.0f - 2.0f / (exponential(2.0f * size) + 1.0f);
    far = x < 0.0f ? -far : far;
    Vector square = x * x;
    Vector p = all(-5.70498872745e-3f);
    p = p * square + 2.06390887954e-2f;
    p = p * square + -5.37397155531e-2f;
    p = p * square + 1.33314422036e-1f;
    p = p * square + -3.33332819422e-1f;
    Vector near = p * square * x + x;
    return size < 0.625f ? near : far;
}

// The number types of a product. Float32 adds one input at a time; Rows holds the rows of inputs in the form it reads.
struct Float32 {
    typedef float Weight;
    typedef float Input;
    typedef Vector Column;
    static int inputs(int depth) { return depth; }
    static Vector multiply_add(Vector sum, float x, Vector w) { return sum + x * w; }

    struct Rows {  // pointers to the caller's rows
        Room<const float*> at;
        Rows(int64_t count, int) : at(count) {}
        void set(int64_t row, const float* values) { at[row] = values; }
    };
};

// Adds two inputs at a time: of n pairs, pair k holds the inputs k (low half) and n + k (high half).
struct BFloat16 {
    typedef uint32_t Weight;
    typedef Integers Column;
    static int inputs(int depth) { return (depth + 1) / 2; }
    static uint32_t rounded(float x) {  // to nearest, ties to even; NaN stays NaN
        const uint32_t whole = bits<uint32_t>(x);
        return x == x ? (whole + 0x7fff + (whole >> 16 & 1)) >> 16 : 0x7fc0;
    }

#if defined(__AVX512BF16__)
    typedef uint32_t Input;
    static Input pair(float low, float high) { return rounded(low) | rounded(high) << 16; }
    static Vector multiply_add(Vector sum, Input x, Integers w) {
        return bits<Vector>(_mm512_dpbf16_ps(bits<__m512>(sum), bits<__m512bh>(Integers{} + static_cast<int32_t>(x)), bits<__m512bh>(w)));
    }
#else
    struct Input {
        float low, high;
    };
    static Input pair(float low, float high) { return {bits<float>(rounded(low) << 16), bits<float>(rounded(high) << 16)}; }
    static Vector multiply_add(Vector sum, Input x, Integers w) {
        sum = sum + x.low * bits<Vector>(w << 16);
        return sum + x.high * bits<Vector>(w & static_cast<int32_t>(0xffff0000u));
    }
#endif

    struct Rows {  // rounded copies
        int depth, pairs;
        Room<Input> copies;
        Room<const Input*> at;
        Rows(int64_t count, int depth) : depth(depth), pairs(inputs(depth)), copies(count * pairs), at(count) {
            for (int64_t row = 0; row < count; row++) at[row] = &copies[row * pairs];
        }
        void set(int64_t row, const float* values) {
            Input* copy = &copies[row * pairs];
            const int second = depth - pairs;  // one less than `pairs` where depth is odd
            for (int k = 0; k < second; k++) copy[k] = pair(values[k], values[pairs + k]);
            if (second < pairs) copy[second] = pair(values[second], 0.0f);
        }
    };
};

// z[row][block] = start[row][block] + sum_k x[row][k] * w[block][k], for R rows and Q column blocks side by side.
template <class Number, int R, int Q>
inline void products(
    const typename Number::Weight* w, int inputs, const typename Number::Input* const* x, const float* const* start, float* z) {
    Vector sum[R][4 * Q];
#pragma GCC unroll 32
    for (int r = 0; r < R; r++)
#pragma GCC unroll 32
        for (int c = 0; c < 4 * Q; c++) sum[r][c] = load(start[r] + c * WIDTH);
    for (int k = 0; k < inputs; k++, w += BLOCK) {
#pragma GCC unroll 32
        for (int q = 0; q < Q; q++)
#pragma GCC unroll 32
            for (int c = 0; c < 4; c++) {
                const auto column = load<typename Number::Column>(w + static_cast<int64_t>(q) * inputs * BLOCK + c * WIDTH);
#pragma GCC unroll 32
                for (int r = 0; r < R; r++) sum[r][4 * q + c] = Number::multiply_add(sum[r][4 * q + c], x[r][k], column);
            }
    }
#pragma GCC unroll 32
    for (int r = 0; r < R; r++)
#pragma GCC unroll 32
        for (int c = 0; c < 4 * Q; c++) store(z + (r * 4 * Q + c) * WIDTH, sum[r][c]);
}

template <class Number, int R>
inline void products_of_rows(
    const typename Number::Weight* w, int inputs, const typename Number::Input* const* x, const float* const* start, float* z, int rows) {
    if (rows == R) products<Number, R, 1>(w, inputs, x, start, z);
    else if constexpr (R > 1) products_of_rows<Number, R - 1>(w, inputs, x, start, z, rows);
}

// All rows by all column blocks; `start(row, block)` returns the values that a sum starts from, `finish(row, block, z)`
// takes the result. back: from the last block to the first. Steps alternate the direction, so that a step begins with the
// blocks that the previous step has left in the cache.
template <class Number, class Start, class Finish>
inline void sweep(
    const void* weights, int depth, int blocks, int rows, bool back, const typename Number::Input* const* x, Start start,
    Finish finish) {
    alignas(64) float z[(ROWS > 2 ? ROWS : 2) * BLOCK];
    const float* from[ROWS];
    const int inputs = Number::inputs(depth);
    const int64_t size = static_cast<int64_t>(inputs) * BLOCK;
    const auto* w = static_cast<const typename Number::Weight*>(weights);
    const int step = rows == 1 ? 2 : 1;  // one row has too few sums to hide the latency of an addition
    const int steps = (blocks + step - 1) / step;
    for (int n = 0; n < steps; n++) {
        const int block = (back ? steps - 1 - n : n) * step;
        if (step == 2 && block + 2 <= blocks) {
            from[0] = start(0, block);
            products<Number, 1, 2>(w + block * size, inputs, x, from, z);
            finish(0, block, z);
            finish(0, block + 1, z + BLOCK);
            continue;
        }
        for (int first = 0; first < rows;) {
            const int left = rows - first;
            const int count = left <= ROWS ? left : left < 2 * ROWS ? (left + 1) / 2 : ROWS;
            for (int r = 0; r < count; r++) from[r] = start(first + r, block);
            products_of_rows<Number, ROWS>(w + block * size, inputs, x + first, from, z, count);
            for (int r = 0; r < count; r++) finish(first + r, block, z + r * BLOCK);
            first += count;
        }
    }
}

template <class Number>
void project_in(const Projection* p) {
    constexpr int64_t AT_ONCE = 1024;
    const int64_t most = least(AT_ONCE, p->count);
    typename Number::Rows x(most, p->depth);
    Room<float*> out(most);
    for (int64_t first = 0; first < p->count; first += AT_ONCE) {
        const int rows = static_cast<int>(least(AT_ONCE, p->count - first));
        for (int r = 0; r < rows; r++) {
            const int64_t row = p->rows ? p->rows[first + r] : first + r;
            x.set(r, p->input + row * p->input_stride);
            out[r] = p->out + row * p->out_stride;
        }
        sweep<Number>(
            p->weights, p->depth, p->blocks, rows, false, x.at.at,
            [&](int r, int block) { return (p->bias ? p->bias : out[r]) + block * BLOCK; },
            [&](int r, int block, const float* z) { std::memcpy(out[r] + block * BLOCK, z, BLOCK * sizeof(float)); });
    }
}

void project(const Projection* p) { p->bfloat16 ? project_in<BFloat16>(p) : project_in<Float32>(p); }

// out[n] = the mean of the table's rows with the ids of bag n; id 0 is padding and is not counted.
void bag(const Bag* b) {
    for (int64_t n = 0; n < b->count; n++) {
        float* out = b->out + n * b->out_stride;
        std::memset(out, 0, b->width * sizeof(float));
        int counted = 0;
        for (int k = 0; k < b->size; k++) {
            const int64_t id = b->ids[n * b->size + k];
            if (id == 0) continue;
            counted++;
            for (int c = 0; c < b->width; c++) out[c] += b->table[id * b->width + c];
        }
        for (int c = 0; counted > 1 && c < b->width; c++) out[c] /= static_cast<float>(counted);
    }
}

// Mean and maximum over each text's own timesteps: [text][2 * width].
void pool(const Pool* p) {
    for (int64_t text = 0; text < p->texts; text++) {
        float* mean = p->out + text * 2 * p->width;
        float* most = mean + p->width;
        const float* row = p->input + text * p->time * p->width;
        const int64_t length = p->lengths[text];
        for (int c = 0; c < p->width; c++) mean[c] = most[c] = row[c];
        for (int64_t t = 1; t < length; t++) {
            row += p->width;
            for (int c = 0; c < p->width; c++) {
                mean[c] += row[c];
                most[c] = row[c] > most[c] ? row[c] : most[c];
            }
        }
        for (int c = 0; c < p->width; c++) mean[c] /= static_cast<float>(length);
    }
}

// Where the values of one text at one step are written.
struct Place {
    float* hidden;   // out row
    float* cell;     // c, padded to whole vectors
    float* record;   // first recorded tensor's row
};

// Never inlined: all callers run the same code, so they round alike.
__attribute__((noinline)) void lstm_cell(const Recurrence* a, const Place& at, int block, const float* z) {
    const int unit = block * WIDTH, units = static_cast<int>(least(WIDTH, a->units - unit));
    const Vector i = sigmoid(load(z)), f = sigmoid(load(z + WIDTH));
    const Vector g = tanh_of(load(z + 2 * WIDTH)), o = sigmoid(load(z + 3 * WIDTH));
    const Vector c = f * load(at.cell + unit) + i * g;
    store(at.cell + unit, c);
    store(at.hidden + unit, o * tanh_of(c), units);
    if (!at.record) return;
    const Vector values[5] = {i, f, g, o, c};
    float* record = at.record + unit;
    for (int n = 0; n < 5; n++, record += a->record_stride) store(record, values[n], units);
    for (int n = 5; n < a->recorded; n++, record += a->record_stride) store(record, load(z + (n - 5) * WIDTH), units);
}

__attribute__((noinline)) void rnn_cell(const Recurrence* a, const Place& at, int block, const float* z) {
    for (int c = 0; c < 4; c++) {
        const int unit = (4 * block + c) * WIDTH, units = static_cast<int>(least(WIDTH, a->units - unit));
        if (units <= 0) return;
        store(at.hidden + unit, tanh_of(load(z + c * WIDTH)), units);
        if (at.record) store(at.record + unit, load(z + c * WIDTH), units);
    }
}

// sum = `pre`, or the bias where it is NULL, plus this row's entry of each table.
void look_up(const LookUp* l, int64_t row, const float* pre, int64_t packed, float* sum) {
    const float* first = l->table[0] + l->ids[0][row] * packed;
    for (int64_t c = 0; c < packed; c += WIDTH) store(sum + c, load((pre ? pre : l->bias) + c) + load(first + c));
    for (int t = 1; t < l->tables; t++) {
        const float* next = l->table[t] + l->ids[t][row] * packed;
        for (int64_t c = 0; c < packed; c += WIDTH) store(sum + c, load(sum + c) + load(next + c));
    }
}

// Tables are far larger than a cache: the next step's rows are prefetched while this step is computed.
void prefetch(const LookUp* l, int64_t row, int64_t packed) {
    for (int t = 0; t < l->tables; t++)
        for (int64_t c = 0; c < packed; c += 16) __builtin_prefetch(l->table[t] + l->ids[t][row] * packed + c);
}

void clear_padding(const Recurrence* a, int text) {
    for (int64_t t = a->lengths[text]; t < a->time; t++) {
        const int64_t row = static_cast<int64_t>(text) * a->time + t;
        std::memset(a->out + row * a->out_stride, 0, a->units * sizeof(float));
        for (int n = 0; n < a->recorded; n++)
            std::memset(a->record + n * a->record_stride + row * a->units, 0, a->units * sizeof(float));
    }
}

template <class Number>
void recur_in(const Recurrence* a) {
    const bool lstm = a->gates == 4;
    const int across = lstm ? WIDTH : BLOCK;  // units in a column block
    const int blocks = (a->units + across - 1) / across, width = blocks * across;
    const int64_t packed = static_cast<int64_t>(blocks) * BLOCK;

    Room<float> cell(lstm ? static_cast<int64_t>(a->texts) * width : 0), zero(width);
    typename Number::Rows previous(a->texts, a->units);
    Room<const float*> pre(a->texts);
    Room<float> sums(a->look_up ? a->texts * packed : 0);
    Room<Place> place(a->texts);
    for (int r = 0; r < a->texts; r++) {
        const int64_t text = a->order[r];
        previous.set(r, a->hidden_state ? a->hidden_state + text * a->units : zero.at);
        place[r].cell = lstm ? &cell[static_cast<int64_t>(r) * width] : nullptr;
        if (lstm && a->cell_state)
            std::memcpy(place[r].cell, a->cell_state + text * a->units, a->units * sizeof(float));
    }
    int active = a->texts;
    for (int step = 0;; step++) {
        while (active > 0 && a->lengths[a->order[active - 1]] <= step) active--;
        if (active == 0) break;
        for (int r = 0; r < active; r++) {
            const int64_t text = a->order[r], length = a->lengths[text];
            const int64_t row = text * a->time + (a->reverse ? length - 1 - step : step);
            pre[r] = a->preactivations ? a->preactivations + row * packed : nullptr;
            if (a->look_up) {
                look_up(a->look_up, row, pre[r], packed, &sums[r * packed]);
                pre[r] = &sums[r * packed];
                if (step + 1 < length) prefetch(a->look_up, row + (a->reverse ? -1 : 1), packed);
            }
            place[r].hidden = a->out + row * a->out_stride;
            place[r].record = a->recorded ? a->record + row * a->units : nullptr;
        }
        const auto start = [&](int r, int block) { return pre[r] + block * BLOCK; };
        if (lstm)
            sweep<Number>(a->weights, a->units, blocks, active, step % 2, previous.at.at, start,
                  [&](int r, int block, const float* z) { lstm_cell(a, place[r], block, z); });
        else
            sweep<Number>(a->weights, a->units, blocks, active, step % 2, previous.at.at, start,
                  [&](int r, int block, const float* z) { rnn_cell(a, place[r], block, z); });
        for (int r = 0; r < active; r++) previous.set(r, place[r].hidden);
    }
    for (int r = 0; r < a->texts; r++) {
        if (lstm && a->last_cell_state)
            std::memcpy(a->last_cell_state + a->order[r] * a->units, place[r].cell, a->units * sizeof(float));
        clear_padding(a, r);
    }
}

void recur(const Recurrence* a) { a->bfloat16 ? recur_in<BFloat16>(a) : recur_in<Float32>(a); }

#include "check.hpp"

void run_check(Check* a) { a->largest = check::run(a); }

bool runs_here() {
#if defined(__AVX512F__)
#if defined(__AVX512BF16__)
    if (!__builtin_cpu_supports("avx512bf16")) return false;
#endif
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq");
#elif defined(__AVX2__)
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#else
    return true;
#endif
}

}  // namespace

extern const Target TARGET;
const Target TARGET = {NAME(TARGET), WIDTH, runs_here, project, bag, recur, pool, run_check};
