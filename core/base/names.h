/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names of tensors and layers: their order in lists, and the ".weight" at the end of a tensor's name. */
#pragma once
#include <glib.h>

/* Compares two entries of an array of strings, for g_ptr_array_sort() and qsort() */
gint qconv_compare_strings (gconstpointer a, gconstpointer b);
/* Returns: (transfer full): the first of @names (element-type utf8) for a message: "a, b, c, …" */
char *qconv_first_names (const GPtrArray *names);
/* Returns whether a tensor called @name is the weight of a layer: "blocks.0.attn.q.weight" */
gboolean qconv_is_weight_name (const char *name);
/* Returns: (transfer full): the name of the layer whose weight is called @name: "blocks.0.attn.q"; a copy of @name if
   it does not end in ".weight" */
char *qconv_weight_stem (const char *name);
/* Returns: (transfer full): the name of the weight of @layer: @layer and ".weight" */
char *qconv_weight_name (const char *layer);
/* Returns: (transfer full): the name of the bias that belongs to the weight called @weight: "blocks.0.attn.q.bias" */
char *qconv_bias_name (const char *weight);
