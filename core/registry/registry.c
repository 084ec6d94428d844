/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Loads the modules and lists their features. Folders are searched in order, and the first module of a name wins. All
   of core and the program look features up by id. */
#include "registry/registry.h"

#include <stdlib.h>
#include <string.h>

#include "base/names.h"
#include "registry/features.h"
#include "registry/module.h"
#include "registry/target.h"

typedef struct {
  GPtrArray *modules; /* QconvModule */
  Features *features;
  Targets *targets;
} Registry;

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

static QconvModule *
new_module (const char *name, char *path)
{
  QconvModule *m = g_new0 (QconvModule, 1);

  *m = (QconvModule) { .name = g_strdup (name), .path = path, .left_out = g_ptr_array_new () };
  return m;
}

/* Adds @m and its features, or warns that it did not load */
static void
add_module (Registry *r, QconvModule *m)
{
  g_ptr_array_add (r->modules, m);
  if (m->plugin != NULL)
    qconv_features_add (r->features, m);
  else
    g_warning ("plugin %s not loaded: %s", m->path, m->reason);
}

static void
load_module (Registry *r, const char *folder, const char *name)
{
  g_autoptr (GError) error = NULL;
  const QconvModule *earlier = find_module (r, name);
  QconvModule *m;

  /* A module in QCONV_PLUGIN_PATH replaces the installed one of the same name without a warning, so that people can try
     a build */
  if (earlier != NULL && strcmp (folder, QCONV_PLUGIN_DIR) == 0)
    {
      g_info ("plugin %s in %s gives way to %s", name, folder, earlier->path);
      return;
    }
  m = new_module (name, qconv_module_path (folder, name));
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
      QconvModule *m = new_module (p->name, g_strdup (p->name));

      if (qconv_module_check (p, p->name, &error))
        m->plugin = p;
      else
        m->reason = g_strdup (error->message);
      add_module (r, m);
    }
}

static gint
compare_modules (gconstpointer a, gconstpointer b)
{
  return strcmp ((*(const QconvModule *const *) a)->name, (*(const QconvModule *const *) b)->name);
}

static void
load_folders (Registry *r)
{
  g_auto (GStrv) folders = qconv_module_folders ("QCONV_PLUGIN_PATH", QCONV_PLUGIN_DIR);

  for (guint i = 0; folders[i] != NULL; i++)
    {
      g_autoptr (GPtrArray) names = qconv_module_names (folders[i]);

      for (guint k = 0; k < names->len; k++)
        load_module (r, folders[i], g_ptr_array_index (names, k));
    }
}

static Registry *
load_all (void)
{
  Registry *r = g_new0 (Registry, 1);

  r->modules = g_ptr_array_new ();
  r->features = qconv_features_new ();
  if (!without_modules)
    load_folders (r);
  load_built_in (r);
  g_ptr_array_sort (r->modules, compare_modules);
  qconv_features_list (r->features, r->modules);
  r->targets = qconv_targets_new (r->features);
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
  return registry ()->targets->offered;
}

GPtrArray *
qconv_registry_targets_not_offered (void)
{
  return registry ()->targets->others;
}

GPtrArray *
qconv_registry_containers (void)
{
  return registry ()->features->all[FEATURE_CONTAINER];
}

GPtrArray *
qconv_registry_readers (void)
{
  return registry ()->features->all[FEATURE_READER];
}

GPtrArray *
qconv_registry_quantizers (void)
{
  return registry ()->features->all[FEATURE_QUANTIZER];
}

GPtrArray *
qconv_registry_writers (void)
{
  return registry ()->features->all[FEATURE_WRITER];
}

const QconvContainer *
qconv_registry_container (const char *id)
{
  return qconv_features_find (registry ()->features, FEATURE_CONTAINER, id);
}

const QconvReader *
qconv_registry_reader (const char *id)
{
  return qconv_features_find (registry ()->features, FEATURE_READER, id);
}

const QconvQuantizer *
qconv_registry_quantizer (const char *id)
{
  return qconv_features_find (registry ()->features, FEATURE_QUANTIZER, id);
}

const QconvWriter *
qconv_registry_writer (const char *id)
{
  return qconv_features_find (registry ()->features, FEATURE_WRITER, id);
}
