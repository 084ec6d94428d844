/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The container: fills a directory from one GGUF file, or from a split set of which any part was opened. */
#include "container.h"

#include <string.h>

#include "gguf-facts.h"
#include "gguf-keys.h"
#include "header.h"
#include "split-write.h"
#include "split.h"
#include "write.h"

/**
 * Opening: a model while it is opened.
 *
 * @raw: BF16 and blocks of big-endian files are little-endian
 * @n_uncertain: number of tensors whose byte order is not certain
 * @uncertain: (nullable): name of the first of them
 */
typedef struct {
  QconvDirectory *directory;
  gboolean raw;
  guint n_uncertain;
  char *uncertain;
} Opening;

static guint
score (const QconvContainer *self, const char *name, const guint8 *head, gsize n, guint64 size)
{
  return n >= 4 && memcmp (head, "GGUF", 4) == 0 ? 100 : 0;
}

/* Decides the byte order of a tensor in a big-endian file. Two producers disagree: gguf-py's converter swaps BF16 and
   the F16 fields of some block types, its writer does not swap data that it gets as bytes. Both swap other plain
   types. */
static gboolean
find_byte_order (Opening *o, const GgufTensor *t, QconvTensor *out, GError **error)
{
  gboolean blocks = t->type->dtype == QCONV_OPAQUE;

  if (blocks && t->type->halves[0] < 0)
    return qconv_fail (error, QCONV_ERROR_UNSUPPORTED,
                       "tensor \"%s\": the byte order of %s blocks in big-endian files is not known", t->name,
                       t->type->name);
  out->big_endian = TRUE;
  if (!blocks && t->type->dtype != QCONV_BF16)
    return TRUE;
  out->big_endian = !o->raw;
  if (o->n_uncertain++ == 0)
    o->uncertain = g_strdup (t->name);
  return TRUE;
}

static gboolean
add_tensors (Opening *o, QconvSource *source, const GgufHeader *h, GError **error)
{
  for (guint i = 0; i < h->tensors->len; i++)
    {
      const GgufTensor *t = g_ptr_array_index (h->tensors, i);
      QconvTensor out = { .name = t->name,
                          .dtype = t->type->dtype,
                          .type = t->type->name,
                          .shape = t->shape,
                          .n_bytes = t->n_bytes,
                          .source = source,
                          .offset = h->data_start + t->offset };

      if ((h->big && !find_byte_order (o, t, &out, error)) || !qconv_directory_add (o->directory, &out, error))
        return FALSE;
    }
  return TRUE;
}

/* Copies the metadata. If two parts of a set have one key, the first part counts. */
static gboolean
add_metadata (Opening *o, const GgufHeader *h, GError **error)
{
  GHashTableIter iter;
  gpointer key, value;

  g_hash_table_iter_init (&iter, h->metadata);
  while (g_hash_table_iter_next (&iter, &key, &value))
    if (qconv_directory_metadata (o->directory, key) == NULL
        && !qconv_directory_set_metadata (o->directory, key, value, error))
      return FALSE;
  return TRUE;
}

/* Adds metadata and tensors of one file. @part: (nullable): its name in a set, for messages */
static gboolean
add_file (Opening *o, QconvSource *source, const GgufHeader *h, const char *part, GError **error)
{
  for (guint i = 0; i < h->warnings->len; i++)
    qconv_directory_warn (o->directory, "%s%s%s", part != NULL ? part : "", part != NULL ? ": " : "",
                          (const char *) g_ptr_array_index (h->warnings, i));
  return add_metadata (o, h, error) && add_tensors (o, source, h, error);
}

static gboolean
add_part (Opening *o, const GgufSplit *split, guint no, QconvSource *source, guint64 *total, GError **error)
{
  g_autoptr (GgufHeader) h = NULL;
  g_autofree char *name = qconv_gguf_split_name (split, no);
  QconvSource *part
      = strcmp (name, qconv_source_name (source)) == 0 ? source : qconv_source_sibling (source, name, error);
  guint64 promised;

  if (part == NULL)
    {
      if (error != NULL && g_error_matches (*error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND))
        {
          g_clear_error (error);
          return qconv_fail (error, QCONV_ERROR_INPUT, "split part \"%s\" is missing", name);
        }
      return FALSE;
    }
  h = qconv_gguf_header_read (part, error);
  if (h == NULL || !qconv_gguf_split_check (h, split, no, &promised, error) || !add_file (o, part, h, name, error))
    {
      g_prefix_error (error, "split part \"%s\": ", name);
      return FALSE;
    }
  if (no == 0)
    *total = promised;
  return TRUE;
}

static gboolean
add_set (Opening *o, QconvSource *source, const GgufHeader *h, guint count, GError **error)
{
  g_autoptr (GgufSplit) split = qconv_gguf_split_parse (qconv_source_name (source), count, error);
  guint64 total = 0;
  guint n;

  if (split == NULL)
    return FALSE;
  for (guint no = 0; no < count; no++)
    if (!add_part (o, split, no, source, &total, error))
      return FALSE;
  n = qconv_directory_n_tensors (o->directory);
  if (n != total)
    return qconv_fail (error, QCONV_ERROR_INPUT,
                       "the parts of the split set hold %u tensors, " GGUF_SPLIT_TENSORS " is %" G_GUINT64_FORMAT, n,
                       total);
  return TRUE;
}

static gboolean
open_source (const QconvContainer *self, QconvSource *source, const QconvValues *options, QconvDirectory *directory,
             GError **error)
{
  Opening o = { .directory = directory, .raw = g_str_equal (qconv_values_string (options, "byte-order"), "raw") };
  g_autoptr (GgufHeader) h = qconv_gguf_header_read (source, error);
  guint count;
  gboolean ok;

  if (h == NULL || !qconv_gguf_split_count (h, &count, error))
    return FALSE;
  ok = count > 1 ? add_set (&o, source, h, count, error) : add_file (&o, source, h, NULL, error);
  if (ok && o.n_uncertain > 0 && !qconv_values_is_set (options, "byte-order"))
    qconv_directory_warn (directory,
                          "big-endian: %u BF16 or block tensors, the first is \"%s\", may be little-endian, as some "
                          "programs write them; if their numbers make no sense, use -o byte-order=raw",
                          o.n_uncertain, o.uncertain);
  g_free (o.uncertain);
  if (ok)
    qconv_gguf_add_facts (directory);
  if (ok && qconv_values_is_set (options, "rows"))
    qconv_directory_set_fact (directory, QCONV_FACT_ROW_ORDER,
                              g_variant_new_string (qconv_values_string (options, "rows")));
  if (ok && qconv_values_int (options, "head-rows") > 0)
    qconv_directory_set_fact (directory, QCONV_FACT_HEAD_DIM,
                              g_variant_new_uint64 ((guint64) qconv_values_int (options, "head-rows")));
  return ok;
}

static const QconvOption options[] = {
  { .name = "byte-order",
    .type = QCONV_CHOICE,
    .value = "swapped",
    .choices = (const char *const[]) { "swapped", "raw", NULL },
    .help = N_ ("BF16 and block types of big-endian files: swapped, as gguf-py's converter writes them, or raw, as its "
                "writer does") },
  { .name = "rows",
    .type = QCONV_CHOICE,
    .value = "plain",
    .choices = (const char *const[]) { "plain", "permuted", NULL },
    .help = N_ ("rows of query and key in attention heads: plain, as the model's makers order them, or permuted, as "
                "llama.cpp orders them for llama; only for architectures that qconv does not know") },
  { .name = "head-rows",
    .type = QCONV_INT,
    .value = "0",
    .min = 0,
    .max = 1 << 20,
    .help = N_ ("rows of one attention head, for permuted rows in files that do not state it; 0: as the file says") },
  { .name = NULL },
};

const QconvContainer qconv_gguf_container = {
  .id = "gguf",
  .summary = N_ ("GGUF files, single or split"),
  .options = options,
  .suffixes = (const char *const[]) { ".gguf", NULL },
  .entries = (const char *const[]) { "*.gguf", NULL },
  .score = score,
  .open = open_source,
  .lay_out = qconv_gguf_lay_out,
  .split = &qconv_gguf_split,
};
