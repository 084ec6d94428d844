/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The toy plugin's container: a file of a header of lines, then the tensors. */
#include <string.h>

#include "toy.h"

enum { HEADER_LINE = 24, MAX_AXES = 4, TAG = 4, SUM = 8 };

/* A file with the metadata "part=NO/N" is one of a set */
#define PART "part"
/* A file with this metadata has the tag "tag:" before each tensor and the sum of all bytes before it at the end */
#define SUMMED "sum"

static guint
box_score (const QconvContainer *self, const char *name, const guint8 *head, gsize n, guint64 size)
{
  return n >= 4 && memcmp (head, "BOX ", 4) == 0 ? 100 : 0;
}

/* Reads one line of the header: "T name dtype offset n_bytes axes…" or "M key=value" */
static gboolean
open_line (QconvDirectory *d, QconvSource *source, const char *line, GError **error)
{
  g_auto (GStrv) words = g_strsplit (line, " ", -1);
  QconvTensor t = { .source = source };
  char *equals = strchr (line, '=');

  if (line[0] == 'M' && equals != NULL)
    {
      g_autofree char *key = g_strndup (line + 2, (gsize) (equals - line) - 2);

      if (strcmp (key, PART) == 0)
        return TRUE;
      return qconv_directory_set_metadata (d, key, g_variant_new_string (equals + 1), error);
    }
  if (g_strv_length (words) < 5 || g_strv_length (words) > 5 + MAX_AXES || !qconv_dtype_from_name (words[2], &t.dtype))
    return qconv_fail (error, QCONV_ERROR_INPUT, "\"%s\" is no line of a box", line);
  t.name = words[1];
  t.type = words[2];
  t.offset = g_ascii_strtoull (words[3], NULL, 10);
  t.n_bytes = g_ascii_strtoull (words[4], NULL, 10);
  for (guint i = 5; words[i] != NULL; i++)
    t.shape.dim[t.shape.rank++] = g_ascii_strtoull (words[i], NULL, 10);
  return qconv_directory_add (d, &t, error);
}

/* Adds bytes [0, n) to *sum; @read takes them from a source or from a file that is being completed */
static gboolean
sum_bytes (gboolean (*read) (gpointer from, guint64 offset, gsize n, void *dst, GError **error), gpointer from,
           guint64 n, guint64 *sum, GError **error)
{
  guint8 piece[1000];
  gsize step;

  for (guint64 at = 0; at < n; at += step)
    {
      step = (gsize) MIN (n - at, sizeof piece);
      if (!read (from, at, step, piece, error))
        return FALSE;
      for (gsize i = 0; i < step; i++)
        *sum += piece[i];
    }
  return TRUE;
}

static gboolean
read_source (gpointer from, guint64 offset, gsize n, void *dst, GError **error)
{
  return qconv_source_read (from, offset, n, dst, error);
}

static gboolean
read_file (gpointer from, guint64 offset, gsize n, void *dst, GError **error)
{
  return qconv_file_read (from, offset, n, dst, error);
}

static gboolean
check_sum (QconvSource *source, GError **error)
{
  guint64 size = qconv_source_size (source), sum = 0, stored = 0;

  return sum_bytes (read_source, source, size - SUM, &sum, error)
         && qconv_source_read (source, size - SUM, SUM, &stored, error)
         && (sum == stored || qconv_fail (error, QCONV_ERROR_INPUT, "the sum of the file is wrong"));
}

/* Adds what one file holds. Sets @n to the number of files of its set; 1: it is none of a set */
static gboolean
open_file (QconvDirectory *directory, QconvSource *source, guint *n, GError **error)
{
  char head[HEADER_LINE + 1] = { 0 };
  g_autofree char *text = NULL;
  g_auto (GStrv) lines = NULL;
  const char *part;
  guint64 size;

  if (!qconv_source_read (source, 0, HEADER_LINE, head, error))
    return FALSE;
  size = g_ascii_strtoull (head + 4, NULL, 10);
  if (size < HEADER_LINE || size > qconv_source_size (source))
    return qconv_fail (error, QCONV_ERROR_INPUT, "the header is longer than the file");
  text = g_malloc0 (size + 1);
  if (!qconv_source_read (source, 0, size, text, error))
    return FALSE;
  part = strstr (text, "\nM " PART "=");
  *n = part != NULL ? (guint) g_ascii_strtoull (strchr (part, '/') + 1, NULL, 10) : 1;
  lines = g_strsplit (text, "\n", -1);
  for (guint i = 1; lines[i] != NULL && lines[i][0] != '\0'; i++)
    if (!open_line (directory, source, lines[i], error))
      return FALSE;
  return qconv_directory_metadata (directory, SUMMED) == NULL || check_sum (source, error);
}

/* Adds the file called @name beside @source, whose set has @n files */
static gboolean
open_other (QconvDirectory *directory, QconvSource *source, const char *name, guint n, GError **error)
{
  QconvSource *other = qconv_source_sibling (source, name, error);
  guint its_n = 0;

  return other != NULL && open_file (directory, other, &its_n, error)
         && (its_n == n || qconv_fail (error, QCONV_ERROR_INPUT, "\"%s\" is of another set", name));
}

static const char *const pairs[] = { "layers.box", "rest.box", NULL };

/* "out.0of3.box" has siblings, and so has "layers.box" */
static gboolean
box_open (const QconvContainer *self, QconvSource *source, const QconvValues *options, QconvDirectory *directory,
          GError **error)
{
  const char *name = qconv_source_name (source), *tail = strstr (name, ".0of");
  guint n;

  if (!toy_call (TOY_OPEN, error) || !open_file (directory, source, &n, error))
    return FALSE;
  if (strcmp (name, pairs[0]) == 0)
    return open_other (directory, source, pairs[1], 1, error);
  if (n > 1 && tail == NULL)
    return qconv_fail (error, QCONV_ERROR_INPUT, "this is not the first file of its set");
  for (guint i = 1; i < n; i++)
    {
      g_autofree char *other = g_strdup_printf ("%.*s.%uof%u.box", (int) (tail - name), name, i, n);

      if (!open_other (directory, source, other, n, error))
        return FALSE;
    }
  return TRUE;
}

static GString *
write_header (const QconvDirectory *planned, QconvTensor **tensors, guint n, guint64 size)
{
  const char *const *keys = qconv_directory_metadata_keys (planned);
  GString *header = g_string_new (NULL);

  g_string_printf (header, "BOX %018" G_GUINT64_FORMAT " \n", size);
  for (guint i = 0; keys[i] != NULL; i++)
    g_string_append_printf (header, "M %s=%s\n", keys[i],
                            g_variant_get_string (qconv_directory_metadata (planned, keys[i]), NULL));
  for (guint i = 0; i < n; i++)
    {
      g_string_append_printf (header, "T %s %s %018" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT, tensors[i]->name,
                              qconv_dtype_name (tensors[i]->dtype), tensors[i]->offset, tensors[i]->n_bytes);
      for (guint j = 0; j < tensors[i]->shape.rank; j++)
        g_string_append_printf (header, " %" G_GUINT64_FORMAT, tensors[i]->shape.dim[j]);
      g_string_append_c (header, '\n');
    }
  g_string_append_c (header, '\n');
  return header;
}

/* Offsets have a fixed width, so the length of the header is known before they are */
static gboolean
box_lay_out (const QconvContainer *self, const QconvDirectory *planned, QconvTensor **tensors, guint n,
             GByteArray *header, guint64 *file_size, GError **error)
{
  GString *text = write_header (planned, tensors, n, 0);
  gboolean summed = qconv_directory_metadata (planned, SUMMED) != NULL;
  guint64 at = text->len, start = at;

  g_string_free (text, TRUE);
  for (guint i = 0; i < n; at += tensors[i++]->n_bytes)
    {
      at += summed ? TAG : 0;
      tensors[i]->offset = at;
    }
  *file_size = at + (summed ? SUM : 0);
  if (toy.longest > 0 && start > toy.longest)
    {
      g_set_error (error, QCONV_ERROR, QCONV_ERROR_UNSUPPORTED, "header too large");
      return FALSE;
    }
  text = write_header (planned, tensors, n, start);
  g_byte_array_append (header, (const guint8 *) text->str, (guint) text->len);
  g_string_free (text, TRUE);
  return toy_call (TOY_LAY_OUT, error);
}

static gboolean
box_complete (const QconvContainer *self, const QconvDirectory *planned, const QconvTensor *const *tensors, guint n,
              QconvFile *file, GError **error)
{
  guint64 end = n > 0 ? tensors[n - 1]->offset + tensors[n - 1]->n_bytes : 0, sum = 0;

  if (!toy_call (TOY_COMPLETE, error))
    return FALSE;
  if (qconv_directory_metadata (planned, SUMMED) == NULL || n == 0)
    return TRUE;
  for (guint i = 0; i < n; i++)
    if (!qconv_file_write (file, tensors[i]->offset - TAG + toy.shift, TAG, "tag:", error))
      return FALSE;
  return sum_bytes (read_file, file, end, &sum, error) && qconv_file_write (file, end, SUM, &sum, error);
}

/* ---- Sets ---- */

static char *
box_part_name (const char *name, guint no, guint n)
{
  return g_strdup_printf ("%.*s.%uof%u.box", (int) (strlen (name) - strlen (".box")), name, no, n);
}

static gboolean
box_part_metadata (const QconvDirectory *whole, guint no, guint n, QconvDirectory *part, GError **error)
{
  const char *const *keys = qconv_directory_metadata_keys (whole);

  qconv_directory_set_metadata (part, PART, g_variant_new_take_string (g_strdup_printf ("%u/%u", no, n)), NULL);
  for (guint i = 0; no == 0 && keys[i] != NULL; i++)
    qconv_directory_set_metadata (part, keys[i], qconv_directory_metadata (whole, keys[i]), NULL);
  return TRUE;
}

static char *
box_index_name (const char *name)
{
  return g_strconcat (name, ".list", NULL);
}

/* A line for each tensor: its name and that of its file */
static gboolean
box_index (const QconvDirectory *whole, const char *const *parts, GByteArray *text, GError **error)
{
  for (guint i = 0; i < qconv_directory_n_tensors (whole); i++)
    {
      const QconvTensor *t = qconv_directory_tensor (whole, i);
      g_autofree char *line = g_strdup_printf ("%s %s\n", t->name, parts[t->file]);

      g_byte_array_append (text, (const guint8 *) line, (guint) strlen (line));
    }
  return toy_call (TOY_INDEX, error);
}

static const QconvSplit split = {
  .part_name = box_part_name, .part_metadata = box_part_metadata, .index_name = box_index_name, .index = box_index
};

static const char *const suffixes[] = { ".box", NULL };
static const QconvContainer box = { .id = "box",
                                    .summary = "toy files",
                                    .suffixes = suffixes,
                                    .score = box_score,
                                    .open = box_open,
                                    .lay_out = box_lay_out,
                                    .complete = box_complete,
                                    .pairs = pairs,
                                    .split = &split };
const QconvContainer *const toy_containers[] = { &box, NULL };
