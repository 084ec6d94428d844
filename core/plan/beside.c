/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finds the tokenizer of a text encoder; beside.h describes it. */
#include <glib/gi18n-lib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/names.h"
#include "base/small-file.h"
#include "io/directory.h"
#include "plan/beside.h"

#define MOST_BYTES (64 << 20) /* of a tokenizer; tekken.json has 20 MB */
#define ENCODER "text_encoder"

/* Returns whether the files of the writer do not hold the tensor @name */
static gboolean
is_left_out (const QconvPlan *p, const char *name)
{
  const char *const *patterns = p->target->writer->left_out;

  for (guint i = 0; patterns != NULL && patterns[i] != NULL; i++)
    if (g_regex_match_simple (patterns[i], name, G_REGEX_DEFAULT, 0))
      return TRUE;
  return FALSE;
}

/* Returns the row of the family that suits the model and whose tensor the output lacks, or NULL */
static const FamilyTokenizer *
find_row (const QconvPlan *p)
{
  const Identity *id = p->mapping != NULL ? p->mapping->identity : NULL;
  const FamilyTokenizers *rows = id != NULL ? &qconv_family_data (id->family)->tokenizers : NULL;

  if (rows == NULL || p->target->writer->spellings == NULL || *p->mapping->prefix != '\0')
    return NULL;
  for (guint i = 0; i < rows->n; i++)
    {
      const FamilyTokenizer *row = &rows->at[i];
      gboolean suits = row->variants == NULL || (id->variant != NULL && g_strv_contains (row->variants, id->variant));

      if (suits && !is_left_out (p, row->tensor) && qconv_directory_find (p->output.directory, row->tensor) == NULL)
        return row;
    }
  return NULL;
}

/* Returns the folder of the tokenizer in a diffusers pipeline: "tokenizer_2" beside @folder "text_encoder_2", else
   "tokenizer" beside @folder. (transfer full) */
static char *
tokenizer_folder (const char *folder)
{
  g_autofree char *whole = g_canonicalize_filename (folder, NULL), *name = g_path_get_basename (whole);
  const char *number = g_str_has_prefix (name, ENCODER) ? name + strlen (ENCODER) : "";
  g_autofree char *sibling = g_strconcat ("tokenizer", number, NULL);

  return g_build_filename (folder, "..", sibling, NULL);
}

/* Returns the first of @files in @folder that can be read, or NULL. (transfer full) */
static char *
find_file (const char *folder, FamilyTexts files)
{
  for (guint i = 0; files[i] != NULL; i++)
    {
      g_autofree char *path = g_build_filename (folder, files[i], NULL);
      struct stat st;

      if (stat (path, &st) == 0 && S_ISREG (st.st_mode) && st.st_size > 0 && st.st_size <= MOST_BYTES)
        return g_steal_pointer (&path);
    }
  return NULL;
}

/* Returns the path of the tokenizer of @row, or NULL. (transfer full) */
static char *
find_tokenizer (const QconvPlan *p, const FamilyTokenizer *row)
{
  g_autofree char *folder = g_path_get_dirname (qconv_source_path (p->model->source));
  g_autofree char *sibling = tokenizer_folder (folder);
  char *path = find_file (folder, row->files);

  return path != NULL ? path : find_file (sibling, row->files);
}

gboolean
qconv_beside_add_tokenizer (QconvPlan *p, GError **error)
{
  const FamilyTokenizer *row = find_row (p);
  g_autofree char *path = row != NULL ? find_tokenizer (p, row) : NULL, *text = NULL;
  g_autoptr (GBytes) bytes = NULL;
  gsize n = 0;
  QconvPlanned planned;

  if (row == NULL)
    return TRUE;
  if (path == NULL)
    {
      qconv_warn (
          &p->warn,
          _ ("loaders of %s read the tokenizer from the tensor %s, which is missing: put the file %s beside the "
             "input and convert again"),
          p->mapping->identity->variant, row->tensor, row->files[0]);
      return TRUE;
    }
  text = qconv_small_file_read (path, MOST_BYTES, &n, error);
  if (text == NULL)
    return FALSE;
  g_ptr_array_add (p->inputs, g_strdup (path));
  bytes = g_bytes_new_take (g_steal_pointer (&text), n);
  planned = (QconvPlanned) { .dtype = QCONV_U8, .shape = QCONV_SHAPE1 (n), .data = bytes };
  qconv_warn (&p->warn, _ ("the tokenizer %s becomes the tensor %s, which loaders need"), path, row->tensor);
  return qconv_output_add (&p->output, NULL, row->tensor, &planned, error);
}
