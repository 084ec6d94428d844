/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sets of files "NAME-00001-of-00003.gguf", written as llama.cpp splits models: the first part has all metadata, the
   others only say which part they are (llama.cpp: tools/gguf-split/gguf-split.cpp). */
#include "split-write.h"

#include "gguf-keys.h"
#include "part-name.h"

static char *
part_name (const char *name, guint no, guint n)
{
  return qconv_part_name (name, ".gguf", no, n);
}

/* Copies all metadata but those of a set that the model came from. */
static gboolean
copy_metadata (const QconvDirectory *whole, QconvDirectory *part, GError **error)
{
  const char *const *keys = qconv_directory_metadata_keys (whole);

  for (guint i = 0; keys[i] != NULL; i++)
    if (!g_str_has_prefix (keys[i], GGUF_SPLIT)
        && !qconv_directory_set_metadata (part, keys[i], qconv_directory_metadata (whole, keys[i]), error))
      return FALSE;
  return TRUE;
}

static gboolean
part_metadata (const QconvDirectory *whole, guint no, guint n, QconvDirectory *part, GError **error)
{
  guint n_tensors = qconv_directory_n_tensors (whole);

  if (n > G_MAXUINT16)
    return qconv_fail (error, QCONV_ERROR_UNSUPPORTED, "a GGUF set has at most %u files, not %u", G_MAXUINT16, n);
  return (no > 0 || copy_metadata (whole, part, error))
         && qconv_directory_set_metadata (part, GGUF_SPLIT_NO, g_variant_new_uint16 ((guint16) no), error)
         && qconv_directory_set_metadata (part, GGUF_SPLIT_COUNT, g_variant_new_uint16 ((guint16) n), error)
         && qconv_directory_set_metadata (part, GGUF_SPLIT_TENSORS, g_variant_new_int32 ((gint32) n_tensors), error);
}

const QconvSplit qconv_gguf_split = { .part_name = part_name, .part_metadata = part_metadata };
