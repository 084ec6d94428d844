/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The container: reads and lays out files. A file is "QTML" and the number of tensors (U32); for each tensor the length
   of its name (U32), its name, its dtype (U32, a QconvDType), its rank (U32) and dimensions (U64); then the bytes of
   each, in the same order, each beginning at a multiple of 8. All numbers are little-endian. */
#include <string.h>

#include "template.h"

#define MAGIC "QTML"
#define LARGEST_NAME 1024
#define ALIGNMENT 8

/* ---- Reading ---- */

/* The file and the next byte to read */
typedef struct {
  QconvSource *source;
  guint64 at;
} Cursor;

static gboolean
read_bytes (Cursor *c, gsize n, void *dst, GError **error)
{
  c->at += n;
  return qconv_source_read (c->source, c->at - n, n, dst, error);
}

static gboolean
read_u32 (Cursor *c, guint32 *value, GError **error)
{
  if (!read_bytes (c, sizeof *value, value, error))
    return FALSE;
  *value = GUINT32_FROM_LE (*value);
  return TRUE;
}

/* Sets @padded to the next multiple of ALIGNMENT. Returns FALSE if there is none below 2^63 */
static gboolean
align (guint64 at, guint64 *padded)
{
  *padded = (at + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
  return at <= G_MAXINT64 - ALIGNMENT;
}

static gboolean
read_name (Cursor *c, char name[LARGEST_NAME + 1], GError **error)
{
  guint32 length;

  if (!read_u32 (c, &length, error))
    return FALSE;
  if (length > LARGEST_NAME)
    return qconv_fail (error, QCONV_ERROR_INPUT, "a name of %u bytes, more than %d", length, LARGEST_NAME);
  name[length] = '\0';
  if (!read_bytes (c, length, name, error))
    return FALSE;
  return g_utf8_validate_len (name, length, NULL)
         || qconv_fail (error, QCONV_ERROR_INPUT, "a name is not UTF-8, or has a NUL in it");
}

/* Reads one entry of the header; @t->offset stays unset, because it follows from all entries */
static gboolean
read_entry (Cursor *c, QconvTensor *t, GError **error)
{
  guint32 dtype, rank;

  if (!read_u32 (c, &dtype, error) || !read_u32 (c, &rank, error))
    return FALSE;
  if (dtype == QCONV_OPAQUE || dtype >= QCONV_N_DTYPES || rank > QCONV_MAX_RANK)
    return qconv_fail (error, QCONV_ERROR_INPUT, "tensor \"%s\" has the dtype %u and the rank %u", t->name, dtype,
                       rank);
  t->dtype = (QconvDType) dtype;
  t->type = qconv_dtype_name (t->dtype);
  t->shape.rank = rank;
  if (!read_bytes (c, rank * sizeof t->shape.dim[0], t->shape.dim, error))
    return FALSE;
  for (guint i = 0; i < rank; i++)
    t->shape.dim[i] = GUINT64_FROM_LE (t->shape.dim[i]);
  return qconv_shape_bytes (&t->shape, t->dtype, &t->n_bytes)
         || qconv_fail (error, QCONV_ERROR_INPUT, "tensor \"%s\" is too large", t->name);
}

static void
free_name (gpointer tensor)
{
  g_free ((char *) ((QconvTensor *) tensor)->name);
}

/* Reads the header. Nothing is allocated by a number that the file claims: the entries are read one by one, and the
   reading fails at the end of the file */
static gboolean
read_header (Cursor *c, GArray *tensors, GError **error)
{
  char magic[4], name[LARGEST_NAME + 1];
  guint32 n;

  if (!read_bytes (c, sizeof magic, magic, error) || !read_u32 (c, &n, error))
    return FALSE;
  if (memcmp (magic, MAGIC, sizeof magic) != 0)
    return qconv_fail (error, QCONV_ERROR_INPUT, "the file does not begin with " MAGIC);
  for (guint32 i = 0; i < n; i++)
    {
      QconvTensor t = { .name = name, .source = c->source };

      if (!read_name (c, name, error) || !read_entry (c, &t, error))
        return FALSE;
      t.name = g_strdup (name);
      g_array_append_val (tensors, t);
    }
  return TRUE;
}

/* Core refuses tensors beyond the end of the file, and names that are there twice */
static gboolean
open_file (const QconvContainer *self, QconvSource *source, const QconvValues *options, QconvDirectory *directory,
           GError **error)
{
  g_autoptr (GArray) tensors = g_array_new (FALSE, FALSE, sizeof (QconvTensor));
  Cursor c = { source, 0 };

  g_array_set_clear_func (tensors, free_name);
  if (!read_header (&c, tensors, error))
    return FALSE;
  for (guint i = 0; i < tensors->len; i++)
    {
      QconvTensor *t = &g_array_index (tensors, QconvTensor, i);

      if (!align (c.at, &t->offset))
        return qconv_fail (error, QCONV_ERROR_INPUT, "tensor \"%s\" begins beyond any file", t->name);
      if (!qconv_directory_add (directory, t, error))
        return FALSE;
      c.at = t->offset + t->n_bytes;
    }
  return c.at == qconv_source_size (source)
         || qconv_fail (error, QCONV_ERROR_INPUT, "the last tensor does not end where the file does");
}

static guint
score_file (const QconvContainer *self, const char *name, const guint8 *head, gsize n, guint64 size)
{
  return n >= 8 && memcmp (head, MAGIC, 4) == 0 ? 100 : 0;
}

/* ---- Writing ---- */

static void
append_u32 (GByteArray *header, guint32 value)
{
  value = GUINT32_TO_LE (value);
  g_byte_array_append (header, (const guint8 *) &value, sizeof value);
}

static gboolean
append_entry (GByteArray *header, const QconvTensor *t, GError **error)
{
  gsize length = strlen (t->name);

  if (length > LARGEST_NAME)
    return qconv_fail (error, QCONV_ERROR_UNSUPPORTED, "tensor \"%s\": its name is longer than %d bytes", t->name,
                       LARGEST_NAME);
  append_u32 (header, (guint32) length);
  g_byte_array_append (header, (const guint8 *) t->name, (guint) length);
  append_u32 (header, t->dtype);
  append_u32 (header, t->shape.rank);
  for (guint i = 0; i < t->shape.rank; i++)
    {
      guint64 dim = GUINT64_TO_LE (t->shape.dim[i]);

      g_byte_array_append (header, (const guint8 *) &dim, sizeof dim);
    }
  return TRUE;
}

/* Keeps the order of the plan. The metadata of the plan are lost, because the format has no place for them */
static gboolean
lay_out_file (const QconvContainer *self, const QconvDirectory *planned, QconvTensor **tensors, guint n,
              GByteArray *header, guint64 *file_size, GError **error)
{
  g_byte_array_append (header, (const guint8 *) MAGIC, 4);
  append_u32 (header, n);
  for (guint i = 0; i < n; i++)
    if (!append_entry (header, tensors[i], error))
      return FALSE;
  *file_size = header->len;
  for (guint i = 0; i < n; i++)
    {
      if (!align (*file_size, &tensors[i]->offset)
          || __builtin_add_overflow (tensors[i]->offset, tensors[i]->n_bytes, file_size))
        return qconv_fail (error, QCONV_ERROR_UNSUPPORTED, "the tensors are too large for one file");
    }
  return TRUE;
}

const QconvContainer template_container = {
  .id = "template",
  .summary = N_ ("files of the example plugin"),
  .suffixes = (const char *const[]) { ".qtml", NULL },
  .entries = (const char *const[]) { "*.qtml", NULL },
  .score = score_file,
  .open = open_file,
  .lay_out = lay_out_file,
};
