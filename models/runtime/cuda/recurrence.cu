// One layer of a recurrence on a CUDA card, both directions in one launch, every gate recorded where asked.
//
// Compiled by NVRTC at start, once for each of these definitions:
//   H         units, a multiple of 64; weights of units that a network does not have are zero
//   GATES     4: LSTM, i f g o; 1: Elman
//   RECORD    0: h alone; 1: gates and c too; 2: preactivations too
//   TOGETHER  1 or 4: texts whose sums a thread carries at once, so that each weight is used that often
//   CLUSTER   H / 32: the blocks of a thread-block cluster hold W_hh in their registers over all timesteps (sm_90);
//             1: one block reads W_hh from the second-level cache in each step (from sm_80 on)
//
//   pre      [text][time][direction][unit][gate]  W_ih x_t + b_ih + b_hh
//   weight   [direction][unit][gate][H]           W_hh
//   order    [text]                               places of the texts, the longest first
//   lengths  [text]                               by place
//   first    [2][direction][text][unit]           h and c before the first step, or null: zero
//   states   [text][time][direction][unit]        h_t; in reading order, as everything
//   record   [tensor][direction][text][time][unit]  LSTM: i f g o c, then z_i z_f z_g z_o; Elman: z
//   last     [direction][text][unit]              c after the last step, or null
//
// A block has 512 threads: 32 units at a time with 16 threads each, a warp two units. A thread has the columns
// 4 (16 j + part) + k of its unit's rows of W_hh. It carries GATES x TOGETHER sums, and exchanges that halve them leave
// each of the sixteen threads with one sum, of which it computes one activation. Sums and exchanges have one order,
// whatever TOGETHER and CLUSTER are, so a text has the same bits alone, in company and on either kind of card.
//
// In a cluster h_t travels by st.async into the shared memory of all blocks, and the receiver counts its bytes on an
// mbarrier, one for each of the two buffers of h. A barrier of the cluster would wait in every step until what was
// recorded has reached the second-level cache.
constexpr int THREADS = 512, PARTS = 16, SLAB = 32;  // SLAB: units that a block computes at a time
constexpr int SLABS = CLUSTER > 1 ? 1 : H / SLAB;    // of a block
constexpr int UNITS = SLAB * SLABS;                  // of a block
constexpr int COLUMNS = H / PARTS;                   // of a thread
static_assert(H % 64 == 0 && (CLUSTER == 1 || CLUSTER * SLAB == H), "H is a multiple of 64, CLUSTER 1 or H / 32");

#ifdef __CUDACC__  // else the emulation in tests/ says what these are
typedef unsigned long long Barrier;
#define SHARED(name) extern __shared__ __align__(16) float name[]
#define EVERYONE 0xffffffffu
__device__ __forceinline__ unsigned address_of(const void* p) { return (unsigned)__cvta_generic_to_shared(p); }
__device__ __forceinline__ void block_barrier() { __syncthreads(); }
#if CLUSTER > 1
#define IN_CLUSTER __cluster_dims__(CLUSTER, 1, 1)
__device__ __forceinline__ unsigned rank_in_cluster() {
  unsigned rank;
  asm volatile("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
  return rank;
}
__device__ __forceinline__ unsigned in_block(unsigned rank, const void* p) {  // where p is in another block
  unsigned there;
  asm volatile("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(there) : "r"(address_of(p)), "r"(rank));
  return there;
}
__device__ __forceinline__ void send(float* p, unsigned rank, float v, Barrier* barrier) {
  asm volatile("st.async.weak.shared::cluster.mbarrier::complete_tx::bytes.f32 [%0], %1, [%2];"
               ::"r"(in_block(rank, p)), "f"(v), "r"(in_block(rank, barrier)) : "memory");
}
__device__ __forceinline__ void send(float* p, unsigned rank, float4 v, Barrier* barrier) {
  asm volatile("st.async.weak.shared::cluster.mbarrier::complete_tx::bytes.v4.f32 [%0], {%1, %2, %3, %4}, [%5];"
               ::"r"(in_block(rank, p)), "f"(v.x), "f"(v.y), "f"(v.z), "f"(v.w), "r"(in_block(rank, barrier))
               : "memory");
}
__device__ __forceinline__ void make(Barrier* barrier) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], 1;" ::"r"(address_of(barrier)) : "memory");
  asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
}
__device__ __forceinline__ void expect(Barrier* barrier, unsigned bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(address_of(barrier)), "r"(bytes)
               : "memory");
}
__device__ __forceinline__ void wait(Barrier* barrier, unsigned parity) {
  asm volatile("{\n .reg .pred done;\n again:\n"
               " mbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 done, [%0], %1;\n @!done bra again;\n}"
               ::"r"(address_of(barrier)), "r"(parity) : "memory");
}
__device__ __forceinline__ void cluster_barrier() {
  asm volatile("barrier.cluster.arrive.release.aligned;" ::: "memory");
  asm volatile("barrier.cluster.wait.acquire.aligned;" ::: "memory");
}
#else
#define IN_CLUSTER
#endif
#endif

#if CLUSTER == 1  // one block: h is written where it is read, between two barriers of the block
__device__ __forceinline__ unsigned rank_in_cluster() { return 0; }
__device__ __forceinline__ void make(Barrier*) {}
__device__ __forceinline__ void expect(Barrier*, unsigned) {}
__device__ __forceinline__ void wait(Barrier*, unsigned) { block_barrier(); }
__device__ __forceinline__ void cluster_barrier() { block_barrier(); }
template <class V> __device__ __forceinline__ void send(float* p, unsigned, V v, Barrier*) { *(V*)p = v; }
#endif

struct Problem {
  const float *pre, *weight;
  const int *order, *lengths;
  const float* first;
  float *states, *record, *last;
  int texts, time, directions, clusters;  // clusters: of one direction
};

__device__ __forceinline__ float sigmoid(float z) { return __fdividef(1.0f, 1.0f + __expf(-z)); }
__device__ __forceinline__ float tanh_of(float z) { return fmaf(2.0f, sigmoid(2.0f * z), -1.0f); }

// Where column n of text m is in a buffer of h. Four texts stand side by side, so that a thread reads them at once.
__device__ __forceinline__ int h_place(int m, int n) {
  if (TOGETHER == 1) return m * H + n;
  return m / 4 * 4 * H + 4 * ((n / 64 * 4 + n % 4) * PARTS + n / 4 % PARTS) + m % 4;
}

// The sums of N values over the sixteen threads of a unit; each thread gets the one that its `part` names. The pairs
// that are added are the same for every N.
template <int N, int MASK = PARTS / 2> __device__ __forceinline__ float folded(const float* v, int part) {
  if constexpr (MASK == 0) {
    return v[0];
  } else if constexpr (N == 1) {
    const float sum = v[0] + __shfl_xor_sync(EVERYONE, v[0], MASK);
    return folded<1, MASK / 2>(&sum, part);
  } else {
    const bool upper = part & MASK;
    float half[N / 2];
#pragma unroll
    for (int n = 0; n < N / 2; ++n) {
      const float kept = upper ? v[n + N / 2] : v[n], given = upper ? v[n] : v[n + N / 2];
      half[n] = kept + __shfl_xor_sync(EVERYONE, given, MASK);
    }
    return folded<N / 2, MASK / 2>(half, part);
  }
}

// This thread's share of W_hh, GATES x COLUMNS.
__device__ __forceinline__ void load(float* w, const float* weight, int unit, int part) {
#pragma unroll
  for (int g = 0; g < GATES; ++g)
#pragma unroll
    for (int j = 0; j < COLUMNS / 4; ++j)
      *(float4*)(w + g * COLUMNS + 4 * j) = *(const float4*)(weight + ((size_t)unit * GATES + g) * H + 4 * (j * PARTS + part));
}

// GATES x TOGETHER sums of W_hh h over this thread's columns; h: the buffer from text m on.
__device__ __forceinline__ void multiply(float* sum, const float* w, const float* h, int part) {
#pragma unroll
  for (int n = 0; n < GATES * TOGETHER; ++n) sum[n] = 0.0f;
#pragma unroll
  for (int j = 0; j < COLUMNS / 4; ++j) {
    float4 v[4];
    if (TOGETHER == 1) {
      v[0] = ((const float4*)h)[j * PARTS + part];  // four columns of one text
    } else {
#pragma unroll
      for (int k = 0; k < 4; ++k) v[k] = ((const float4*)h)[(4 * j + k) * PARTS + part];  // a column of four texts
    }
#pragma unroll
    for (int k = 0; k < 4; ++k)
#pragma unroll
      for (int g = 0; g < GATES; ++g) {
        const float a = w[g * COLUMNS + 4 * j + k];
        float* s = sum + g * TOGETHER;
        if (TOGETHER == 1) {
          s[0] = fmaf(a, k == 0 ? v[0].x : k == 1 ? v[0].y : k == 2 ? v[0].z : v[0].w, s[0]);
        } else {
          s[0] = fmaf(a, v[k].x, s[0]);
          s[1 % TOGETHER] = fmaf(a, v[k].y, s[1 % TOGETHER]);
          s[2 % TOGETHER] = fmaf(a, v[k].z, s[2 % TOGETHER]);
          s[3 % TOGETHER] = fmaf(a, v[k].w, s[3 % TOGETHER]);
        }
      }
  }
}

extern "C" __global__ void IN_CLUSTER __launch_bounds__(THREADS, 1) recurrence(const Problem p) {
  SHARED(shared);  // two barriers (16 bytes), h [2][room][H], c [room][UNITS], length [count], place [count]
  const int rank = rank_in_cluster(), cluster = blockIdx.x / CLUSTER;
  const int direction = cluster / p.clusters, begin = cluster % p.clusters;  // the texts begin, begin + clusters, ...
  const int count = (p.texts - begin + p.clusters - 1) / p.clusters, room = (count + TOGETHER - 1) / TOGETHER * TOGETHER;
  const int part = threadIdx.x % PARTS, in_slab = threadIdx.x / PARTS, leader = threadIdx.x % 32 - part;
  // Whose sum this thread ends up with, and which thread of the unit has a gate of a text.
  const int gate = GATES == 4 ? part / 4 : 0, text = TOGETHER == 1 ? 0 : GATES == 4 ? part % 4 : part / 4;
  auto lane = [&](int g, int r) { return leader + (GATES == 4 ? 4 * g + r : 4 * r); };
  Barrier* arrived = (Barrier*)shared;
  float *h = shared + 4, *c = h + 2 * room * H;
  int *length = (int*)(c + room * UNITS), *place = length + count;

  for (int n = threadIdx.x; n < count; n += THREADS) {
    place[n] = p.order[begin + n * p.clusters];
    length[n] = p.lengths[place[n]];
  }
  if (threadIdx.x == 0) {
    make(arrived);
    make(arrived + 1);
  }
  block_barrier();
  const size_t plane = (size_t)p.directions * p.texts * p.time * H, state = (size_t)p.directions * p.texts * H;
  auto state_at = [&](int m, int unit) { return ((size_t)direction * p.texts + place[m]) * H + unit; };
  for (int n = threadIdx.x; n < 2 * room * H; n += THREADS) h[n] = 0.0f;
  for (int n = threadIdx.x; n < room * UNITS; n += THREADS) {
    const int m = n / UNITS, unit = rank * UNITS + n % UNITS;
    c[n] = GATES == 4 && p.first && m < count ? p.first[state + state_at(m, unit)] : 0.0f;
  }
  block_barrier();
  if (p.first)
    for (int n = threadIdx.x; n < count * H; n += THREADS) h[h_place(n / H, n % H)] = p.first[state_at(n / H, n % H)];
  const float* weight = p.weight + (size_t)direction * H * GATES * H;
  __align__(16) float w[GATES * COLUMNS];
  if (SLABS == 1) load(w, weight, rank * SLAB + in_slab, part);
  cluster_barrier();

  // Step s of text m in reading order.
  auto timestep = [&](int m, int s) { return direction ? length[m] - 1 - s : s; };
  auto read_ahead = [&](int m, int s, int unit) {
    if (m >= count || s >= length[m]) return 0.0f;
    const size_t row = (size_t)place[m] * p.time + timestep(m, s);
    return __ldcs(p.pre + ((row * p.directions + direction) * H + unit) * GATES + gate);
  };
  const int longest = length[0];
  int active = count;
  float ahead = read_ahead(text, 0, rank * UNITS + in_slab);
  for (int s = 0; s < longest; ++s) {
    while (length[active - 1] <= s) --active;
    const bool more = s + 1 < longest;
    const int groups = (active + TOGETHER - 1) / TOGETHER;
    const float* now = h + (s & 1) * room * H;
    float* next = h + ((s + 1) & 1) * room * H;
    Barrier* barrier = arrived + ((s + 1) & 1);
    if (more && threadIdx.x == 0) expect(barrier, groups * TOGETHER * H * 4);
    for (int slab = 0; slab < SLABS; ++slab) {
      const int own = slab * SLAB + in_slab, unit = rank * UNITS + own;  // in the block, and of all
      if (SLABS > 1) load(w, weight, unit, part);
      for (int m = 0; m < groups * TOGETHER; m += TOGETHER) {
        const float from_x = ahead;
        const bool last_group = m + TOGETHER >= active, last_slab = slab + 1 == SLABS;
        const int next_slab = !last_group ? slab : last_slab ? 0 : slab + 1;
        ahead = read_ahead((last_group ? 0 : m + TOGETHER) + text, last_group && last_slab ? s + 1 : s,
                           rank * UNITS + next_slab * SLAB + in_slab);
        float sum[GATES * TOGETHER];
        multiply(sum, w, now + m * H, part);
        const float z = folded<GATES * TOGETHER>(sum, part) + from_x;
        float value, c_new = 0.0f, h_new;  // value: of this thread's gate
        if (GATES == 4) {
          const float scale = gate == 2 ? 2.0f : 1.0f;  // tanh(z) = 2 sigmoid(2 z) - 1: no branch
          value = fmaf(scale, sigmoid(scale * z), 1.0f - scale);
          const float i = __shfl_sync(EVERYONE, value, lane(0, text)), f = __shfl_sync(EVERYONE, value, lane(1, text));
          const float g = __shfl_sync(EVERYONE, value, lane(2, text)), o = __shfl_sync(EVERYONE, value, lane(3, text));
          c_new = fmaf(f, c[(m + text) * UNITS + own], i * g);
          h_new = o * tanh_of(c_new);
        } else {
          h_new = value = tanh_of(z);
        }
        if (TOGETHER == 1) {
          if (more && part < CLUSTER) send(next + h_place(m, unit), part, h_new, barrier);
        } else {
          const float4 all = {__shfl_sync(EVERYONE, h_new, lane(0, 0)), __shfl_sync(EVERYONE, h_new, lane(0, 1)),
                              __shfl_sync(EVERYONE, h_new, lane(0, 2)), __shfl_sync(EVERYONE, h_new, lane(0, 3))};
          if (more && part < CLUSTER) send(next + h_place(m, unit), part, all, barrier);
        }
        __syncwarp();  // all have read c
        // Several threads may have the same sum: the first of them writes.
        const bool writes = part == lane(gate, text) - leader;
        if (GATES == 4 && writes && gate == 0) c[(m + text) * UNITS + own] = c_new;
        if (writes && m + text < active) {
          const size_t row = (size_t)place[m + text] * p.time + timestep(m + text, s);
          const size_t at = ((size_t)direction * p.texts * p.time + row) * H + unit;
          if (GATES == 4) {
            if (RECORD) __stcs(p.record + gate * plane + at, value);
            if (RECORD && gate == 1) __stcs(p.record + 4 * plane + at, c_new);
            if (RECORD == 2) __stcs(p.record + (5 + gate) * plane + at, z);
            if (gate == 3 && p.last && s + 1 == length[m + text]) p.last[state_at(m + text, unit)] = c_new;
          } else if (RECORD == 2) {
            __stcs(p.record + at, z);
          }
          if (gate == (GATES == 4 ? 2 : 0)) __stcs(p.states + (row * p.directions + direction) * H + unit, h_new);
        }
        __syncwarp();
      }
    }
    if (more) wait(barrier, (s >> 1) & 1);
  }
}
