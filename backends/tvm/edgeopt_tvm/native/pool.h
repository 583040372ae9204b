/* Threads that share out the tasks of one parallel loop after another. */
#ifndef EDGEOPT_POOL_H
#define EDGEOPT_POOL_H

#include <stdint.h>

enum { MOST_THREADS = 256 };

struct pool;

/* What a task is told of its loop, as compiled kernels expect it. */
struct group {
  void *barrier;
  int32_t tasks;
};

typedef int (*task)(int index, struct group *group, void *data);

/* Returns a pool of `threads` threads, the caller's included; NULL where the system gives none. */
struct pool *pool_create(int threads);
void pool_destroy(struct pool *pool);
int pool_threads(const struct pool *pool);

/* Makes `pool` this thread's: kernels that it calls use it. NULL: none any more. */
void pool_enter(struct pool *pool);

/* What went wrong in a task or kernel: the first message since the last `pool_clear`, or "". */
const char *pool_message(const struct pool *pool);
void pool_clear(struct pool *pool);

#endif
