/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The features of loaded plugins, by kind and id. The registry fills and asks it; targets look up what they need. */
#include "registry/features.h"

/* What one module offers under an id */
typedef struct {
  QconvModule *module;
  gconstpointer feature;
} Offer;

static const struct {
  const char *word;
  gsize offset; /* of the list in QconvPlugin */
} kinds[N_FEATURE_KINDS] = {
  [FEATURE_CONTAINER] = { "container", G_STRUCT_OFFSET (QconvPlugin, containers) },
  [FEATURE_READER] = { "reader", G_STRUCT_OFFSET (QconvPlugin, readers) },
  [FEATURE_QUANTIZER] = { "quantizer", G_STRUCT_OFFSET (QconvPlugin, quantizers) },
  [FEATURE_WRITER] = { "writer", G_STRUCT_OFFSET (QconvPlugin, writers) },
};

/* Returns: (nullable): the list of one kind; ends with NULL */
static gconstpointer const *
features_of (const QconvPlugin *p, FeatureKind kind)
{
  return G_STRUCT_MEMBER (gconstpointer const *, p, kinds[kind].offset);
}

/* The id is the first member of every feature */
static const char *
id_of (gconstpointer feature)
{
  return *(const char *const *) feature;
}

Features *
qconv_features_new (void)
{
  Features *f = g_new0 (Features, 1);

  for (guint kind = 0; kind < N_FEATURE_KINDS; kind++)
    {
      f->owners[kind] = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, g_free);
      f->all[kind] = g_ptr_array_new ();
    }
  return f;
}

void
qconv_module_leave_out (QconvModule *m, const char *kind, const char *id, const QconvModule *owner)
{
  QconvLeftOut *l = g_new (QconvLeftOut, 1);

  *l = (QconvLeftOut) { .kind = kind, .id = g_strdup (id) };
  l->reason = owner == m ? g_strdup ("the plugin offers that id twice")
                         : g_strdup_printf ("plugin %s (%s) has that id", owner->name, owner->path);
  g_ptr_array_add (m->left_out, l);
  g_warning ("plugin %s: %s \"%s\" is left out: %s", m->path, kind, id, l->reason);
}

void
qconv_features_add (Features *f, QconvModule *m)
{
  for (guint kind = 0; kind < N_FEATURE_KINDS; kind++)
    {
      gconstpointer const *features = features_of (m->plugin, kind);

      for (guint i = 0; features != NULL && features[i] != NULL; i++)
        {
          const Offer *taken = g_hash_table_lookup (f->owners[kind], id_of (features[i]));
          Offer *offer;

          if (taken != NULL)
            {
              qconv_module_leave_out (m, kinds[kind].word, id_of (features[i]), taken->module);
              continue;
            }
          offer = g_new (Offer, 1);
          *offer = (Offer) { m, features[i] };
          g_hash_table_insert (f->owners[kind], (gpointer) id_of (features[i]), offer);
        }
    }
}

static void
list_features (Features *f, const QconvPlugin *p, FeatureKind kind)
{
  gconstpointer const *features = features_of (p, kind);

  for (guint i = 0; features != NULL && features[i] != NULL; i++)
    if (qconv_features_find (f, kind, id_of (features[i])) == features[i]
        && !g_ptr_array_find (f->all[kind], features[i], NULL))
      g_ptr_array_add (f->all[kind], (gpointer) features[i]);
}

void
qconv_features_list (Features *f, const GPtrArray *modules)
{
  for (guint i = 0; i < modules->len; i++)
    {
      const QconvPlugin *p = ((const QconvModule *) g_ptr_array_index (modules, i))->plugin;

      for (guint kind = 0; p != NULL && kind < N_FEATURE_KINDS; kind++)
        list_features (f, p, kind);
    }
}

gconstpointer
qconv_features_find (const Features *f, FeatureKind kind, const char *id)
{
  const Offer *offer = g_hash_table_lookup (f->owners[kind], id);

  return offer != NULL ? offer->feature : NULL;
}

QconvModule *
qconv_features_module (const Features *f, const QconvWriter *writer)
{
  return ((const Offer *) g_hash_table_lookup (f->owners[FEATURE_WRITER], writer->id))->module;
}
