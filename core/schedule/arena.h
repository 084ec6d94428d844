/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The memory of one task: a block that is handed out from its start, aligned for every kernel. */
#pragma once
#include "base/guard.h"

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

/* Returns the bytes that arena_take() of @n bytes takes */
static inline gsize
arena_cost (gsize n)
{
  return arena_round (MAX (n, 1)) + 2 * qconv_guard_zone ();
}

/* Returns: (transfer none): @n bytes; NULL if the arena has fewer left */
static inline void *
arena_take (Arena *a, gsize n)
{
  gsize cost = arena_cost (n);
  guint8 *p = a->base + a->used;

  if (n > a->size - a->used || cost > a->size - a->used) /* the cost of almost 2^64 bytes is small */
    return NULL;
  a->used += cost;
  return qconv_guard_zone () > 0 ? qconv_guard_place (p, n, cost) : p;
}

/* Returns whether nobody wrote beyond a buffer of @a */
static inline gboolean
arena_intact (const Arena *a)
{
  for (gsize at = 0, room = 0; qconv_guard_zone () > 0 && at < a->used; at += room)
    if (!qconv_guard_intact (a->base + at, &room))
      return FALSE;
  return TRUE;
}
