/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Memory of one task: one block, cut from its start, aligned for every kernel. */
#pragma once
#include <glib.h>

#define ARENA_ALIGN 64u

typedef struct {
  guint8 *base;
  gsize size, used;
} Arena;

static inline gsize
arena_round (gsize n)
{
  return (n + ARENA_ALIGN - 1) & ~(gsize) (ARENA_ALIGN - 1);
}

/* Returns: (transfer none) (nullable): @n bytes; NULL where more is asked for than was planned */
static inline void *
arena_take (Arena *a, gsize n)
{
  gsize rounded = arena_round (MAX (n, 1));
  void *p = a->base + a->used;

  if (rounded > a->size - a->used)
    return NULL;
  a->used += rounded;
  return p;
}
