/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Scales without a marker. The reader looks for them for its score, and after it has claimed the marked layers. */
#pragma once
#include "marker.h"

/**
 * ComfyRest: the tensors that are left after the marked layers are claimed.
 *
 * @options: of the reader
 * @old_too: the older form counts, too
 */
typedef struct {
  const QconvDirectory *directory;
  const ComfyMarkers *markers;
  const QconvValues *options;
  gboolean old_too;
  QconvClaims *claims;
  GPtrArray *troubles;
} ComfyRest;

/* Returns whether @scale belongs to codes that cannot be read without it. */
gboolean comfy_has_scaled (const QconvDirectory *d, const QconvTensor *scale);
/* Returns whether @scale may belong to a weight that needs none. */
gboolean comfy_is_orphan (const QconvDirectory *d, const QconvTensor *scale);
/* Claims codes that have a scale and are in no layer yet. */
void comfy_claim_scaled (const ComfyRest *r);
/* Drops scales that belong to nothing: the weight is not claimed, its format has no such scale, or there is no
   weight. */
void comfy_drop_orphans (const ComfyRest *r);
/* Adds a trouble for each scale that no loader will apply. */
void comfy_check_scaled (const QconvDirectory *d, const ComfyMarkers *markers, GPtrArray *troubles);
