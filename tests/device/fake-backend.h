/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The controls of the backend "fake", which fake-backend.c makes a module of. Tests find them by their symbol. */
#pragma once
#include <glib.h>

#define FAKE_MOST_OPS 128

/* The functions of a backend that can fail */
typedef enum {
  FAKE_OPEN,
  FAKE_ALLOC,
  FAKE_ALLOC_HOST,
  FAKE_STREAM_NEW,
  FAKE_COPY_IN,
  FAKE_COPY_OUT,
  FAKE_RUN,
  FAKE_SYNC,
  FAKE_N_CALLS
} FakeCall;

/**
 * FakeControl: the symbol "fake_control".
 *
 * @fail: the call that fails with @code, if @fail_at is not 0: the one with this number, from 1 on; all calls behind it
 *   fail, too, as those of a device that is gone, unless @once
 * @calls: that were made
 * @runs: of each operation, by its place in the table
 * @n_memory, @n_pinned, @n_streams, @n_devices: what is held
 * @held, @most: bytes of memory that are held, and that were held at a time
 */
typedef struct {
  FakeCall fail;
  guint fail_at;
  gboolean once;
  int code;
  guint calls[FAKE_N_CALLS], runs[FAKE_MOST_OPS];
  guint n_memory, n_pinned, n_streams, n_devices;
  guint64 held, most;
} FakeControl;
