/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Conversions on the processor and on the backend "fake", for test-device.c. */
#pragma once
#include "fake-backend.h"
#include "qconv.h"

extern FakeControl *fake;
extern char *layers, *family, *blocks; /* models to convert */
extern const char *const *odd_only;    /* (nullable): the layers that a conversion encodes, and no others */
extern const char *const *merged;      /* (nullable): the LoRA files that a conversion merges */

/* What a conversion gave: @bytes (nullable), its warnings, and its error */
typedef struct {
  GBytes *bytes;
  GPtrArray *warnings;
  GError *error;
} Result;

/* How to convert; @device_memory, @n_threads: 0: the default; @options: (nullable): NULL: those of the sample */
typedef struct {
  const char *device;
  guint64 device_memory;
  guint n_threads;
  const char *const *options;
} Way;

void clear_result (Result *r);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Result, clear_result)
/* Returns: (transfer none): the model that is converted to @target */
const char *input_of (const char *target);
/* Returns: (transfer full): a path for what is made of @input */
char *output_of (const char *target, const char *input);
/* Returns: (transfer full): a LoRA file for the model @family, of deltas that a device adds, or, if @host, of some that
   only the host adds, to the same layers */
char *make_lora (gboolean host);
Result convert (const char *input, const char *target, const Way *way);
/* Forgets all calls, and lets none fail */
void reset_fake (void);
/* Returns how often the device ran operation @name */
guint count_runs (const char *name);
void assert_same (const Result *got, const Result *want);
