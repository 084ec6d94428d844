/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A container lays tensors out one over the other, and over its header. broken.sh says what a user then sees. */
#include "qconv-plugin.h"

#define BROKEN broken_layout

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
lay_out_badly (const QconvContainer *self, const QconvDirectory *planned, QconvTensor **tensors, guint n,
               GByteArray *header, guint64 *file_size, GError **error)
{
  *file_size = 64;
  g_byte_array_set_size (header, 64);
  for (guint i = 0; i < n; i++)
    {
      tensors[i]->offset = 16;
      *file_size += tensors[i]->n_bytes;
    }
  return TRUE;
}

static const QconvContainer container = { .id = "broken_layout",
                                          .summary = "files that overlap",
                                          .suffixes = (const char *const[]) { ".broken", NULL },
                                          .score = score_nothing,
                                          .open = open_nothing,
                                          .lay_out = lay_out_badly };

#define BROKEN_CONTAINER "broken_layout"
#define BROKEN_CONTAINERS         \
  (const QconvContainer *const[]) \
  {                               \
    &container, NULL              \
  }
#include "broken.h"
