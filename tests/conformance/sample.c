/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Makes, reads and removes the files that the conformance tests work on. */
#include "sample.h"

#include <gio/gio.h>
#include <glib/gstdio.h>
#include <stdio.h>

static char *folder;

const char *
sample_folder (void)
{
  g_autoptr (GError) error = NULL;

  if (folder == NULL)
    folder = g_dir_make_tmp ("qconv-conformance-XXXXXX", &error);
  g_assert_no_error (error);
  return folder;
}

void
sample_finish (void)
{
  g_autoptr (GDir) dir = folder != NULL ? g_dir_open (folder, 0, NULL) : NULL;
  const char *name;

  while (dir != NULL && (name = g_dir_read_name (dir)) != NULL)
    {
      g_autofree char *path = g_build_filename (folder, name, NULL);

      g_unlink (path);
    }
  if (folder != NULL)
    g_rmdir (folder);
  g_clear_pointer (&folder, g_free);
}

char *
sample_generate (const char *arguments, const char *name)
{
  g_autofree char *path = g_build_filename (sample_folder (), name, NULL);
  g_autofree char *line = g_strdup_printf ("%s %s %s", g_getenv ("QCONV_MAKE_MODEL"), arguments, path);
  g_auto (GStrv) words = g_strsplit (line, " ", -1);
  /* With them left open GLib need not copy the page tables of a large process */
  GSpawnFlags flags = G_SPAWN_SEARCH_PATH | G_SPAWN_LEAVE_DESCRIPTORS_OPEN;
  g_autoptr (GError) error = NULL;
  int status;

  g_spawn_sync (NULL, words, NULL, flags, NULL, NULL, NULL, NULL, &status, &error);
  g_assert_no_error (error);
  g_spawn_check_wait_status (status, &error);
  g_assert_no_error (error);
  return g_steal_pointer (&path);
}

char *
sample_make (const char *id)
{
  /* "QTML" and two tensors: name, dtype, rank, dimensions; then 0.5 and six codes, each at a multiple of 8 */
  static const guint8 template[] = "QTML\2\0\0\0"
                                   "\7\0\0\0l.scale\2\0\0\0\0\0\0\0"
                                   "\7\0\0\0l.codes\17\0\0\0\2\0\0\0\2\0\0\0\0\0\0\0\3\0\0\0\0\0\0\0"
                                   "\0\0\0\0\0\77\0\0\0\0\201\202\203\204\205\206";

  if (g_str_equal (id, "safetensors"))
    return sample_generate ("--layers 2 --rows 4 --cols 32 --type f32", "small.safetensors");
  if (g_str_equal (id, "gguf"))
    return sample_generate ("--layers 2 --rows 4 --cols 32 --format gguf --type q8_0", "small.gguf");
  if (g_str_equal (id, "template"))
    {
      g_autoptr (GBytes) bytes = g_bytes_new_static (template, sizeof template - 1);

      return sample_write (bytes, sizeof template - 1, "small.qtml");
    }
  return NULL;
}

/* Returns: (nullable): the target @name */
static const QconvTargetInfo *
find_target (const char *name)
{
  GPtrArray *targets = qconv_registry_targets ();

  for (guint i = 0; i < targets->len; i++)
    {
      const QconvTargetInfo *t = g_ptr_array_index (targets, i);

      if (g_str_equal (t->name, name))
        return t;
    }
  return NULL;
}

gboolean
sample_has_target (const char *target)
{
  return find_target (target) != NULL;
}

gboolean
sample_needs_family (const char *target)
{
  const QconvTargetInfo *t = find_target (target);

  return t != NULL && t->target->complete;
}

const char *const *
sample_only (const char *target)
{
  static const char *const all[] = { ".*", NULL };
  const QconvTargetInfo *t = find_target (target);

  return t == NULL || t->quantizer == NULL || g_str_has_suffix (target, "-template") || t->target->complete ? NULL
                                                                                                            : all;
}

char *
sample_output (const char *target, const char *stem)
{
  const QconvTargetInfo *t = find_target (target);
  g_autofree char *name = g_strconcat (stem, t != NULL ? t->writer->suffix : "", NULL);

  return g_build_filename (sample_folder (), name, NULL);
}

const char *const *
sample_quick_options (const char *target)
{
  static const char *const svdq[] = { "rounds=0", "effort=rtn", NULL };

  return g_str_has_prefix (target, "svdq-") ? svdq : NULL;
}

gboolean
sample_is_like_another (guint at)
{
  const GPtrArray *targets = qconv_registry_targets ();
  const QconvTargetInfo *t = g_ptr_array_index (targets, at);

  for (guint i = 0; i < at; i++)
    {
      const QconvTargetInfo *before = g_ptr_array_index (targets, i);

      if (before->writer == t->writer && t->quantizer != NULL && before->quantizer == t->quantizer
          && !t->target->complete && g_strcmp0 (before->target->parameters, t->target->parameters) == 0)
        return TRUE;
    }
  return FALSE;
}

void
sample_add_targets (const char *prefix, GTestDataFunc test, const char *container)
{
  GPtrArray *targets = qconv_registry_targets ();
  guint n = 0;

  for (guint i = 0; i < targets->len; i++)
    {
      const QconvTargetInfo *t = g_ptr_array_index (targets, i);
      g_autofree char *path = g_strconcat (prefix, t->name, NULL);

      if ((container != NULL && !g_str_equal (t->writer->container, container)) || sample_is_like_another (i))
        continue;
      g_test_add_data_func (path, t->name, test);
      n++;
    }
  g_assert_cmpuint (n, >, 0);
}

GBytes *
sample_read (const char *path)
{
  g_autoptr (GError) error = NULL;
  char *contents;
  gsize n;

  g_file_get_contents (path, &contents, &n, &error);
  g_assert_no_error (error);
  return g_bytes_new_take (contents, n);
}

char *
sample_write (GBytes *whole, gsize n, const char *name)
{
  char *path = g_build_filename (sample_folder (), name, NULL);
  FILE *file;

  g_assert_cmpuint (n, <=, g_bytes_get_size (whole));
  /* Called thousands of times. Replacing the file, or g_file_set_contents(), would wait for the disk each time */
  g_unlink (path);
  file = g_fopen (path, "wb");
  g_assert_nonnull (file);
  g_assert_cmpuint (fwrite (g_bytes_get_data (whole, NULL), 1, n, file), ==, n);
  g_assert_cmpint (fclose (file), ==, 0);
  return path;
}

void
sample_each_plugin (SampleFunc func)
{
  GPtrArray *modules = qconv_registry_modules ();
  guint n = 0;

  for (guint i = 0; i < modules->len; i++)
    {
      const QconvModule *m = g_ptr_array_index (modules, i);

      if (m->plugin == NULL)
        continue;
      func (m->plugin);
      n++;
    }
  g_assert_cmpuint (n, >, 0);
}
