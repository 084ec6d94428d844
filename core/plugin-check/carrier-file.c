/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The container of the carrier: a magic word, the length of a directory, the directory as a GVariant, then tensors. The
   program writes its models in it, and the carrier's writer its layers. */
#include <string.h>

#include "plugin-check/carrier.h"

#define MAGIC "QCHECK\0\1"
#define ALIGNMENT 64
#define MAX_HEADER (64u << 20)
/* Tensors: name, type, dimensions, bytes, offset; then the metadata */
#define DIRECTORY "(a(suattt)a{sv})"

typedef struct {
  char magic[8];
  guint64 n_header;
} Head;

static GVariant *
describe (const QconvDirectory *planned, QconvTensor *const *tensors, guint n)
{
  const char *const *keys = planned != NULL ? qconv_directory_metadata_keys (planned) : NULL;
  GVariantBuilder list, metadata;

  g_variant_builder_init (&list, G_VARIANT_TYPE ("a(suattt)"));
  for (guint i = 0; i < n; i++)
    {
      const QconvTensor *t = tensors[i];
      GVariant *dims
          = g_variant_new_fixed_array (G_VARIANT_TYPE_UINT64, t->shape.dim, t->shape.rank, sizeof t->shape.dim[0]);

      g_variant_builder_add (&list, "(su@attt)", t->name, (guint32) t->dtype, dims, t->n_bytes, t->offset);
    }
  g_variant_builder_init (&metadata, G_VARIANT_TYPE_VARDICT);
  for (guint i = 0; keys != NULL && keys[i] != NULL; i++)
    g_variant_builder_add (&metadata, "{sv}", keys[i], qconv_directory_metadata (planned, keys[i]));
  return g_variant_ref_sink (g_variant_new ("(a(suattt)a{sv})", &list, &metadata));
}

static guint64
aligned (guint64 n)
{
  return (n + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

GByteArray *
check_carrier_header (const QconvDirectory *planned, QconvTensor **tensors, guint n)
{
  g_autoptr (GVariant) sizes = describe (planned, tensors, n), whole = NULL;
  Head head = { MAGIC, g_variant_get_size (sizes) };
  guint64 at = aligned (sizeof head + head.n_header);
  GByteArray *header = g_byte_array_new ();

  for (guint i = 0; i < n; i++)
    {
      tensors[i]->offset = at;
      at = aligned (at + tensors[i]->n_bytes);
    }
  /* Offsets have a fixed width: the size stays */
  whole = describe (planned, tensors, n);
  g_byte_array_append (header, (const guint8 *) &head, sizeof head);
  g_byte_array_append (header, g_variant_get_data (whole), (guint) head.n_header);
  return header;
}

static gboolean
lay_out (const QconvContainer *self, const QconvDirectory *planned, QconvTensor **tensors, guint n, GByteArray *header,
         guint64 *file_size, GError **error)
{
  g_autoptr (GByteArray) bytes = check_carrier_header (planned, tensors, n);

  g_byte_array_append (header, bytes->data, bytes->len);
  *file_size = n > 0 ? tensors[n - 1]->offset + tensors[n - 1]->n_bytes : bytes->len;
  return TRUE;
}

static guint
score (const QconvContainer *self, const char *name, const guint8 *head, gsize n, guint64 size)
{
  return n >= sizeof (Head) && memcmp (head, MAGIC, sizeof MAGIC - 1) == 0 ? 100 : 0;
}

static gboolean
add_tensor (QconvSource *source, GVariant *row, QconvDirectory *d, GError **error)
{
  QconvTensor t = { .source = source };
  g_autoptr (GVariant) dims = NULL;
  guint32 dtype = 0;
  gsize rank = 0;
  const guint64 *dim;

  g_variant_get (row, "(&su@attt)", &t.name, &dtype, &dims, &t.n_bytes, &t.offset);
  dim = g_variant_get_fixed_array (dims, &rank, sizeof *dim);
  if (dtype >= QCONV_N_DTYPES || rank > QCONV_MAX_RANK)
    return qconv_fail (error, QCONV_ERROR_INPUT, "tensor \"%s\" has an unknown type or too many dimensions", t.name);
  t.dtype = (QconvDType) dtype;
  t.shape.rank = (guint32) rank;
  for (gsize i = 0; i < rank; i++)
    t.shape.dim[i] = dim[i];
  return qconv_directory_add (d, &t, error);
}

static gboolean
add_all (QconvSource *source, GVariant *directory, QconvDirectory *d, GError **error)
{
  g_autoptr (GVariant) list = g_variant_get_child_value (directory, 0);
  g_autoptr (GVariant) metadata = g_variant_get_child_value (directory, 1);

  for (gsize i = 0; i < g_variant_n_children (list); i++)
    {
      g_autoptr (GVariant) row = g_variant_get_child_value (list, i);

      if (!add_tensor (source, row, d, error))
        return FALSE;
    }
  for (gsize i = 0; i < g_variant_n_children (metadata); i++)
    {
      g_autoptr (GVariant) entry = g_variant_get_child_value (metadata, i), value = NULL;
      const char *key;

      g_variant_get (entry, "{&sv}", &key, &value);
      if (!qconv_directory_set_metadata (d, key, value, error))
        return FALSE;
    }
  return TRUE;
}

static gboolean
open_file (const QconvContainer *self, QconvSource *source, const QconvValues *options, QconvDirectory *directory,
           GError **error)
{
  g_autoptr (GVariant) read = NULL;
  Head head;
  guint8 *bytes;

  if (!qconv_source_read (source, 0, sizeof head, &head, error))
    return FALSE;
  if (head.n_header > MAX_HEADER || head.n_header > qconv_source_size (source) - sizeof head)
    return qconv_fail (error, QCONV_ERROR_INPUT, "the directory is longer than the file");
  bytes = g_malloc (head.n_header);
  read = g_variant_ref_sink (
      g_variant_new_from_data (G_VARIANT_TYPE (DIRECTORY), bytes, head.n_header, FALSE, g_free, bytes));
  return qconv_source_read (source, sizeof head, head.n_header, bytes, error)
         && add_all (source, read, directory, error);
}

const QconvContainer check_carrier_container = {
  .id = CARRIER,
  .summary = "files of this program",
  .suffixes = (const char *const[]) { NULL },
  .score = score,
  .open = open_file,
  .lay_out = lay_out,
};
