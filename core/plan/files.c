/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Divides the tensors of an output among its files and lays these out. plan-checksums.c calls it. */
#include "plan/files.h"

#include <string.h>

#include "io/directory.h"

/**
 * File: a file while it is made, in front of the public part.
 *
 * @metadata: (nullable): of a part of a set; NULL: of the output
 */
typedef struct {
  PlannedFile pub;
  QconvDirectory *metadata;
} File;

static void
free_file (gpointer data)
{
  File *f = data;

  qconv_layout_clear (&f->pub.layout);
  g_clear_pointer (&f->metadata, qconv_directory_free);
  g_free (f->pub.path);
  g_free (f);
}

/* Appends a file. @path: (transfer full) */
static File *
add_file (GPtrArray *files, char *path, const QconvContainer *c)
{
  File *f = g_new0 (File, 1);

  f->pub.path = path;
  f->pub.container = c;
  g_ptr_array_add (files, f);
  return f;
}

/* Gives @f, which has no tensors, the @n bytes at @data */
static void
set_bytes (File *f, gconstpointer data, gsize n)
{
  f->pub.container = NULL;
  f->pub.layout.header = g_byte_array_append (g_byte_array_new (), data, (guint) n);
  f->pub.layout.file_size = n;
}

/* Lays file @f out, which is number @no and has the metadata of the output unless it has its own */
static gboolean
lay_out (const FilesJob *j, File *f, guint no, GError **error)
{
  QconvDirectory *all = j->output->directory;
  g_autoptr (GPtrArray) tensors = g_ptr_array_new ();

  for (guint i = 0; i < qconv_directory_n_tensors (all); i++)
    if (qconv_directory_tensor (all, i)->file == no)
      g_ptr_array_add (tensors, qconv_directory_planned (all, i));
  return qconv_layout_make (&f->pub.layout, f->pub.container, f->metadata != NULL ? f->metadata : all, tensors, error);
}

/* ---- A set of parts ---- */

/* Returns the number behind the last tensor of the layer of tensor @first */
static guint
end_of_layer (const QconvOutput *o, guint first)
{
  const PlannedLayer *l = ((const PlannedTensor *) g_ptr_array_index (o->tensors, first))->layer;
  guint end = first + 1;

  while (l != NULL && end < o->tensors->len
         && ((const PlannedTensor *) g_ptr_array_index (o->tensors, end))->layer == l)
    end++;
  return end;
}

/* Puts whole layers into files of at most @j->split bytes of tensors; a larger layer has a file of its own. Returns the
   number of files */
static guint
divide (const FilesJob *j)
{
  QconvDirectory *d = j->output->directory;
  guint64 filled = 0;
  guint no = 0;

  for (guint i = 0, end; i < j->output->tensors->len; i = end)
    {
      guint64 bytes = 0;

      end = end_of_layer (j->output, i);
      for (guint k = i; k < end; k++)
        bytes += qconv_directory_tensor (d, k)->n_bytes;
      if (filled > 0 && bytes > j->split - MIN (filled, j->split))
        {
          no++;
          filled = 0;
        }
      for (guint k = i; k < end; k++)
        qconv_directory_planned (d, k)->file = no;
      filled += bytes;
    }
  return no + 1;
}

/* Returns the name at the end of @path */
static const char *
name_of (const char *path)
{
  const char *slash = strrchr (path, G_DIR_SEPARATOR);

  return slash != NULL ? slash + 1 : path;
}

/* Adds a file called @name (transfer full), which the hook @hook of @c made, in the folder of @j->path. Returns NULL
   with an error if it is no plain name or that of another file */
static File *
add_called (const FilesJob *j, GPtrArray *files, const QconvContainer *c, char *name, const char *hook, GError **error)
{
  const Hook broken = { "container", c, hook, NULL };
  g_autofree char *own = name, *path = NULL;

  if (own == NULL || *own == '\0' || name_of (own) != own)
    {
      qconv_hook_broke (&broken, error, "makes \"%s\", which is no name of a file", own != NULL ? own : "");
      return NULL;
    }
  path = g_strdup_printf ("%.*s%s", (int) (name_of (j->path) - j->path), j->path, own);
  for (guint i = 0; i < files->len; i++)
    if (strcmp (((const PlannedFile *) g_ptr_array_index (files, i))->path, path) == 0)
      {
        qconv_hook_broke (&broken, error, "makes the name \"%s\" twice", own);
        return NULL;
      }
  return add_file (files, g_steal_pointer (&path), c);
}

static gboolean
add_index (const FilesJob *j, GPtrArray *files, const QconvContainer *c, GError **error)
{
  g_autoptr (GPtrArray) names = g_ptr_array_new ();
  g_autoptr (GByteArray) text = g_byte_array_new ();
  File *f;

  for (guint i = 0; i < files->len; i++)
    g_ptr_array_add (names, (char *) name_of (((const PlannedFile *) g_ptr_array_index (files, i))->path));
  g_ptr_array_add (names, NULL);
  if (!qconv_call_index (c, j->output->directory, (const char *const *) names->pdata, text, error))
    return FALSE;
  f = add_called (j, files, c, c->split->index_name (name_of (j->path)), "index_name", error);
  if (f != NULL)
    set_bytes (f, text->data, text->len);
  return f != NULL;
}

static gboolean
add_parts (const FilesJob *j, GPtrArray *files, const QconvContainer *c, guint n, GError **error)
{
  for (guint no = 0; no < n; no++)
    {
      File *f = add_called (j, files, c, c->split->part_name (name_of (j->path), no, n), "part_name", error);

      if (f == NULL)
        return FALSE;
      f->metadata = qconv_directory_new (NULL, NULL);
      if (!qconv_call_part_metadata (c, j->output->directory, no, n, f->metadata, error) || !lay_out (j, f, no, error))
        return FALSE;
    }
  return c->split->index_name == NULL || add_index (j, files, c, error);
}

static gboolean
split (const FilesJob *j, GPtrArray *files, const QconvContainer *c, GError **error)
{
  guint n;

  if (c->split == NULL)
    return qconv_fail (error, QCONV_ERROR_OPTION, "--split: %s files are never parts of a set", c->id);
  n = divide (j);
  return n > 1 ? add_parts (j, files, c, n, error) : lay_out (j, add_file (files, g_strdup (j->path), c), 0, error);
}

/* ---- Files that the writer names ---- */

static gboolean
add_named (const FilesJob *j, GPtrArray *files, const QconvContainer *c, GError **error)
{
  const GPtrArray *names = j->output->files;

  if (j->split > 0)
    return qconv_fail (error, QCONV_ERROR_OPTION, "--split: this output is a set of files already");
  for (guint i = 0; i < names->len; i++)
    {
      const OutputName *named = g_ptr_array_index (names, i);
      File *f = add_file (files, g_build_filename (j->path, named->name, NULL), c);

      if (named->bytes != NULL)
        {
          set_bytes (f, g_bytes_get_data (named->bytes, NULL), g_bytes_get_size (named->bytes));
          continue;
        }
      if (i > 0)
        f->metadata = qconv_directory_new (NULL, NULL);
      if (!lay_out (j, f, i, error))
        return FALSE;
    }
  return TRUE;
}

/* Fails if a tensor is in a file that does not exist or has bytes of its own */
static gboolean
check_numbers (const QconvOutput *o, GError **error)
{
  const Hook hook = { "writer", o->writer, "end", NULL };

  for (guint i = 0; i < qconv_directory_n_tensors (o->directory); i++)
    {
      const QconvTensor *t = qconv_directory_tensor (o->directory, i);

      if (t->file >= MAX (o->files->len, 1)
          || (o->files->len > 0 && ((const OutputName *) g_ptr_array_index (o->files, t->file))->bytes != NULL))
        return qconv_hook_broke (&hook, error, "puts tensor \"%s\" into file %u, which holds no tensors", t->name,
                                 t->file);
    }
  return TRUE;
}

GPtrArray *
qconv_files_new (const FilesJob *j, GError **error)
{
  const QconvContainer *c = qconv_registry_container (j->output->writer->container);
  g_autoptr (GPtrArray) files = g_ptr_array_new_with_free_func (free_file);
  gboolean ok;

  if (j->output->files->len > 0)
    ok = check_numbers (j->output, error) && add_named (j, files, c, error);
  else if (j->split > 0)
    ok = split (j, files, c, error);
  else
    ok = check_numbers (j->output, error) && lay_out (j, add_file (files, g_strdup (j->path), c), 0, error);
  return ok ? g_steal_pointer (&files) : NULL;
}

guint64
qconv_files_bytes (const GPtrArray *files)
{
  guint64 bytes = 0;

  for (guint i = 0; i < files->len; i++)
    bytes += ((const PlannedFile *) g_ptr_array_index (files, i))->layout.file_size;
  return bytes;
}
