/* Layers one behind the other by stripes of rows: of what lies between them only the rows that are still read are kept.
 *
 * A stripe of the last layer's output is made of the rows that it needs of the layer before, and so on to
 * the input. Rows that the next stripe reads again move to the front; none is computed twice.
 */
#ifndef EDGEOPT_STRIPES_H
#define EDGEOPT_STRIPES_H

#include <stddef.h>

#include "edgeopt_weighted.h"

#define EDGEOPT_MOST_LAYERS 16

typedef struct {
  void (*run)(const edgeopt_weighted *p, const int8_t *input, int8_t *output, void *scratch);
  const edgeopt_weighted *p; /* one sample */
  uint32_t rows;             /* where the rows of its output lie in scratch, but for the last */
} edgeopt_layer;

typedef struct {
  const edgeopt_layer *layers;
  int32_t count;
  int32_t stripe; /* rows of the last output at a time */
  int32_t own;    /* where the kernels' own scratch lies in scratch */
} edgeopt_stripes;

/* Which rows of an output are held, and behind which none was made. */
typedef struct {
  int32_t first, end;
} edgeopt_rows;

static inline int32_t edgeopt_within(int32_t row, int32_t height) { return row < 0 ? 0 : row > height ? height : row; }

/* The first row that a layer reads for its output's row. */
static inline int32_t edgeopt_first_row(const edgeopt_weighted *p, int32_t row) { return row * p->stride_y - p->top; }

/* Behind the last row that it reads for the output's rows before `end`. */
static inline int32_t edgeopt_end_row(const edgeopt_weighted *p, int32_t end) {
  const int32_t reach = (p->kernel_height - 1) * p->dilation_y + 1;
  return edgeopt_within(edgeopt_first_row(p, end - 1) + reach, p->in_height);
}

/* Moves bytes to the front, words where rows are whole ones. */
static inline void edgeopt_move(int8_t *to, const int8_t *from, int32_t count) {
  typedef uint32_t __attribute__((may_alias)) word;
  if (to == from) return;
  if ((((uintptr_t)to | (uintptr_t)from) & 3u) == 0) {
    for (; count >= 4; count -= 4, to += 4, from += 4) {
      *(word *)to = *(const word *)from;
      __asm__ volatile(""); /* or compilers make a call of it */
    }
  }
  for (; count > 0; --count) {
    *to++ = *from++;
    __asm__ volatile("");
  }
}

/* Drops the rows of a layer's output that the next layer, whose own rows are made up to `next_end`, does not read. */
static inline void edgeopt_drop_rows(const edgeopt_weighted *p, const edgeopt_weighted *next, int32_t next_end,
                                     edgeopt_rows *held, int8_t *rows) {
  const int32_t pitch = p->out_width * p->out_channels;
  const int32_t first = edgeopt_within(edgeopt_first_row(next, next_end), held->end);
  edgeopt_move(rows, rows + (first - held->first) * pitch, (held->end - first) * pitch);
  held->first = first;
}

static inline void edgeopt_run_stripes(const edgeopt_stripes *s, const int8_t *input, int8_t *output, void *scratch) {
  edgeopt_rows held[EDGEOPT_MOST_LAYERS];
  int32_t needed[EDGEOPT_MOST_LAYERS];
  const int32_t last = s->count - 1, height = s->layers[last].p->out_height;
  for (int32_t k = 0; k <= last; ++k) held[k].first = held[k].end = 0;
  while (held[last].end < height) {
    needed[last] = edgeopt_within(held[last].end + s->stripe, height);
    for (int32_t k = last; k > 0; --k) needed[k - 1] = edgeopt_end_row(s->layers[k].p, needed[k]);
    for (int32_t k = 0; k <= last; ++k) {
      const edgeopt_layer *const layer = s->layers + k;
      edgeopt_weighted part = *layer->p;
      const int32_t from = held[k].end;
      const int32_t in_pitch = part.in_width * part.in_channels, out_pitch = part.out_width * part.out_channels;
      int8_t *const rows = (int8_t *)scratch + layer->rows;
      if (k < last) edgeopt_drop_rows(layer->p, layer[1].p, held[k + 1].end, held + k, rows);
      if (needed[k] <= from) continue;
      const int32_t first = edgeopt_within(edgeopt_first_row(layer->p, from), part.in_height);
      part.top = first - edgeopt_first_row(layer->p, from);
      part.in_height = edgeopt_end_row(layer->p, needed[k]) - first;
      part.out_height = needed[k] - from;
      const int8_t *x = input + first * in_pitch;
      if (k) x = (int8_t *)scratch + layer[-1].rows + (first - held[k - 1].first) * in_pitch;
      int8_t *const y = k < last ? rows + (from - held[k].first) * out_pitch : output + from * out_pitch;
      held[k].end = needed[k];
      layer->run(&part, x, y, (int8_t *)scratch + s->own);
    }
  }
}

#endif
