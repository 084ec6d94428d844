/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The memory of one task: a block that is handed out from its start, aligned for every kernel. */
#pragma once
#include <glib.h>

#define ARENA_ALIGN 64u

/* @used of @size bytes at @base are handed out */
typedef struct {
  guint8 *base;
  gsize size, used;
} Arena;

static inline gsize
arena_round (gsize n)
{
  return (n + ARENA_ALIGN - 1) & ~(gsize) (ARENA_ALIGN - 1);
}

/* Returns: (transfer none): @n bytes; NULL if the arena has fewer left */
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
