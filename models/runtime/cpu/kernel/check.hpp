// The certificate's arithmetic: recomputes recorded activations in float64, from the float32 weights in the file.
// It shares no code with the kernel that it checks: plain rows, plain sums, its own exponential.
//
//     step:        i, f, o = sigmoid(z_i, z_f, z_o), g = tanh(z_g) with z = W_ih x_t + W_hh h_{t-1} + b, then
//                  c_t = f * c_{t-1} + i * g and h_t = o * tanh(c_t), from the recorded h_{t-1} and c_{t-1}, at the given
//                  timesteps
//     identities:  o * tanh(c) = h and f * c_{t-1} + i * g = c between the recorded numbers, at every timestep
#pragma once

namespace check {

constexpr int LANES = WIDTH / 2;
typedef float Narrow __attribute__((vector_size(4 * LANES)));
typedef double Wide __attribute__((vector_size(8 * LANES)));
typedef int64_t Whole __attribute__((vector_size(8 * LANES)));

// The functions below take LANES units at once, or the last few units one by one: V is Wide or double.
inline void widen(Wide& to, const float* p) {
#if defined(__AVX512F__)  // GCC 12 compiles the line below to two half-width conversions
    to = bits<Wide>(_mm512_cvtps_pd(load<__m256>(p)));
#else
    to = __builtin_convertvector(load<Narrow>(p), Wide);
#endif
}
inline void widen(double& to, const float* p) { to = *p; }
inline Whole exponent(Wide x) { return (bits<Whole>(x) + 1023) << 52; }
inline int64_t exponent(double x) { return static_cast<int64_t>(static_cast<uint64_t>(bits<int64_t>(x) + 1023) << 52); }

// e^x = 2^n e^r with n = round(x / ln 2), and e^r by its series: terms after r^13 / 13! are under 1e-17.
template <class V>
inline V exponential(V x) {
    x = x < -708.0 ? V{} - 708.0 : x;  // a NaN passes both comparisons
    x = x > 708.0 ? V{} + 708.0 : x;
    const V shifted = x * 1.4426950408889634 + 6755399441055744.0;  // 1.5 * 2^52: adding it leaves n in the last bits
    const V n = shifted - 6755399441055744.0;
    const V r = (x - n * 6.93147180369123816490e-01) - n * 1.90821492927058770002e-10;
    V sum = V{} + 1.0;
#pragma GCC unroll 13
    for (int k = 13; k > 0; k--) sum = sum * r * (1.0 / k) + 1.0;
    return sum * bits<V>(exponent(shifted));
}

template <class V>
inline V sigmoid(V x) {
    return 1.0 / (1.0 + exponential(-x));
}

template <class V>
inline V tanh_of(V x) {
    return 1.0 - 2.0 / (exponential(x + x) + 1.0);
}

// The largest difference so far; infinite after a NaN.
struct Largest {
    Wide lanes = {};
    double single = 0;

    void compare(Wide a, Wide b) { update(lanes, a, b); }
    void compare(double a, double b) { update(single, a, b); }
    template <class V>
    static void update(V& largest, V a, V b) {
        V difference = a > b ? a - b : b - a;
        difference = difference == difference ? difference : V{} + __builtin_inf();
        largest = difference > largest ? difference : largest;
    }
    double value() const {
        double largest = single;
        for (int lane = 0; lane < LANES; lane++) largest = lanes[lane] > largest ? lanes[lane] : largest;
        return largest;
    }
};

struct Reader {
    const Check* a;

    // The timestep read before t; -1 at the first step, whose previous state is zero.
    int64_t previous(int64_t t) const { return a->reverse ? (t + 1 == a->time ? -1 : t + 1) : t - 1; }

    template <class V>
    V at(int tensor, int64_t t, int unit) const {
        V value = {};
        if (t >= 0) widen(value, a->activations[tensor] + t * a->units + unit);
        return value;
    }
};

enum { H, C, I, F, G, O };  // the order of Check::activations

// Compares the gates and states that the cell computes from z at timestep t with the recorded ones.
template <class V>
void step(const Check* a, const double* z, int64_t t, int unit, Largest& largest) {
    const Reader recorded = {a};
    if (a->gates == 1) return largest.compare(tanh_of(load<V>(z + unit)), recorded.at<V>(H, t, unit));
    const V i = sigmoid(load<V>(z + unit)), f = sigmoid(load<V>(z + a->units + unit));
    const V g = tanh_of(load<V>(z + 2 * a->units + unit)), o = sigmoid(load<V>(z + 3 * a->units + unit));
    const V c = f * recorded.at<V>(C, recorded.previous(t), unit) + i * g;
    const V computed[] = {o * tanh_of(c), c, i, f, g, o};
    for (int n = H; n <= O; n++) largest.compare(computed[n], recorded.at<V>(n, t, unit));
}

template <class V>
void identities(const Check* a, int64_t t, int unit, Largest& largest) {
    const Reader recorded = {a};
    const V c = recorded.at<V>(C, t, unit), previous_c = recorded.at<V>(C, recorded.previous(t), unit);
    largest.compare(recorded.at<V>(O, t, unit) * tanh_of(c), recorded.at<V>(H, t, unit));
    largest.compare(recorded.at<V>(F, t, unit) * previous_c + recorded.at<V>(I, t, unit) * recorded.at<V>(G, t, unit), c);
}

// The inputs of one product at every checked step, widened to double and aligned to a vector.
struct Inputs {
    const float* weights;
    int depth, stride;
    Room<double> at;

    Inputs(const float* weights, int depth)
        : weights(weights), depth(depth), stride((depth + 7) / 8 * 8), at(static_cast<int64_t>(CHECKED_STEPS) * stride) {}
    void set(int step, const float* values) {
        for (int k = 0; k < depth; k++) at.at[static_cast<int64_t>(step) * stride + k] = values[k];
    }

    const float* row(int n) const { return weights + static_cast<int64_t>(n) * depth; }
    const double* step(int n) const { return at.at + static_cast<int64_t>(n) * stride; }
};

// out[n] = the sum of both products' results for this row of weights at step n.
inline void multiply(const Inputs& x, const Inputs& h, int row, double* out) {
    Wide sums[CHECKED_STEPS] = {};
    for (int n = 0; n < CHECKED_STEPS; n++) out[n] = 0;
    const Inputs* const products[] = {&x, &h};
    for (const Inputs* product : products) {
        const float* w = product->row(row);
        int k = 0;
        for (; k + LANES <= product->depth; k += LANES) {
            Wide widened;
            widen(widened, w + k);
#pragma GCC unroll 8
            for (int n = 0; n < CHECKED_STEPS; n++) sums[n] += widened * load<Wide>(product->step(n) + k);
        }
        for (; k < product->depth; k++)
            for (int n = 0; n < CHECKED_STEPS; n++) out[n] += static_cast<double>(w[k]) * product->step(n)[k];
    }
    for (int n = 0; n < CHECKED_STEPS; n++)
        for (int lane = 0; lane < LANES; lane++) out[n] += sums[n][lane];
}

double run(const Check* a) {
    const int rows = a->gates * a->units;
    const Reader recorded = {a};
    Inputs x(a->weight_ih, a->depth), h(a->weight_hh, a->units);
    for (int n = 0; n < a->steps; n++) {
        x.set(n, a->input + static_cast<int64_t>(n) * a->depth);
        const int64_t previous = recorded.previous(a->timesteps[n]);
        if (previous >= 0) h.set(n, a->activations[H] + previous * a->units);
    }
    Room<double> z(static_cast<int64_t>(CHECKED_STEPS) * rows);
    for (int row = 0; row < rows; row++) {
        double sums[CHECKED_STEPS];
        multiply(x, h, row, sums);
        for (int n = 0; n < CHECKED_STEPS; n++)
            z[static_cast<int64_t>(n) * rows + row] = sums[n] + a->bias_ih[row] + a->bias_hh[row];
    }
    Largest largest;
    const auto for_units = [&](auto vector, auto single) {
        int u = 0;
        for (; u + LANES <= a->units; u += LANES) vector(u);
        for (; u < a->units; u++) single(u);
    };
    for (int n = 0; n < a->steps; n++) {
        const double* z_n = z.at + static_cast<int64_t>(n) * rows;
        const int64_t t = a->timesteps[n];
        for_units([&](int u) { step<Wide>(a, z_n, t, u, largest); }, [&](int u) { step<double>(a, z_n, t, u, largest); });
    }
    for (int64_t t = 0; a->gates == 4 && t < a->time; t++)
        for_units([&](int u) { identities<Wide>(a, t, u, largest); }, [&](int u) { identities<double>(a, t, u, largest); });
    return largest.value();
}

}  // namespace check
