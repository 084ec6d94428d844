/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Derives the name of the output if the user gives none. The plan calls it. */
#pragma once
#include "qconv.h"

/* Returns: (transfer full): STEM-TARGET.SUFFIX beside @input, a file or a folder as the user spelled it. STEM is its
   name without the extension, the number of the shard and the target of an earlier conversion:
   "dir/flux1-dev-Q8_0.gguf" becomes "dir/flux1-dev-nvfp4-comfy.safetensors". For the folder "." and for inputs in a
   download cache, the name is in the current folder.
   @values: (nullable): the options of the target's scheme, for targets with a pattern for names; NULL: as without it */
char *qconv_output_name (const QconvTargetInfo *t, const QconvValues *values, const char *input);
/* Returns whether @path, its links followed, lies in a download cache that another program manages */
gboolean qconv_output_in_cache (const char *path);
/* Returns: (transfer full): the path to write. @values: as in qconv_output_name(); @output: (nullable): NULL:
   qconv_output_name(); a folder, or a path that ends in "/": that name in the folder, and the name of @input if @t is
   NULL. G_IO_ERROR_NOT_FOUND: no such folder; QCONV_ERROR_OPTION: the derived name is in a download cache */
char *qconv_output_path (const QconvTargetInfo *t, const QconvValues *values, const char *input, const char *output,
                         GError **error);
/* Returns: (transfer full): the folder for an output of several files: @output, or the derived name without suffix.
   Fails as qconv_output_path() does */
char *qconv_output_folder (const QconvTargetInfo *t, const QconvValues *values, const char *input, const char *output,
                           GError **error);
/* Returns: (transfer none) (nullable): the end of @output, if files of another container than that of @t end so */
const char *qconv_output_foreign_suffix (const QconvTargetInfo *t, const char *output);
