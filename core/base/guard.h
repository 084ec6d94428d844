/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Guard zones around the buffers that plugins get. Arenas place them, layer/hooks.c looks at them after every hook. */
#pragma once
#include <glib.h>

/* Returns the bytes of the zone before and of the zone behind each buffer: 0 if buffers are not guarded */
gsize qconv_guard_zone (void);
/* Puts zones around @n bytes at @place + zone, and fills these bytes, so that bytes which a hook leaves unset can
   be seen. @room: bytes at @place, both zones included. Returns: (transfer none): the buffer */
void *qconv_guard_place (guint8 *place, gsize n, gsize room);
/* Returns whether the zones of the @room bytes at @place are as qconv_guard_place() left them. *room: of the buffer at
   @place; 0 if the zone before it was overwritten */
gboolean qconv_guard_intact (const guint8 *place, gsize *room);
