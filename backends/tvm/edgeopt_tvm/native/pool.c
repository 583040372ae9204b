/* Threads, and what compiled kernels call: TVMBackend... and TVMFFIErrorSet....
 *
 * A network is a hundred short loops, so handing one over has to be cheap. Each worker has a word of
 * its own that the caller bumps; it watches the word for a while before it goes to sleep on it
 * (futex), so within a run it is found awake. Each thread begins with its own part of the loop, which
 * it had of the last one too (its cache knows the neighbourhood), then takes what others have not
 * begun: a thread that has no core, or a slow one, holds nobody up. */
#define _GNU_SOURCE
#include "pool.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#if !defined(SYS_futex) && defined(SYS_futex_time64)
#define SYS_futex SYS_futex_time64
#endif

enum { LINE = 128, SPACES = 8, STACK_BYTES = 2 << 20, MESSAGE_BYTES = 1024 };
enum { PIECES = 4 }; /* tasks a thread that a loop is cut into, so that a free one can help */
enum { ALONE_NS = 4000, WORKER_SPIN_NS = 200000, CALLER_SPIN_NS = 100000, LOOKS = 64 };

/* Scratch memory of a thread, kept for the next kernel. */
struct space {
  void *memory;
  size_t bytes;
  int used;
};

struct worker {
  _Alignas(LINE) _Atomic uint32_t ticket; /* bumped by the caller: there is work */
  _Atomic uint32_t asleep;
  struct pool *pool;
  int index, inside; /* inside: it runs a task now */
  /* Its tasks of the loop at hand: which loop it is (32 bits), the next task, the end (16 each). */
  _Alignas(LINE) _Atomic uint64_t claims;
  pthread_t thread;
  struct space spaces[SPACES];
};

struct pool {
  _Alignas(LINE) _Atomic uint32_t pending; /* tasks that are not done */
  _Atomic uint32_t asleep;                 /* the caller sleeps on `pending` */
  _Alignas(LINE) task run;                 /* the loop at hand */
  void *data;
  int32_t tasks;
  uint32_t loop; /* counts loops */
  _Atomic int32_t failed;
  _Atomic int quit;
  _Atomic int said;
  char message[MESSAGE_BYTES];
  int count;
  struct worker *workers; /* the caller's own is the first */
  cpu_set_t cores;        /* where threads may run */
  int caller_core;        /* where workers may not; -1: they may run anywhere */
  int spread;             /* whether there is a core for each thread */
};

static _Thread_local struct worker *self;

static void relax(void) {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__) || defined(__arm__)
  __asm__ volatile("yield" ::: "memory");
#elif defined(__riscv)
  __asm__ volatile(".insn i 0x0F, 0, x0, x0, 0x010" ::: "memory"); /* pause */
#else
  __asm__ volatile("" ::: "memory");
#endif
}

static int64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void futex_sleep(_Atomic uint32_t *word, uint32_t seen) {
  syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
}

static void futex_wake(_Atomic uint32_t *word) {
  syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

/* Returns the word's new value once it is no longer `seen`. It only looks at first, then lets other
 * threads run in between (who should change it may have no core), and sleeps after `spin_ns`. */
static uint32_t wait_change(_Atomic uint32_t *word, _Atomic uint32_t *asleep, uint32_t seen,
                            int64_t spin_ns) {
  uint32_t value;
  int64_t begun = 0;
  for (;;) {
    for (int i = 0; i < LOOKS; i++) {
      value = atomic_load_explicit(word, memory_order_acquire);
      if (value != seen) return value;
      relax();
    }
    int64_t now = now_ns();
    if (begun == 0) begun = now;
    if (now - begun < spin_ns) {
      if (now - begun > ALONE_NS) sched_yield();
      continue;
    }
    atomic_store(asleep, 1);
    while ((value = atomic_load(word)) == seen) futex_sleep(word, seen);
    atomic_store(asleep, 0);
    return value;
  }
}

/* Returns the next task of loop `loop` that `owner` was given, or -1: none is left, or it is over.
 * A task that was claimed keeps its loop from ending, so what it needs stays as it is. */
static int32_t claim(struct worker *owner, uint32_t loop) {
  uint64_t seen = atomic_load_explicit(&owner->claims, memory_order_acquire);
  for (;;) {
    uint32_t next = (uint32_t)seen >> 16, end = (uint32_t)seen & 0xffff;
    if ((uint32_t)(seen >> 32) != loop || next >= end) return -1;
    if (atomic_compare_exchange_weak(&owner->claims, &seen, seen + 0x10000)) return (int32_t)next;
  }
}

/* Runs the tasks that `worker` was given, then what others have not begun. */
static void do_share(struct worker *worker) {
  struct pool *pool = worker->pool;
  uint32_t loop = (uint32_t)(atomic_load(&worker->claims) >> 32);
  worker->inside = 1;
  for (int i = 0; i < pool->count; i++) {
    struct worker *owner = &pool->workers[(worker->index + i) % pool->count];
    for (int32_t mine; (mine = claim(owner, loop)) >= 0;) {
      struct group group = {pool, pool->tasks};
      if (pool->run(mine, &group, pool->data) != 0) atomic_store(&pool->failed, 1);
      if (atomic_fetch_sub(&pool->pending, 1) == 1 && atomic_load(&pool->asleep))
        futex_wake(&pool->pending);
    }
  }
  worker->inside = 0;
}

static void *work(void *argument) {
  struct worker *worker = argument;
  self = worker;
  for (uint32_t seen = 0;;) {
    seen = wait_change(&worker->ticket, &worker->asleep, seen, WORKER_SPIN_NS);
    if (worker->pool->quit) return NULL;
    do_share(worker);
  }
}

static void post(struct worker *worker) {
  atomic_fetch_add(&worker->ticket, 1);
  if (atomic_load(&worker->asleep)) futex_wake(&worker->ticket);
}

struct pool *pool_create(int threads) {
  struct pool *pool = NULL;
  if (posix_memalign((void **)&pool, LINE, sizeof *pool)) return NULL;
  memset(pool, 0, sizeof *pool);
  if (posix_memalign((void **)&pool->workers, LINE, (size_t)threads * sizeof *pool->workers)) {
    free(pool);
    return NULL;
  }
  memset(pool->workers, 0, (size_t)threads * sizeof *pool->workers);
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, STACK_BYTES);
  int failed = 0;
  for (pool->count = 0; pool->count < threads && !failed;) {
    struct worker *worker = &pool->workers[pool->count];
    worker->pool = pool;
    worker->index = pool->count;
    if (worker->index) failed = pthread_create(&worker->thread, &attributes, work, worker);
    pool->count += !failed;
  }
  pthread_attr_destroy(&attributes);
  pool->caller_core = -1;
  pool->spread = threads > 1 && sched_getaffinity(0, sizeof pool->cores, &pool->cores) == 0 &&
                 threads <= CPU_COUNT(&pool->cores);
  if (!failed) return pool;
  pool_destroy(pool);
  errno = failed;
  return NULL;
}

void pool_destroy(struct pool *pool) {
  pool->quit = 1;
  for (int i = 1; i < pool->count; i++) {
    post(&pool->workers[i]);
    pthread_join(pool->workers[i].thread, NULL);
  }
  for (int i = 0; i < pool->count; i++)
    for (int j = 0; j < SPACES; j++) free(pool->workers[i].spaces[j].memory);
  free(pool->workers);
  free(pool);
}

int pool_threads(const struct pool *pool) { return pool->count; }

/* Keeps workers off the caller's core. On a busy machine the system may leave two threads on one core;
 * every loop then waits for the one to be taken off and the other put on. */
static void spread(struct pool *pool) {
  int core = sched_getcpu();
  if (core < 0 || core >= CPU_SETSIZE || core == pool->caller_core) return;
  cpu_set_t others = pool->cores;
  CPU_CLR(core, &others);
  for (int i = 1; i < pool->count; i++)
    pthread_setaffinity_np(pool->workers[i].thread, sizeof others, &others);
  pool->caller_core = core;
}

void pool_enter(struct pool *pool) {
  self = pool ? &pool->workers[0] : NULL;
  if (pool && pool->spread) spread(pool);
}

const char *pool_message(const struct pool *pool) { return pool->message; }

void pool_clear(struct pool *pool) {
  pool->message[0] = 0;
  atomic_store(&pool->said, 0);
}

/* --- what kernels call ------------------------------------------------------------------------ */

/* Runs all tasks here: there is one thread, or this is a loop within a task. */
static int run_alone(task run, void *data, int32_t tasks) {
  struct group group = {NULL, tasks};
  int failed = 0;
  for (int32_t i = 0; i < tasks; i++) failed |= run(i, &group, data);
  return failed ? -1 : 0;
}

int TVMBackendParallelLaunch(task run, void *data, int32_t tasks) {
  struct pool *pool = self ? self->pool : NULL;
  if (!pool || pool->count == 1 || self->inside) return run_alone(run, data, tasks ? tasks : 1);
  int32_t pieces = tasks ? tasks : pool->count * PIECES;
  if (pieces > 0xffff) return run_alone(run, data, tasks);
  pool->run = run;
  pool->data = data;
  pool->tasks = pieces;
  pool->loop++;
  atomic_store_explicit(&pool->failed, 0, memory_order_relaxed);
  atomic_store_explicit(&pool->pending, (uint32_t)pieces, memory_order_relaxed);
  for (int i = 0; i < pool->count; i++) {
    uint64_t first = (uint64_t)pieces * i / pool->count, end = (uint64_t)pieces * (i + 1) / pool->count;
    atomic_store(&pool->workers[i].claims, (uint64_t)pool->loop << 32 | first << 16 | end);
  }
  for (int i = 1; i < pool->count && i < pieces; i++) post(&pool->workers[i]);
  do_share(self);
  for (uint32_t left; (left = atomic_load_explicit(&pool->pending, memory_order_acquire));)
    wait_change(&pool->pending, &pool->asleep, left, CALLER_SPIN_NS);
  return atomic_load_explicit(&pool->failed, memory_order_relaxed) ? -1 : 0;
}

/* Tasks of a loop are not all run at once, so none can wait for the others; no schedule of ours
 * makes loops that want it. */
int TVMBackendParallelBarrier(int index, struct group *group) {
  (void)index;
  return group->tasks == 1 ? 0 : -1;
}

void *TVMBackendAllocWorkspace(int device, int id, uint64_t bytes, int code, int bits) {
  (void)device, (void)id, (void)code, (void)bits;
  if (!self || bytes > SIZE_MAX - LINE) return NULL;
  struct space *chosen = NULL;
  for (int i = 0; i < SPACES; i++) { /* one that is large enough, else any that is free */
    struct space *space = &self->spaces[i];
    if (space->used) continue;
    if (!chosen || (chosen->bytes < bytes && space->bytes >= bytes)) chosen = space;
  }
  if (!chosen) return NULL;
  if (chosen->bytes < bytes) {
    free(chosen->memory);
    chosen->bytes = 0;
    chosen->memory = NULL;
    if (posix_memalign(&chosen->memory, LINE, (size_t)bytes)) return NULL;
    chosen->bytes = (size_t)bytes;
  }
  chosen->used = 1;
  return chosen->memory;
}

int TVMBackendFreeWorkspace(int device, int id, void *memory) {
  (void)device, (void)id;
  for (int i = 0; self && i < SPACES; i++)
    if (self->spaces[i].memory == memory && self->spaces[i].used) {
      self->spaces[i].used = 0;
      return 0;
    }
  return -1;
}

void TVMFFIErrorSetRaisedFromCStrParts(const char *kind, const char **parts, int32_t count) {
  struct pool *pool = self ? self->pool : NULL;
  if (!pool || atomic_exchange(&pool->said, 1)) return;
  size_t length = 0;
  for (int32_t i = -2; i < count; i++) {
    const char *part = i == -2 ? kind : i == -1 ? ": " : parts[i];
    if (!part) continue;
    size_t more = strlen(part), room = MESSAGE_BYTES - 1 - length;
    if (more > room) more = room;
    memcpy(pool->message + length, part, more);
    length += more;
  }
  pool->message[length] = 0;
}

void TVMFFIErrorSetRaisedFromCStr(const char *kind, const char *message) {
  TVMFFIErrorSetRaisedFromCStrParts(kind, &message, 1);
}

/* Kernels call through these words; the empty ones that they bring along give way to these. */
void *__TVMBackendParallelLaunch = (void *)TVMBackendParallelLaunch;
void *__TVMBackendParallelBarrier = (void *)TVMBackendParallelBarrier;
void *__TVMBackendAllocWorkspace = (void *)TVMBackendAllocWorkspace;
void *__TVMBackendFreeWorkspace = (void *)TVMBackendFreeWorkspace;
