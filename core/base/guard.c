/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Places guard zones and finds the damaged ones. Programs turn them on by qconv_guard_buffers(). */
#include "base/guard.h"

#include <string.h>

#include "qconv.h"

/* A multiple of the alignment of arenas */
#define ZONE 64u
#define PATTERN 0xdb

/* @n, @room: of the buffer behind the zone */
typedef struct {
  guint64 n, room;
  guint8 pattern[ZONE - 16];
} Zone;
G_STATIC_ASSERT (sizeof (Zone) == ZONE);

static struct {
  gboolean on;
  guint8 fill;
} guard = {
#ifdef NDEBUG
  FALSE,
#else
  TRUE,
#endif
  0xa5,
};

void
qconv_guard_buffers (gboolean on, guint8 fill)
{
  guard.on = on;
  guard.fill = fill;
}

gsize
qconv_guard_zone (void)
{
  return guard.on ? ZONE : 0;
}

void *
qconv_guard_place (guint8 *place, gsize n, gsize room)
{
  Zone before = { n, room, { 0 } };

  memset (before.pattern, PATTERN, sizeof before.pattern);
  memcpy (place, &before, ZONE);
  memset (place + ZONE, guard.fill, n);
  memset (place + ZONE + n, PATTERN, room - ZONE - n);
  return place + ZONE;
}

static gboolean
is_pattern (const guint8 *bytes, gsize n)
{
  for (gsize i = 0; i < n; i++)
    if (bytes[i] != PATTERN)
      return FALSE;
  return TRUE;
}

gboolean
qconv_guard_intact (const guint8 *place, gsize *room)
{
  Zone before;

  memcpy (&before, place, ZONE);
  *room = 0;
  if (!is_pattern (before.pattern, sizeof before.pattern))
    return FALSE;
  *room = before.room;
  return is_pattern (place + ZONE + before.n, before.room - ZONE - before.n);
}
