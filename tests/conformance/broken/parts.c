/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A container gives all parts of a set one name. broken.sh says what a user then sees. */
#include "qconv-plugin.h"

#define BROKEN broken_parts

static guint
score_nothing (const QconvContainer *self, const char *name, const guint8 *head, gsize n, guint64 size)
{
  return 0;
}

static gboolean
open_nothing (const QconvContainer *self, QconvSource *source, const QconvValues *options, QconvDirectory *directory,
              GError **error)
{
  return qconv_fail (error, QCONV_ERROR_UNSUPPORTED, "such files are only written");
}

static gboolean
lay_out (const QconvContainer *self, const QconvDirectory *planned, QconvTensor **tensors, guint n, GByteArray *header,
         guint64 *file_size, GError **error)
{
  *file_size = 64;
  g_byte_array_set_size (header, 64);
  for (guint i = 0; i < n; i++)
    {
      tensors[i]->offset = *file_size;
      *file_size += tensors[i]->n_bytes;
    }
  return TRUE;
}

static char *
name_badly (const char *name, guint no, guint n)
{
  return g_strconcat (name, ".part", NULL);
}

static gboolean
no_metadata (const QconvDirectory *whole, guint no, guint n, QconvDirectory *part, GError **error)
{
  return TRUE;
}

static const QconvSplit split = { .part_name = name_badly, .part_metadata = no_metadata };
static const QconvContainer container = { .id = "broken_parts",
                                          .summary = "sets whose parts have one name",
                                          .suffixes = (const char *const[]) { ".broken", NULL },
                                          .score = score_nothing,
                                          .open = open_nothing,
                                          .lay_out = lay_out,
                                          .split = &split };

#define BROKEN_CONTAINER "broken_parts"
#define BROKEN_CONTAINERS         \
  (const QconvContainer *const[]) \
  {                               \
    &container, NULL              \
  }
#include "broken.h"
