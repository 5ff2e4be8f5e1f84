// The certificate's arithmetic: every number that is shown again in float64, from the float32 weights as the file has
// them. Written apart from all that it is there to check: plain rows, plain sums, its own exponential.
//
//     step:        i, f, o = sigmoid(z_i, z_f, z_o), g = tanh(z_g) with z = W_ih x_t + W_hh h_{t-1} + b at the timesteps
//                  named, c_t = f * c_{t-1} + i * g and h_t = o * tanh(c_t), all from h_{t-1} and c_{t-1} as shown
//     identities:  o * tanh(c) = h and f * c_{t-1} + i * g = c between the shown numbers, at every timestep
#pragma once

namespace check {

constexpr int LANES = WIDTH / 2;
typedef float Narrow __attribute__((vector_size(4 * LANES)));
typedef double Wide __attribute__((vector_size(8 * LANES)));
typedef int64_t Whole __attribute__((vector_size(8 * LANES)));

// Everything below takes LANES units at once, or the last few of them one by one: V is Wide or double.
inline void widen(Wide& to, const float* p) {
#if defined(__AVX512F__)  // of the line below GCC 12 makes two halves
    to = bits<Wide>(_mm512_cvtps_pd(load<__m256>(p)));
#else
    to = __builtin_convertvector(load<Narrow>(p), Wide);
#endif
}
inline void widen(double& to, const float* p) { to = *p; }
inline Whole exponent(Wide x) { return (bits<Whole>(x) + 1023) << 52; }
inline int64_t exponent(double x) { return static_cast<int64_t>(static_cast<uint64_t>(bits<int64_t>(x) + 1023) << 52); }

// e^x = 2^n e^r with n = round(x / ln 2), and e^r by its series: beyond r^13 / 13! it is under 1e-17.
template <class V>
inline V exponential(V x) {
    x = x < -708.0 ? V{} - 708.0 : x;  // a NaN passes both comparisons
    x = x > 708.0 ? V{} + 708.0 : x;
    const V shifted = x * 1.4426950408889634 + 6755399441055744.0;  // 1.5 * 2^52: n is left in the last bits
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

// The largest difference seen; infinite once one was no number.
struct Largest {
    Wide of_vectors = {};
    double of_singles = 0;

    void see(Wide a, Wide b) { keep(of_vectors, a, b); }
    void see(double a, double b) { keep(of_singles, a, b); }
    template <class V>
    static void keep(V& largest, V a, V b) {
        V apart = a > b ? a - b : b - a;
        apart = apart == apart ? apart : V{} + __builtin_inf();
        largest = apart > largest ? apart : largest;
    }
    double value() const {
        double found = of_singles;
        for (int lane = 0; lane < LANES; lane++) found = of_vectors[lane] > found ? of_vectors[lane] : found;
        return found;
    }
};

struct Reader {
    const Check* a;

    // The timestep read before t; -1 at the start, where the state is zero.
    int64_t before(int64_t t) const { return a->reverse ? (t + 1 == a->time ? -1 : t + 1) : t - 1; }

    template <class V>
    V at(int tensor, int64_t t, int unit) const {
        V value = {};
        if (t >= 0) widen(value, a->shown[tensor] + t * a->units + unit);
        return value;
    }
};

enum { H, C, I, F, G, O };  // the order of Check::shown

// What the cell makes of z at timestep t, beside what is shown.
template <class V>
void step(const Check* a, const double* z, int64_t t, int unit, Largest& apart) {
    const Reader shown = {a};
    if (a->gates == 1) return apart.see(tanh_of(load<V>(z + unit)), shown.at<V>(H, t, unit));
    const V i = sigmoid(load<V>(z + unit)), f = sigmoid(load<V>(z + a->units + unit));
    const V g = tanh_of(load<V>(z + 2 * a->units + unit)), o = sigmoid(load<V>(z + 3 * a->units + unit));
    const V c = f * shown.at<V>(C, shown.before(t), unit) + i * g;
    const V made[] = {o * tanh_of(c), c, i, f, g, o};
    for (int n = H; n <= O; n++) apart.see(made[n], shown.at<V>(n, t, unit));
}

template <class V>
void identities(const Check* a, int64_t t, int unit, Largest& apart) {
    const Reader shown = {a};
    const V c = shown.at<V>(C, t, unit), was = shown.at<V>(C, shown.before(t), unit);
    apart.see(shown.at<V>(O, t, unit) * tanh_of(c), shown.at<V>(H, t, unit));
    apart.see(shown.at<V>(F, t, unit) * was + shown.at<V>(I, t, unit) * shown.at<V>(G, t, unit), c);
}

// Every step's input of one product, widened, each from a vector's start.
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

// out[n] = one row of both products with step n.
inline void multiply(const Inputs& x, const Inputs& h, int row, double* out) {
    Wide sums[CHECKED_STEPS] = {};
    for (int n = 0; n < CHECKED_STEPS; n++) out[n] = 0;
    const Inputs* const both[] = {&x, &h};
    for (const Inputs* its : both) {
        const float* w = its->row(row);
        int k = 0;
        for (; k + LANES <= its->depth; k += LANES) {
            Wide widened;
            widen(widened, w + k);
#pragma GCC unroll 8
            for (int n = 0; n < CHECKED_STEPS; n++) sums[n] += widened * load<Wide>(its->step(n) + k);
        }
        for (; k < its->depth; k++)
            for (int n = 0; n < CHECKED_STEPS; n++) out[n] += static_cast<double>(w[k]) * its->step(n)[k];
    }
    for (int n = 0; n < CHECKED_STEPS; n++)
        for (int lane = 0; lane < LANES; lane++) out[n] += sums[n][lane];
}

double run(const Check* a) {
    const int rows = a->gates * a->units;
    const Reader shown = {a};
    Inputs x(a->weight_ih, a->depth), h(a->weight_hh, a->units);
    for (int n = 0; n < a->steps; n++) {
        x.set(n, a->input + static_cast<int64_t>(n) * a->depth);
        const int64_t before = shown.before(a->timesteps[n]);
        if (before >= 0) h.set(n, a->shown[H] + before * a->units);
    }
    Room<double> z(static_cast<int64_t>(CHECKED_STEPS) * rows);
    for (int row = 0; row < rows; row++) {
        double sums[CHECKED_STEPS];
        multiply(x, h, row, sums);
        for (int n = 0; n < CHECKED_STEPS; n++)
            z[static_cast<int64_t>(n) * rows + row] = sums[n] + a->bias_ih[row] + a->bias_hh[row];
    }
    Largest apart;
    const auto units = [&](auto vector, auto single) {
        int u = 0;
        for (; u + LANES <= a->units; u += LANES) vector(u);
        for (; u < a->units; u++) single(u);
    };
    for (int n = 0; n < a->steps; n++) {
        const double* its = z.at + static_cast<int64_t>(n) * rows;
        const int64_t t = a->timesteps[n];
        units([&](int u) { step<Wide>(a, its, t, u, apart); }, [&](int u) { step<double>(a, its, t, u, apart); });
    }
    for (int64_t t = 0; a->gates == 4 && t < a->time; t++)
        units([&](int u) { identities<Wide>(a, t, u, apart); }, [&](int u) { identities<double>(a, t, u, apart); });
    return apart.value();
}

}  // namespace check
