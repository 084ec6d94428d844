/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Keeps one counted copy of each description of a component; component-pool.h describes it. */
#include "layer/component-pool.h"

/* @pub comes first: the pool finds both by it */
typedef struct {
  QconvComponent pub;
  guint users;
} Pooled;

static GHashTable *pool; /* QconvComponent -> its Pooled */
G_LOCK_DEFINE_STATIC (pool);

static guint
hash_component (gconstpointer key)
{
  const QconvComponent *c = key;
  guint hash = (c->name != NULL ? g_str_hash (c->name) : 0) * 31 + (guint) c->dtype;

  for (guint i = 0; i < MIN (c->shape.rank, QCONV_MAX_RANK); i++)
    hash = hash * 31 + g_int64_hash (&c->shape.dim[i]);
  return hash;
}

/* Nobody has checked yet what a plugin states: names may be NULL, ranks too high */
static gboolean
equal_components (gconstpointer a, gconstpointer b)
{
  const QconvComponent *x = a, *y = b;

  return g_strcmp0 (x->name, y->name) == 0 && x->dtype == y->dtype && x->shape.rank == y->shape.rank
         && (x->shape.rank > QCONV_MAX_RANK || qconv_shape_equal (&x->shape, &y->shape)) && x->run.rows == y->run.rows
         && x->run.n == y->run.n && x->flags == y->flags;
}

static void
free_pooled (gpointer data)
{
  Pooled *p = data;

  g_free ((char *) p->pub.name);
  g_free (p);
}

const QconvComponent *
qconv_component_pooled (const QconvComponent *c)
{
  Pooled *p;

  G_LOCK (pool);
  if (pool == NULL)
    pool = g_hash_table_new_full (hash_component, equal_components, NULL, free_pooled);
  p = g_hash_table_lookup (pool, c);
  if (p == NULL)
    {
      p = g_new (Pooled, 1);
      *p = (Pooled) { .pub = *c };
      p->pub.name = g_strdup (c->name);
      g_hash_table_insert (pool, p, p);
    }
  p->users++;
  G_UNLOCK (pool);
  return &p->pub;
}

void
qconv_component_unpool (const QconvComponent *c)
{
  Pooled *p = (Pooled *) c;

  G_LOCK (pool);
  if (--p->users == 0)
    g_hash_table_remove (pool, p);
  G_UNLOCK (pool);
}
