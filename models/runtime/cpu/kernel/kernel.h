// The fused recurrence's C interface. Plain structures and pointers: no Python, no torch, nothing to rebuild with them.
//
// A *column block* is four vectors of WIDTH floats that are computed together: for an LSTM the gates i, f, g, o of WIDTH
// units, for an RNN four times WIDTH units. Weights are packed as [block][depth][4][WIDTH], so that a block's sums stay
// in registers while its weights stream by. Rows of preactivations are packed as [block][4][WIDTH]; units that only fill
// up a vector have zero weights. In bfloat16 they are packed as [block][pair][4][WIDTH]: of the n pairs of a depth of 2n or
// 2n - 1, pair k holds the weight of input k in its low half and that of input n + k in its high one.
#pragma once
#include <cstdint>

extern "C" {

// What a target offers. `packed` is the number of floats in a packed row of `gates * units` preactivations.
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

// out[row] = start[row] + W in[row], for the rows named.
struct Projection {
    int32_t depth, blocks;      // inputs a row; column blocks of the output
    int32_t bfloat16;           // whether the weights are
    int64_t count;              // of rows
    const int64_t* rows;        // which rows of `input` and `out`; NULL: 0 .. count - 1
    const float* input;         // rows input_stride apart
    int64_t input_stride;
    const void* weights;        // packed
    const float* bias;          // packed row that every sum starts from; NULL: from what `out` holds
    float* out;                 // packed rows, out_stride apart
    int64_t out_stride;
};

// A feature that names several rows of its table: their mean.
struct Bag {
    int32_t size, width;   // ids in a bag; floats in a row
    int64_t count;         // of bags
    const int64_t* ids;    // [count][size]
    const float* table;    // plain rows
    float* out;            // rows out_stride apart
    int64_t out_stride;
};

// The part of preactivations that is looked up, table[id[row]] of each table, for row text * time + t.
struct LookUp {
    int32_t tables;
    const float* bias;          // packed row; added where no preactivations are given
    const float* const* table;  // [tables], each of packed rows
    const int64_t* const* ids;  // [tables][row]
};

// One layer in one direction over a ragged batch. A row is text * time + t; all pointers but the packed ones are to
// plain rows of `units` floats in reading order. Rows beyond a text's length are set to zero.
struct Recurrence {
    int32_t gates, units, texts, time;  // gates: 4 LSTM, 1 RNN
    int32_t bfloat16, reverse;
    int32_t recorded;                   // tensors written to `record`: 0, 5 or 9 (LSTM), 0 or 1 (RNN)
    const int64_t* lengths;             // [texts]
    const int64_t* order;               // [texts], longest first
    const void* weights;                // packed, depth = units
    const float* preactivations;        // packed rows; NULL: all is looked up
    const struct LookUp* look_up;       // what is added to them; NULL: nothing
    float* out;                         // h_t, rows out_stride apart
    int64_t out_stride;
    float* record;                      // i, f, g, o, c and then z_i, z_f, z_g, z_o; or an RNN's z
    int64_t record_stride;              // floats from one tensor to the next
    const float* hidden_state;          // [texts][units] to start from; NULL: zero
    const float* cell_state;
    float* last_cell_state;             // [texts][units] at the end; NULL: not wanted
};

// What a pooled head reads, over padded rows of `width` floats.
struct Pool {
    int32_t texts, time, width;
    const int64_t* lengths;
    const float* input;
    float* out;
};

// How far what is shown of one text, one layer, one direction is from what the weights do, in float64: see check.hpp.
#define CHECKED_STEPS 8
struct Check {
    int32_t gates, units, depth, reverse;
    int32_t steps;             // that are computed again, up to CHECKED_STEPS
    int64_t time;
    const int64_t* timesteps;  // [steps]
    const float* input;        // [steps][depth], x_t of these
    const float *weight_ih, *weight_hh, *bias_ih, *bias_hh;  // as in the file
    const float* shown[6];     // [time][units] each: h, and for an LSTM c, i, f, g, o
    double largest;            // the answer
};

__attribute__((visibility("default"))) int32_t target_count(void);
__attribute__((visibility("default"))) const Target* target_at(int32_t index);
}
