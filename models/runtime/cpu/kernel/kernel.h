// The fused recurrence's C interface. Plain structures and pointers: no Python, no torch, nothing to rebuild with them.
//
// A *column block* is four vectors of WIDTH floats that are computed together: for an LSTM the gates i, f, g, o of WIDTH
// units, for an RNN four times WIDTH units. Weights are packed as [block][depth][4][WIDTH], so that a block's sums stay
// in registers while its weights are read once. Rows of preactivations are packed as [block][4][WIDTH]; units that only
// pad a vector have zero weights. bfloat16 weights are packed as [block][pair][4][WIDTH]: a depth of 2n or 2n - 1 has n
// pairs, and pair k holds the weight of input k in its low half and that of input n + k in its high half.
#pragma once
#include <cstdint>

extern "C" {

// The functions of one target. `packed` is the number of floats in a packed row of `gates * units` preactivations.
struct Target {
    const char* name;
    int32_t width;
    bool (*runs_here)();
    void (*project)(const struct Projection*);
    void (*bag)(const struct Bag*);
    void (*recur)(const struct Recurrence*);
    void (*pool)(const struct Pool*);
    void (*check)(struct Check*);
};

// out[row] = start[row] + W input[row], for the rows in `rows`.
struct Projection {
    int32_t depth, blocks;      // inputs a row; column blocks of the output
    int32_t bfloat16;           // 1: the weights are bfloat16
    int64_t count;              // number of rows
    const int64_t* rows;        // which rows of `input` and `out`; NULL: 0 .. count - 1
    const float* input;         // rows input_stride apart
    int64_t input_stride;
    const void* weights;        // packed
    const float* bias;          // packed row that every sum starts from; NULL: start from the values in `out`
    float* out;                 // packed rows, out_stride apart
    int64_t out_stride;
};

// The mean of several rows of a table, for a feature with several ids a token.
struct Bag {
    int32_t size, width;   // ids in a bag; floats in a row
    int64_t count;         // number of bags
    const int64_t* ids;    // [count][size]
    const float* table;    // plain rows
    float* out;            // rows out_stride apart
    int64_t out_stride;
};

// The part of the preactivations that is looked up: the sum of table[ids[row]] over tables, for row text * time + t.
struct LookUp {
    int32_t tables;
    const float* bias;          // packed row; added only where Recurrence::preactivations is NULL
    const float* const* table;  // [tables], each of packed rows
    const int64_t* const* ids;  // [tables][row]
};

// One layer in one direction over a ragged batch. A row is text * time + t; unless marked as packed,
// arrays are plain rows of `units` floats in reading order. Rows after a text's end are set to zero.
struct Recurrence {
    int32_t gates, units, texts, time;  // gates: 4 LSTM, 1 RNN
    int32_t bfloat16, reverse;
    int32_t recorded;                   // tensors written to `record`: 0, 5 or 9 (LSTM), 0 or 1 (RNN)
    const int64_t* lengths;             // [texts]
    const int64_t* order;               // [texts], longest first
    const void* weights;                // packed, depth = units
    const float* preactivations;        // packed rows; NULL: everything is looked up
    const struct LookUp* look_up;       // added to them; NULL: nothing
    float* out;                         // h_t, rows out_stride apart
    int64_t out_stride;
    float* record;                      // i, f, g, o, c and then z_i, z_f, z_g, z_o; or an RNN's z
    int64_t record_stride;              // floats from one tensor to the next
    const float* hidden_state;          // [texts][units], the state before the first step; NULL: zero
    const float* cell_state;
    float* last_cell_state;             // [texts][units], written after the last step; NULL: not needed
};

// Mean and maximum over each text's timesteps, the input of a pooled head; padded rows of `width` floats.
struct Pool {
    int32_t texts, time, width;
    const int64_t* lengths;
    const float* input;
    float* out;
};

// The largest difference in float64 between the activations of one text, layer and direction and the equations: check.hpp.
#define CHECKED_STEPS 8
struct Check {
    int32_t gates, units, depth, reverse;
    int32_t steps;             // timesteps to compute again, up to CHECKED_STEPS
    int64_t time;
    const int64_t* timesteps;  // [steps]
    const float* input;        // [steps][depth], x_t at these timesteps
    const float *weight_ih, *weight_hh, *bias_ih, *bias_hh;  // as in the file
    const float* activations[6];  // [time][units] each: h, and for an LSTM c, i, f, g, o
    double largest;            // the result
};

__attribute__((visibility("default"))) int32_t target_count(void);
__attribute__((visibility("default"))) const Target* target_at(int32_t index);
}
