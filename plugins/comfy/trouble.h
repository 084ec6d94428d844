/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The problems of a file. claim() stops at the first fatal trouble; check() lists all. */
#pragma once
#include <glib.h>

/* NOTE: only ComfyUI has a problem. WARN: claim() warns, too. FATAL: the layer cannot be read */
typedef enum { COMFY_NOTE, COMFY_WARN, COMFY_FATAL } ComfyWeight;

/**
 * ComfyTrouble: one problem.
 *
 * @layer: (nullable): NULL: the file as a whole
 * @code: as in qconv_problems_add()
 */
typedef struct {
  ComfyWeight weight;
  char *layer;
  const char *code;
  char *message;
} ComfyTrouble;

/* Returns: (transfer full) (element-type ComfyTrouble): an empty list. */
GPtrArray *comfy_troubles_new (void);
/* Adds a trouble. @layer: (nullable): NULL: the file as a whole; @code: a literal */
void comfy_trouble (GPtrArray *troubles, ComfyWeight weight, const char *layer, const char *code, const char *format,
                    ...) G_GNUC_PRINTF (5, 6);
/* Returns: (transfer none) (nullable): the first fatal trouble. */
const ComfyTrouble *comfy_first_fatal (const GPtrArray *troubles);
