/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Heads, tokenizer and warnings of text encoders (ComfyUI-GGUF: loader.py gguf_clip_loader). */
#include "text-writer.h"

#include <string.h>

#include "gguf-keys.h"
#include "header.h"

static const char *
architecture_of (const QconvOutput *o)
{
  const char *option = qconv_values_string (qconv_output_options (o), "architecture");

  return option != NULL && *option != '\0' ? option : qconv_output_fact (o, "architecture");
}

static gint64
number_of (const QconvOutput *o, const char *dimension)
{
  const char *text = qconv_output_fact (o, dimension);

  return text != NULL ? g_ascii_strtoll (text, NULL, 10) : 0;
}

/* ---- Heads ---- */

/* States @n under the key that follows the architecture, unless the input stated it. */
static void
set_number (QconvOutput *o, const char *key, gint64 n)
{
  g_autofree char *full = g_strconcat (architecture_of (o), key, NULL);

  if (n > 0 && n <= G_MAXUINT32 && qconv_directory_metadata (qconv_output_input (o), full) == NULL)
    qconv_output_set_metadata_value (o, full, g_variant_new_uint32 ((guint32) n));
}

/* Warns of heads that ComfyUI-GGUF, which does not read the metadata, takes for others: it puts the rows of "llama"
   back by 32 and 8 heads. */
static void
check_heads (QconvOutput *o, gint64 queries, gint64 keys)
{
  if (strcmp (architecture_of (o), "llama") == 0 && (queries != 32 || keys != 8))
    qconv_output_warn (o,
                       "ComfyUI-GGUF takes each llama for one of 32 and 8 heads; this one has %" G_GINT64_FORMAT
                       " and %" G_GINT64_FORMAT ", so only llama.cpp reads it as it is",
                       queries, keys);
}

/* States the heads of a language model, by which readers restore the order of rows. */
static void
set_heads (QconvOutput *o)
{
  gint64 rows = number_of (o, "q"), keys = number_of (o, "kv"), head = number_of (o, "head_dim");

  if (head <= 0 || rows <= 0 || rows % head != 0 || keys % head != 0)
    return;
  set_number (o, GGUF_HEAD_COUNT, rows / head);
  set_number (o, GGUF_HEAD_COUNT_KV, keys / head);
  set_number (o, GGUF_KEY_LENGTH, head);
  set_number (o, GGUF_BLOCK_COUNT, number_of (o, "layers"));
  check_heads (o, rows / head, keys / head);
}

/* ---- Tokenizers ---- */

static gboolean
copy_tokenizer (QconvOutput *o, const char *path, GError **error)
{
  g_autoptr (QconvSource) source = qconv_source_open (path, error);
  g_autoptr (GgufHeader) h = source != NULL ? qconv_gguf_header_read (source, error) : NULL;
  GHashTableIter iter;
  gpointer key, value;
  guint n = 0;

  if (h == NULL)
    {
      if (source != NULL)
        g_prefix_error (error, "tokenizer %s: ", path);
      return FALSE;
    }
  g_hash_table_iter_init (&iter, h->metadata);
  while (g_hash_table_iter_next (&iter, &key, &value))
    if (g_str_has_prefix (key, GGUF_TOKENIZER))
      {
        qconv_output_set_metadata_value (o, key, value);
        n++;
      }
  return n > 0 || qconv_fail (error, QCONV_ERROR_INPUT, "tokenizer %s: the file holds no tokenizer", path);
}

static gboolean
has_tokenizer (const QconvOutput *o)
{
  return qconv_directory_metadata (qconv_output_input (o), GGUF_TOKENIZER_MODEL) != NULL;
}

/* Warns if ComfyUI-GGUF reads the tokenizer of this model from the file, which it knows by the shape of the embedding.
   It has those of other models itself. */
static void
check_tokenizer (QconvOutput *o)
{
  static const struct {
    const char *architecture;
    gint64 vocabulary, hidden;
  } readers[]
      = { { "t5", 256384, 4096 }, { "t5encoder", 256384, 4096 }, { "llama", 131072, 5120 }, { "gemma3", 0, 0 } };
  const char *word = architecture_of (o);

  for (guint i = 0; i < G_N_ELEMENTS (readers); i++)
    if (strcmp (word, readers[i].architecture) == 0
        && (readers[i].vocabulary == 0
            || (number_of (o, "vocab") == readers[i].vocabulary && number_of (o, "hidden") == readers[i].hidden)))
      qconv_output_warn (o,
                         "ComfyUI-GGUF refuses this model without a tokenizer in the metadata; -o tokenizer=FILE.gguf "
                         "copies that of another GGUF file of the model");
}

/* ---- Pictures ---- */

/* Warns if the part that sees pictures is left out. */
static void
check_vision (QconvOutput *o)
{
  static const char *const names[] = { "visual.blocks.0.", "vision_model.", "vision_tower.", "v.blk.0." };
  const QconvDirectory *d = qconv_output_input (o);
  gboolean found = FALSE;

  for (guint i = 0; i < qconv_directory_n_tensors (d); i++)
    for (guint k = 0; k < G_N_ELEMENTS (names); k++)
      found = found || strstr (qconv_directory_tensor (d, i)->name, names[k]) != NULL;
  if (found)
    qconv_output_warn (o,
                       "the part that sees pictures is left out: loaders read it from a GGUF file of its own, in the "
                       "same folder and with \"mmproj\" and the name of this one in its name");
}

gboolean
qconv_gguf_end_text (QconvOutput *o, GError **error)
{
  const char *kind = qconv_output_fact (o, "kind"),
             *donor = qconv_values_string (qconv_output_options (o), "tokenizer");

  if (donor != NULL && !copy_tokenizer (o, donor, error))
    return FALSE;
  if (kind == NULL || strcmp (kind, "diffusion") == 0 || architecture_of (o) == NULL)
    return TRUE;
  set_heads (o);
  if (donor == NULL && !has_tokenizer (o))
    check_tokenizer (o);
  check_vision (o);
  return TRUE;
}
