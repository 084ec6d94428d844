/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finds modules, opens them, and checks the tables of plugins. The registry calls it. */
#include "registry/module.h"

#include <stdlib.h>
#include <string.h>

#include "base/names.h"
#include "registry/values.h"

typedef const QconvPlugin *(*PluginFunc) (void);

static const char *
container_problem (const QconvContainer *c)
{
  if (c->id == NULL || c->summary == NULL)
    return "has a container without id or summary";
  if (c->score == NULL || c->open == NULL || c->suffixes == NULL)
    return "has a container that cannot recognise or open its files";
  if (c->split != NULL
      && (c->split->part_name == NULL || c->split->part_metadata == NULL
          || (c->split->index_name == NULL) != (c->split->index == NULL)))
    return "has a container that cannot make all files of a set";
  return qconv_option_table_problem (c->options);
}

static const char *
reader_problem (const QconvReader *r)
{
  if (r->id == NULL || r->summary == NULL)
    return "has a reader without id or summary";
  if (r->score == NULL || r->claim == NULL)
    return "has a reader that cannot recognise or claim layers";
  return qconv_option_table_problem (r->options);
}

static const char *
encoder_problem (const QconvEncoder *e)
{
  if (e->encode == NULL)
    return "has an encoder that cannot encode";
  if (e->accumulate != NULL && e->finish == NULL)
    return "has an encoder with half a pass";
  if (e->work == NULL && e->accumulate != NULL)
    return "has an encoder whose passes are not declared";
  return NULL;
}

static const char *
quantizer_problem (const QconvQuantizer *q)
{
  const char *problem = qconv_option_table_problem (q->options);

  if (q->id == NULL || q->summary == NULL)
    return "has a quantizer without id or summary";
  if (strcmp (q->id, "plain") == 0)
    return "has a quantizer with the reserved id plain";
  if (q->components == NULL)
    return "has a quantizer that does not say its components";
  if (q->encoders != NULL && q->encoders[0] == NULL)
    return "has a quantizer with an empty list of encoders";
  if (q->encoders == NULL && q->decode == NULL)
    return "has a quantizer that neither encodes nor decodes";
  if ((q->examine != NULL) != (q->findings != NULL) || (q->examine != NULL && q->decode == NULL))
    return "has a quantizer that examines components without decoding, or without a list of findings";
  for (guint i = 0; problem == NULL && q->encoders != NULL && q->encoders[i] != NULL; i++)
    problem = encoder_problem (q->encoders[i]);
  return problem;
}

static const char *
writer_problem (const QconvWriter *w)
{
  if (w->id == NULL || w->summary == NULL || strchr (w->id, '-') != NULL)
    return "has a writer without summary or with an id that cannot end a target's name";
  if (w->container == NULL || w->suffix == NULL || w->targets == NULL || w->targets[0].name == NULL)
    return "has a writer without container, suffix or targets";
  for (const QconvTarget *t = w->targets; t->name != NULL; t++)
    {
      if (t->summary == NULL || (guint) t->dtype >= QCONV_N_DTYPES)
        return "has a target without summary or of an unknown type";
      if (t->scheme != NULL && strcmp (t->scheme, "plain") != 0 && w->layer == NULL)
        return "has a writer that cannot write the layers of its targets";
    }
  return qconv_option_table_problem (w->options);
}

/* Returns the first problem of any table; NULL if there is none */
static const char *
plugin_problem (const QconvPlugin *p)
{
  const char *problem = NULL;

  for (guint i = 0; problem == NULL && p->containers != NULL && p->containers[i] != NULL; i++)
    problem = container_problem (p->containers[i]);
  for (guint i = 0; problem == NULL && p->readers != NULL && p->readers[i] != NULL; i++)
    problem = reader_problem (p->readers[i]);
  for (guint i = 0; problem == NULL && p->quantizers != NULL && p->quantizers[i] != NULL; i++)
    problem = quantizer_problem (p->quantizers[i]);
  for (guint i = 0; problem == NULL && p->writers != NULL && p->writers[i] != NULL; i++)
    problem = writer_problem (p->writers[i]);
  return problem;
}

gboolean
qconv_module_check (const QconvPlugin *p, const char *name, GError **error)
{
  const char *problem;

  if (p == NULL)
    return qconv_fail (error, QCONV_ERROR_BUG, "gives no descriptor");
  if (p->abi != QCONV_PLUGIN_ABI)
    return qconv_fail (error, QCONV_ERROR_BUG, "was built for plugin ABI %u, this is %u", p->abi, QCONV_PLUGIN_ABI);
  if (p->api > QCONV_PLUGIN_API)
    return qconv_fail (error, QCONV_ERROR_BUG, "needs plugin API %u.%u, this is %u.%u", p->abi, p->api,
                       QCONV_PLUGIN_ABI, QCONV_PLUGIN_API);
  if (p->name == NULL || strcmp (p->name, name) != 0 || p->summary == NULL || p->license == NULL)
    return qconv_fail (error, QCONV_ERROR_BUG, "has no summary or licence, or another name inside");
  problem = plugin_problem (p);
  return problem == NULL || qconv_fail (error, QCONV_ERROR_BUG, "%s", problem);
}

/* ---- Files ---- */

GStrv
qconv_module_folders (const char *path, const char *installed)
{
  /* Ignored if the process has more rights than who started it, as the dynamic linker ignores its variables */
  const char *value = secure_getenv (path);
  g_auto (GStrv) named = g_strsplit (value != NULL ? value : "", G_SEARCHPATH_SEPARATOR_S, -1);
  g_autoptr (GStrvBuilder) folders = g_strv_builder_new ();

  for (guint i = 0; named[i] != NULL; i++)
    if (*named[i] != '\0')
      g_strv_builder_add (folders, named[i]);
  g_strv_builder_add (folders, installed);
  return g_strv_builder_end (folders);
}

GPtrArray *
qconv_module_names (const char *folder)
{
  g_autoptr (GDir) dir = g_dir_open (folder, 0, NULL);
  GPtrArray *names = g_ptr_array_new_with_free_func (g_free);
  const char *file;

  while (dir != NULL && (file = g_dir_read_name (dir)) != NULL)
    if (g_str_has_suffix (file, "." G_MODULE_SUFFIX))
      g_ptr_array_add (names, g_strndup (file, strlen (file) - strlen ("." G_MODULE_SUFFIX)));
  g_ptr_array_sort (names, qconv_compare_strings);
  return names;
}

char *
qconv_module_path (const char *folder, const char *name)
{
  g_autofree char *file = g_strconcat (name, "." G_MODULE_SUFFIX, NULL);

  return g_build_filename (folder, file, NULL);
}

GModule *
qconv_module_load (const char *path, const char *prefix, const char *name, gpointer *function, GError **error)
{
  g_autofree char *symbol = g_strconcat (prefix, name, NULL);
  /* Binds symbols now: a symbol that core lacks must fail here, not in the middle of a run */
  g_autoptr (GModule) module = g_module_open_full (path, G_MODULE_BIND_LOCAL, error);

  if (module == NULL)
    return NULL;
  if (g_module_symbol (module, symbol, function) && *function != NULL)
    return g_steal_pointer (&module);
  qconv_fail (error, QCONV_ERROR_BUG, "has no symbol %s", symbol);
  return NULL;
}

const QconvPlugin *
qconv_module_open (const char *path, const char *name, GError **error)
{
  PluginFunc plugin = NULL;
  g_autoptr (GModule) module = qconv_module_load (path, "qconv_plugin_", name, (gpointer *) &plugin, error);

  if (module == NULL || !qconv_module_check (plugin (), name, error))
    return NULL;
  g_module_make_resident (module);
  return plugin ();
}
