/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Places guard zones and finds the damaged ones. Programs turn them on by qconv_guard_buffers(). */
#include "base/guard.h"

#include <string.h>

#include "qconv.h"

/* A multiple of the alignment of arenas */
#define ZONE 64u
#define PATTERN 0xdb

/* @n, @room: of the buffer behind the zone; @check: of both, so that numbers which a hook overwrote are not believed */
typedef struct {
  guint64 n, room, check;
  guint8 pattern[ZONE - 24];
} Zone;
G_STATIC_ASSERT (sizeof (Zone) == ZONE);

#ifdef NDEBUG
#define DEFAULT FALSE
#else
#define DEFAULT TRUE
#endif

static struct {
  gsize ready;
  gboolean on;
  guint8 fill;
} guard = { 0, DEFAULT, 0xa5 };

/* Reads QCONV_GUARD, unless the program has decided already */
static void
guard_init (void)
{
  const char *set;

  if (!g_once_init_enter (&guard.ready))
    return;
  set = g_getenv ("QCONV_GUARD");
  if (set != NULL)
    guard.on = g_str_equal (set, "1");
  g_once_init_leave (&guard.ready, 1);
}

void
qconv_guard_buffers (gboolean on, guint8 fill)
{
  guard_init ();
  guard.on = on;
  guard.fill = fill;
}

gsize
qconv_guard_zone (void)
{
  guard_init ();
  return guard.on ? ZONE : 0;
}

static guint64
check_of (guint64 n, guint64 room)
{
  return ~(n * 0x9e3779b97f4a7c15 ^ room);
}

void *
qconv_guard_place (guint8 *place, gsize n, gsize room)
{
  Zone before = { n, room, check_of (n, room), { 0 } };

  memset (before.pattern, PATTERN, sizeof before.pattern);
  memcpy (place, &before, ZONE);
  memset (place + ZONE, guard.fill, n);
  memset (place + ZONE + n, PATTERN, room - ZONE - n);
  return place + ZONE;
}

/* @n: at least 1. Equal to itself one byte further: memcmp() looks at many bytes at a time */
static gboolean
is_pattern (const guint8 *bytes, gsize n)
{
  return bytes[0] == PATTERN && memcmp (bytes, bytes + 1, n - 1) == 0;
}

gboolean
qconv_guard_intact (const guint8 *place, gsize *room)
{
  Zone before;

  memcpy (&before, place, ZONE);
  *room = 0;
  if (before.check != check_of (before.n, before.room) || !is_pattern (before.pattern, sizeof before.pattern))
    return FALSE;
  *room = before.room;
  return is_pattern (place + ZONE + before.n, before.room - ZONE - before.n);
}
