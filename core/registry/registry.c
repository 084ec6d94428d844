/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Lists the features of all loaded modules. Folders are searched in order, and the first module of a name wins. All of
   core and the program look features up by id. */
#include "registry/registry.h"

#include <string.h>

#include "base/names.h"
#include "registry/module.h"

typedef struct {
  GPtrArray *modules;                                                     /* QconvModule */
  GPtrArray *targets;                                                     /* QconvTargetInfo */
  GPtrArray *all_containers, *all_readers, *all_quantizers, *all_writers; /* in the order of their modules */
  GHashTable *containers, *readers, *quantizers, *writers;
} Registry;

/* Adds the features of one table if @commit. Else returns the first id that is taken, or NULL */
static const char *
add_features (GHashTable *table, gconstpointer const *features, gboolean commit)
{
  for (guint i = 0; features != NULL && features[i] != NULL; i++)
    {
      const char *id = *(const char *const *) features[i]; /* the first member of every feature */

      if (!commit && g_hash_table_contains (table, id))
        return id;
      if (commit)
        g_hash_table_insert (table, (gpointer) id, (gpointer) features[i]);
    }
  return NULL;
}

static const char *
add_plugin (Registry *r, const QconvPlugin *p, gboolean commit)
{
  const char *taken = add_features (r->containers, (gconstpointer const *) p->containers, commit);

  if (taken == NULL)
    taken = add_features (r->readers, (gconstpointer const *) p->readers, commit);
  if (taken == NULL)
    taken = add_features (r->quantizers, (gconstpointer const *) p->quantizers, commit);
  if (taken == NULL)
    taken = add_features (r->writers, (gconstpointer const *) p->writers, commit);
  return taken;
}

static const QconvModule *
find_module (const Registry *r, const char *name)
{
  for (guint i = 0; i < r->modules->len; i++)
    {
      const QconvModule *m = g_ptr_array_index (r->modules, i);

      if (m->plugin != NULL && strcmp (m->name, name) == 0)
        return m;
    }
  return NULL;
}

/* Adds the features of @m, or records why the registry refuses them */
static void
add_module (Registry *r, QconvModule *m)
{
  const char *taken = m->plugin != NULL ? add_plugin (r, m->plugin, FALSE) : NULL;

  g_ptr_array_add (r->modules, m);
  if (taken != NULL)
    {
      m->reason = g_strdup_printf ("duplicate name, another plugin offers \"%s\"", taken);
      m->plugin = NULL;
    }
  if (m->plugin != NULL)
    add_plugin (r, m->plugin, TRUE);
  else
    g_warning ("plugin %s not loaded: %s", m->path, m->reason);
}

static void
load_module (Registry *r, const char *folder, const char *file)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *name = g_strndup (file, strlen (file) - strlen ("." G_MODULE_SUFFIX));
  const QconvModule *earlier = find_module (r, name);
  QconvModule *m;

  /* A module in QCONV_PLUGIN_PATH replaces the installed one of the same name without a warning, so that people can try
     a build */
  if (earlier != NULL && strcmp (folder, QCONV_PLUGIN_DIR) == 0)
    {
      g_info ("plugin %s in %s gives way to %s", name, folder, earlier->path);
      return;
    }
  m = g_new0 (QconvModule, 1);
  m->name = g_steal_pointer (&name);
  m->path = g_build_filename (folder, file, NULL);
  if (earlier != NULL)
    m->reason = g_strdup_printf ("duplicate name, %s was found first", earlier->path);
  else
    m->plugin = qconv_module_open (m->path, m->name, &error);
  if (error != NULL)
    m->reason = g_strdup (error->message);
  add_module (r, m);
}

/* Plugins that are part of the program; NULL: it has none */
static GPtrArray *built_in;
static gboolean without_modules;

void
qconv_registry_add (const QconvPlugin *plugin)
{
  if (built_in == NULL)
    built_in = g_ptr_array_new ();
  g_ptr_array_add (built_in, (gpointer) plugin);
}

void
qconv_registry_add_built_in (const QconvPlugin *plugin)
{
  without_modules = TRUE;
  qconv_registry_add (plugin);
}

static void
load_built_in (Registry *r)
{
  for (guint i = 0; built_in != NULL && i < built_in->len; i++)
    {
      const QconvPlugin *p = g_ptr_array_index (built_in, i);
      g_autoptr (GError) error = NULL;
      QconvModule *m = g_new0 (QconvModule, 1);

      *m = (QconvModule) { .name = g_strdup (p->name), .path = g_strdup (p->name) };
      if (qconv_module_check (p, p->name, &error))
        m->plugin = p;
      else
        m->reason = g_strdup (error->message);
      add_module (r, m);
    }
}

/* Modules and targets begin with their name */
static gint
compare_names (gconstpointer a, gconstpointer b)
{
  return strcmp (**(const char *const *const *) a, **(const char *const *const *) b);
}

static void
load_folder (Registry *r, const char *folder)
{
  g_autoptr (GDir) dir = g_dir_open (folder, 0, NULL);
  g_autoptr (GPtrArray) files = g_ptr_array_new_with_free_func (g_free);
  const char *file;

  while (dir != NULL && (file = g_dir_read_name (dir)) != NULL)
    if (g_str_has_suffix (file, "." G_MODULE_SUFFIX))
      g_ptr_array_add (files, g_strdup (file));
  g_ptr_array_sort (files, qconv_compare_strings);
  for (guint i = 0; i < files->len; i++)
    load_module (r, folder, g_ptr_array_index (files, i));
}

static void
add_targets (Registry *r, const QconvWriter *w)
{
  for (const QconvTarget *t = w->targets; t->name != NULL; t++)
    {
      gboolean plain = t->scheme == NULL || strcmp (t->scheme, "plain") == 0;
      const QconvQuantizer *q = plain ? NULL : g_hash_table_lookup (r->quantizers, t->scheme);
      QconvTargetInfo *info;

      /* Targets with roles are not offered: core cannot give layers of one target several schemes by role yet */
      if (t->roles != NULL || !g_hash_table_contains (r->containers, w->container)
          || (!plain && (q == NULL || q->encoders == NULL)))
        continue;
      info = g_new (QconvTargetInfo, 1);
      *info = (QconvTargetInfo) { g_strconcat (t->name, "-", w->id, NULL), w, t, q };
      g_ptr_array_add (r->targets, info);
    }
}

static void
list_features (GPtrArray *list, gconstpointer const *features)
{
  for (guint i = 0; features != NULL && features[i] != NULL; i++)
    g_ptr_array_add (list, (gpointer) features[i]);
}

static void
list_all_features (Registry *r)
{
  r->all_containers = g_ptr_array_new ();
  r->all_readers = g_ptr_array_new ();
  r->all_quantizers = g_ptr_array_new ();
  r->all_writers = g_ptr_array_new ();
  for (guint i = 0; i < r->modules->len; i++)
    {
      const QconvPlugin *p = ((const QconvModule *) g_ptr_array_index (r->modules, i))->plugin;

      if (p == NULL)
        continue;
      list_features (r->all_containers, (gconstpointer const *) p->containers);
      list_features (r->all_readers, (gconstpointer const *) p->readers);
      list_features (r->all_quantizers, (gconstpointer const *) p->quantizers);
      list_features (r->all_writers, (gconstpointer const *) p->writers);
    }
}

static void
load_folders (Registry *r)
{
  const char *path = g_getenv ("QCONV_PLUGIN_PATH");
  g_auto (GStrv) folders = g_strsplit (path != NULL ? path : "", G_SEARCHPATH_SEPARATOR_S, -1);

  for (guint i = 0; folders[i] != NULL; i++)
    if (*folders[i] != '\0')
      load_folder (r, folders[i]);
  load_folder (r, QCONV_PLUGIN_DIR);
}

static Registry *
load_all (void)
{
  Registry *r = g_new0 (Registry, 1);
  GHashTableIter iter;
  gpointer writer;

  r->modules = g_ptr_array_new ();
  r->targets = g_ptr_array_new ();
  r->containers = g_hash_table_new (g_str_hash, g_str_equal);
  r->readers = g_hash_table_new (g_str_hash, g_str_equal);
  r->quantizers = g_hash_table_new (g_str_hash, g_str_equal);
  r->writers = g_hash_table_new (g_str_hash, g_str_equal);
  if (!without_modules)
    load_folders (r);
  load_built_in (r);
  g_hash_table_iter_init (&iter, r->writers);
  while (g_hash_table_iter_next (&iter, NULL, &writer))
    add_targets (r, writer);
  g_ptr_array_sort (r->modules, compare_names);
  list_all_features (r);
  g_ptr_array_sort (r->targets, compare_names);
  return r;
}

static const Registry *
registry (void)
{
  static Registry *loaded;

  if (g_once_init_enter (&loaded))
    g_once_init_leave (&loaded, load_all ());
  return loaded;
}

gboolean
qconv_registry_check (GError **error)
{
  return registry ()->modules->len > 0
         || qconv_fail (error, QCONV_ERROR_NO_PLUGIN,
                        "there are no plugins in " QCONV_PLUGIN_DIR "; QCONV_PLUGIN_PATH names further folders");
}

GPtrArray *
qconv_registry_modules (void)
{
  return registry ()->modules;
}

GPtrArray *
qconv_registry_targets (void)
{
  return registry ()->targets;
}

GPtrArray *
qconv_registry_containers (void)
{
  return registry ()->all_containers;
}

GPtrArray *
qconv_registry_readers (void)
{
  return registry ()->all_readers;
}

GPtrArray *
qconv_registry_quantizers (void)
{
  return registry ()->all_quantizers;
}

GPtrArray *
qconv_registry_writers (void)
{
  return registry ()->all_writers;
}

const QconvContainer *
qconv_registry_container (const char *id)
{
  return g_hash_table_lookup (registry ()->containers, id);
}

const QconvReader *
qconv_registry_reader (const char *id)
{
  return g_hash_table_lookup (registry ()->readers, id);
}

const QconvQuantizer *
qconv_registry_quantizer (const char *id)
{
  return g_hash_table_lookup (registry ()->quantizers, id);
}

const QconvWriter *
qconv_registry_writer (const char *id)
{
  return g_hash_table_lookup (registry ()->writers, id);
}
