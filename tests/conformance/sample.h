/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Makes valid files of each container while a conformance test runs. */
#pragma once
#include "qconv.h"

/* Returns a folder for the files of this program, which sample_finish() removes */
const char *sample_folder (void);
void sample_finish (void);

/* Returns: (transfer full) (nullable): path of a small file of container @id, or NULL if no sample is defined for it */
char *sample_make (const char *id);
/* Returns: (transfer full): runs the generator with @arguments, a space between two, and @name in the scratch folder */
char *sample_generate (const char *arguments, const char *name);
/* The generator's arguments for a model of a family, which has biases, norms and all roles of layers */
#define SAMPLE_FAMILY_MODEL                                                                                       \
  "--family flux1 --variant tiny --set depth_double=1 --set depth_single=1 --set hidden=128 --set mlp=512 --set " \
  "mlp1=512"
/* Returns whether the loader of @target knows only models of families, so that a test needs #SAMPLE_FAMILY_MODEL */
gboolean sample_needs_family (const char *target);
/* Returns: (nullable): the layers that a job for @target names with "only", so that it encodes layers which are smaller
   than those that pay; NULL if it encodes none, or those that the family names */
const char *const *sample_only (const char *target);
/* Returns: (nullable): options with which a job for @target takes less time, for tests to which errors do not matter */
const char *const *sample_quick_options (const char *target);
/* Adds the test @prefix + target, with the target's name as data, for each target whose writer fills @container
   (nullable): any. Asserts that there is one */
void sample_add_targets (const char *prefix, GTestDataFunc test, const char *container);
/* Returns: (transfer full): the path of the file called @stem with the suffix that @target gives its files */
char *sample_output (const char *target, const char *stem);
/* Returns whether a target before number @at of the registry writes the same: mixtures differ only for roles, which
   generated layers lack */
gboolean sample_is_like_another (guint at);
/* Returns whether a loaded plugin offers @target */
gboolean sample_has_target (const char *target);
/* Returns: (transfer full) */
GBytes *sample_read (const char *path);
/* Returns: (transfer full): path of the first @n bytes of @whole */
char *sample_write (GBytes *whole, gsize n, const char *name);

/* Calls @func for each loaded plugin. Asserts that there is one */
typedef void (*SampleFunc) (const QconvPlugin *plugin);
void sample_each_plugin (SampleFunc func);
