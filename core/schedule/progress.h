/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
#include "qconv.h"

/* Counts bytes from all threads and tells the caller now and then */
typedef struct {
  GMutex lock;
  QconvProgressFunc func;
  gpointer user_data;
  guint64 done, total;
  const char *phase;
  gint64 start, last;
} Progress;

void qconv_progress_init (Progress *p, guint64 total, const char *phase, QconvProgressFunc func, gpointer user_data);
void qconv_progress_clear (Progress *p);
/* @n more bytes of @layer are done */
void qconv_progress_add (Progress *p, guint64 n, const char *layer);
/* Tells the end */
void qconv_progress_finish (Progress *p);
