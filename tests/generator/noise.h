/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Makes normally distributed numbers for model-file.c. They depend only on seed, tensor name and index, so that any
   stretch can be made alone. */
#pragma once
#include <glib.h>

guint64 noise_key (guint64 seed, const char *name);
/* Makes items [first, first + n) of the sequence of @key */
void noise_fill (guint64 key, guint64 first, gsize n, float mean, float deviation, float *out);
