// Runs recurrence.cu on the CPU, thread by thread: emulate PROBLEM ANSWER, with -DH -DGATES -DRECORD -DTOGETHER -DCLUSTER.
//
// Each CUDA thread is a fiber. A warp runs until all of its threads stand at the same exchange; warps take turns in
// random order, what they send arrives in random order, and they meet at barriers alone: a wait that is missing shows
// as a wrong value, one too many as a deadlock. Every array, shared memory too, is a block of exactly its size, so that
// the address sanitizer sees each access beside one; what is not written stays NaN.
#include <sanitizer/common_interface_defs.h>
#include <ucontext.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <limits>
#include <memory>
#include <random>
#include <vector>

struct alignas(16) float4 {
  float x, y, z, w;
};
struct Index {
  int x;
};
static Index threadIdx, blockIdx;

// 8 bytes, as an mbarrier. pending: whether the phase still wants its `expect`; bytes: on their way, times two, plus
// the phase in the lowest bit.
struct Barrier {
  int pending, bytes;
};
enum Stop { EXCHANGE, BLOCK_BARRIER, CLUSTER_BARRIER, WAIT, DONE };
struct Fiber {
  ucontext_t context;
  std::unique_ptr<char[]> stack;
  int thread = 0, rank = 0, exchanges = 0;
  Stop stop = DONE;
  void* fake_stack = nullptr;
  Barrier* barrier = nullptr;
  unsigned parity = 0;
};
struct Free {
  void operator()(void* p) const { std::free(p); }
};
template <class T> using Exact = std::unique_ptr<T[], Free>;
template <class T> static Exact<T> exact(size_t count) { return Exact<T>((T*)std::malloc(count * sizeof(T))); }

static constexpr int BLOCK = 512, WARP = 32;
static constexpr size_t STACK = 128 << 10;
static Fiber* running;
static ucontext_t scheduler;
static const void* scheduler_stack;
static size_t scheduler_size;
static void* scheduler_fake;
static std::vector<Exact<char>> shared_of;             // by block of the cluster
static std::vector<std::function<void()>> travelling;  // sent, not yet arrived
static std::vector<float> shown;                       // [exchange parity][fiber]

[[noreturn]] static void fail(const char* why) {
  std::puts(why);
  std::fflush(stdout);
  std::_Exit(1);
}
static void stop(Stop why) {
  Fiber* self = running;
  self->stop = why;
  __sanitizer_start_switch_fiber(why == DONE ? nullptr : &self->fake_stack, scheduler_stack, scheduler_size);
  swapcontext(&self->context, &scheduler);
  __sanitizer_finish_switch_fiber(self->fake_stack, &scheduler_stack, &scheduler_size);
}
static float exchange(float v, int lane) {
  Fiber* self = running;
  const int fibers = (int)shown.size() / 2, own = self->rank * BLOCK + self->thread, parity = self->exchanges++ & 1;
  shown[parity * fibers + own] = v;
  stop(EXCHANGE);
  return shown[parity * fibers + own / WARP * WARP + lane];
}
static void settle(Barrier* barrier) {
  if (!barrier->pending && !(barrier->bytes >> 1)) *barrier = {1, (barrier->bytes & 1) ^ 1};
}

// What recurrence.cu takes from CUDA.
#define SHARED(name) float* name = (float*)shared_of.at(running->rank).get()
#define EVERYONE 0
#define IN_CLUSTER
#define __device__
#define __global__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __align__(n) alignas(n)
#define __expf expf
static float __shfl_xor_sync(int, float v, int mask) { return exchange(v, (running->thread % WARP) ^ mask); }
static float __shfl_sync(int, float v, int lane) { return exchange(v, lane); }
static void __syncwarp() { exchange(0, 0); }
static float __ldcs(const float* p) { return *p; }
static void __stcs(float* p, float v) { *p = v; }
static float __fdividef(float a, float b) { return a / b; }
static void block_barrier() { stop(BLOCK_BARRIER); }
#if CLUSTER > 1
static unsigned rank_in_cluster() { return running->rank; }
static void cluster_barrier() { stop(CLUSTER_BARRIER); }
static void make(Barrier* barrier) { *barrier = {1, 0}; }
static void expect(Barrier* barrier, unsigned bytes) {
  if (!barrier->pending) fail("a barrier was armed twice in one phase");
  barrier->pending = 0;
  barrier->bytes += 2 * (int)bytes;
  settle(barrier);
}
static void wait(Barrier* barrier, unsigned parity) {
  running->barrier = barrier;
  running->parity = parity;
  stop(WAIT);
}
template <class T> static T* in_block(unsigned rank, T* p) {
  return (T*)(shared_of.at(rank).get() + ((char*)p - shared_of[running->rank].get()));
}
template <class V> static void send(float* p, unsigned rank, V v, Barrier* barrier) {
  V* to = (V*)in_block(rank, p);
  Barrier* there = in_block(rank, barrier);
  travelling.push_back([=] {
    *to = v;
    there->bytes -= 2 * (int)sizeof(V);
    settle(there);
  });
}
#endif
#include "recurrence.cu"

static Problem problem;
static int cluster_index;
static void body() {
  __sanitizer_finish_switch_fiber(nullptr, &scheduler_stack, &scheduler_size);
  recurrence(problem);
  stop(DONE);
}
static void resume(Fiber& fiber) {
  running = &fiber;
  threadIdx.x = fiber.thread;
  blockIdx.x = cluster_index * CLUSTER + fiber.rank;
  __sanitizer_start_switch_fiber(&scheduler_fake, fiber.stack.get(), STACK);
  swapcontext(&scheduler, &fiber.context);
  __sanitizer_finish_switch_fiber(scheduler_fake, nullptr, nullptr);
}

// Parked warps go on when all of their block, or of the cluster, stand at the barrier.
static void meet(std::vector<int>& parked, std::vector<int>& ready, std::vector<Fiber>& fibers) {
  constexpr int warps = BLOCK / WARP;
  for (int rank = 0; rank < CLUSTER; ++rank)
    for (Stop barrier : {BLOCK_BARRIER, CLUSTER_BARRIER}) {
      std::vector<int> here, others;
      for (int w : parked)
        (fibers[WARP * w].stop == barrier && (barrier == CLUSTER_BARRIER || w / warps == rank) ? here : others).push_back(w);
      if ((int)here.size() < (barrier == CLUSTER_BARRIER ? warps * CLUSTER : warps)) continue;
      ready.insert(ready.end(), here.begin(), here.end());
      parked = others;
    }
}

static void run_cluster(std::mt19937& random, size_t shared_bytes) {
  std::vector<Fiber> fibers(BLOCK * CLUSTER);
  shown.assign(2 * fibers.size(), NAN);
  shared_of.clear();
  for (int rank = 0; rank < CLUSTER; ++rank) {
    shared_of.push_back(exact<char>(shared_bytes));
    for (size_t n = 0; n < shared_bytes / 4; ++n) ((float*)shared_of[rank].get())[n] = NAN;
  }
  for (size_t n = 0; n < fibers.size(); ++n) {
    Fiber& fiber = fibers[n];
    fiber.thread = n % BLOCK;
    fiber.rank = n / BLOCK;
    fiber.stack.reset(new char[STACK]);
    getcontext(&fiber.context);
    fiber.context.uc_stack = {fiber.stack.get(), 0, STACK};
    fiber.context.uc_link = nullptr;
    makecontext(&fiber.context, body, 0);
  }
  const int warps = fibers.size() / WARP;
  std::vector<int> ready(warps), waiting, parked;
  for (int w = 0; w < warps; ++w) ready[w] = w;
  for (int done = 0; done < warps;) {
    if (!travelling.empty() && (ready.empty() || random() % 4 == 0)) {  // one arrives
      std::swap(travelling[random() % travelling.size()], travelling.back());
      auto arrives = std::move(travelling.back());
      travelling.pop_back();
      arrives();
    }
    for (size_t n = 0; n < waiting.size();) {
      Fiber& fiber = fibers[WARP * waiting[n]];
      if ((unsigned)(fiber.barrier->bytes & 1) == fiber.parity) {
        ++n;
        continue;
      }
      ready.push_back(waiting[n]);
      waiting[n] = waiting.back();
      waiting.pop_back();
    }
    meet(parked, ready, fibers);
    if (ready.empty()) {
      if (travelling.empty()) fail("deadlock: warps wait for what nobody sent");
      continue;
    }
    const size_t at = random() % ready.size();
    const int w = ready[at];
    const Fiber& leader = fibers[WARP * w];
    for (int n = 0; n < WARP; ++n) resume(fibers[WARP * w + n]);
    for (int n = 1; n < WARP; ++n) {
      const Fiber& fiber = fibers[WARP * w + n];
      if (fiber.stop != leader.stop || fiber.exchanges != leader.exchanges || fiber.barrier != leader.barrier)
        fail("a warp diverged at an exchange");
    }
    if (leader.stop == EXCHANGE) continue;
    ready[at] = ready.back();
    ready.pop_back();
    if (leader.stop == DONE) ++done;
    else (leader.stop == WAIT ? waiting : parked).push_back(w);
  }
  if (!travelling.empty()) fail("a block returned while something was on its way to it");
}

template <class T> static Exact<T> read(FILE* file, size_t count) {
  Exact<T> values = exact<T>(count);
  if (std::fread(values.get(), sizeof(T), count, file) != count) fail("the problem's file is too short");
  return values;
}

int main(int, char** arguments) {
  FILE* file = std::fopen(arguments[1], "rb");
  const Exact<int> head = read<int>(file, 7);
  const int texts = head[0], time = head[1], directions = head[2], clusters = head[3];
  const size_t steps = (size_t)texts * time * directions * H, states = (size_t)texts * directions * H;
  constexpr int tensors = GATES == 4 ? (RECORD == 0 ? 0 : RECORD == 1 ? 5 : 9) : RECORD == 2;
  const Exact<float> pre = read<float>(file, steps * GATES), weight = read<float>(file, (size_t)directions * H * GATES * H);
  const Exact<int> order = read<int>(file, texts), lengths = read<int>(file, texts);
  const size_t firsts = head[4] ? states * (GATES == 4 ? 2 : 1) : 0, lasts = head[5] ? states : 0;
  const Exact<float> first = read<float>(file, firsts);
  const Exact<float> out = exact<float>(steps), record = exact<float>(tensors * steps), last = exact<float>(lasts);
  for (size_t n = 0; n < steps; ++n) out[n] = NAN;
  for (size_t n = 0; n < tensors * steps; ++n) record[n] = NAN;
  for (size_t n = 0; n < lasts; ++n) last[n] = NAN;
  problem = {pre.get(), weight.get(), order.get(), lengths.get(), firsts ? first.get() : nullptr,
             out.get(), record.get(), lasts ? last.get() : nullptr, texts, time, directions, clusters};
  std::mt19937 random(head[6]);
  for (cluster_index = 0; cluster_index < clusters * directions; ++cluster_index) {
    const int begin = cluster_index % clusters, count = (texts - begin + clusters - 1) / clusters;
    const int room = (count + TOGETHER - 1) / TOGETHER * TOGETHER;
    run_cluster(random, 16 + 4 * (size_t)(2 * room * H + room * UNITS + 2 * count));  // as models/runtime/cuda launches it
  }
  FILE* answers = std::fopen(arguments[2], "wb");
  std::fwrite(out.get(), 4, steps, answers);
  std::fwrite(record.get(), 4, tensors * steps, answers);
  std::fwrite(last.get(), 4, lasts, answers);
  std::fclose(answers);
  std::fclose(file);
  return 0;
}
