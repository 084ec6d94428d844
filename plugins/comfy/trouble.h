/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is wrong with a file: the same list feeds claiming, which stops at the worst, and checking, which shows all. */
#pragma once
#include <glib.h>

/* NOTE: its loader will trip, we do not. WARN: worth a line whoever reads it. FATAL: cannot be read */
typedef enum { COMFY_NOTE, COMFY_WARN, COMFY_FATAL } ComfyWeight;

typedef struct {
  ComfyWeight weight;
  char *layer; /* (nullable) */
  const char *code;
  char *message;
} ComfyTrouble;

/* Returns: (transfer full) (element-type ComfyTrouble) */
GPtrArray *comfy_troubles_new (void);
/* @layer: (nullable): the file as a whole */
void comfy_trouble (GPtrArray *troubles, ComfyWeight weight, const char *layer, const char *code, const char *format,
                    ...) G_GNUC_PRINTF (5, 6);
/* Returns: (transfer none) (nullable) */
const ComfyTrouble *comfy_first_fatal (const GPtrArray *troubles);
