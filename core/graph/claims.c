/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Collects the claims of readers and makes layers of them. qconv_model_open() drives it, readers call the public
   functions. */
#include "graph/claims.h"

#include <string.h>

#include "base/error.h"
#include "base/names.h"
#include "qconv.h"
#include "registry/values.h"

struct _QconvClaim {
  QconvClaims *claims;
  char *name, *scheme, *parameters;
  guint64 rows, cols, min_rows;
  QconvDType dtype;
  QconvShape shape;
  GHashTable *hints;
  GPtrArray *bindings;
  const QconvReader *reader;
  gsize scratch;
};

typedef struct {
  char *name;
  gboolean has_shape;
  QconvShape shape;
} Rename;

struct _QconvClaims {
  const QconvDirectory *directory;
  gboolean allow_nonfinite;
  const QconvReader *reader;
  GPtrArray *claims;   /* QconvClaim */
  GHashTable *owners;  /* QconvTensor -> QconvClaim; a dropped tensor has the QconvClaims as owner */
  GHashTable *renames; /* QconvTensor -> Rename */
  GHashTable *dropped_keys;
  GPtrArray *warnings;
  GError *error; /* the first wrong claim of a reader */
};

static void
free_binding (gpointer data)
{
  Binding *b = data;

  g_free (b->component);
  g_ptr_array_unref (b->tensors);
  g_free (b);
}

static void
free_claim (gpointer data)
{
  QconvClaim *l = data;

  g_free (l->name);
  g_free (l->scheme);
  g_free (l->parameters);
  g_clear_pointer (&l->hints, g_hash_table_unref);
  g_clear_pointer (&l->bindings, g_ptr_array_unref);
  g_free (l);
}

static void
free_rename (gpointer data)
{
  Rename *r = data;

  g_free (r->name);
  g_free (r);
}

QconvClaims *
qconv_claims_new (const QconvDirectory *d, gboolean allow_nonfinite)
{
  QconvClaims *c = g_new0 (QconvClaims, 1);

  c->directory = d;
  c->allow_nonfinite = allow_nonfinite;
  c->claims = g_ptr_array_new_with_free_func (free_claim);
  c->owners = g_hash_table_new (NULL, NULL);
  c->renames = g_hash_table_new_full (NULL, NULL, NULL, free_rename);
  c->dropped_keys = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  c->warnings = g_ptr_array_new_with_free_func (g_free);
  return c;
}

void
qconv_claims_free (QconvClaims *c)
{
  g_ptr_array_unref (c->claims);
  g_hash_table_unref (c->owners);
  g_hash_table_unref (c->renames);
  g_hash_table_unref (c->dropped_keys);
  g_ptr_array_unref (c->warnings);
  g_clear_error (&c->error);
  g_free (c);
}

void
qconv_claims_set_reader (QconvClaims *c, const QconvReader *reader)
{
  c->reader = reader;
}

GPtrArray *
qconv_claims_warnings (const QconvClaims *c)
{
  return c->warnings;
}

gboolean
qconv_claims_taken (const QconvClaims *c, const QconvTensor *t)
{
  return g_hash_table_contains (c->owners, t);
}

gboolean
qconv_claims_allow_nonfinite (const QconvClaims *c)
{
  return c->allow_nonfinite;
}

QconvClaim *
qconv_claims_layer (QconvClaims *c, const char *name, const char *scheme, const char *parameters, guint64 rows,
                    guint64 cols, QconvDType dtype)
{
  QconvClaim *l = g_new0 (QconvClaim, 1);

  if (strcmp (scheme, QCONV_PLAIN) == 0 && c->error == NULL)
    qconv_fail (&c->error, QCONV_ERROR_BUG, "layer \"%s\": a plain layer must not be claimed", name);
  l->claims = c;
  l->name = g_strdup (name);
  l->scheme = g_strdup (scheme);
  l->parameters = g_strdup (parameters);
  l->rows = rows;
  l->cols = cols;
  l->min_rows = 1;
  l->dtype = dtype;
  l->shape = QCONV_SHAPE2 (rows, cols);
  l->bindings = g_ptr_array_new_with_free_func (free_binding);
  l->reader = c->reader;
  g_ptr_array_add (c->claims, l);
  return l;
}

void
qconv_claim_bind (QconvClaim *l, const char *component, QconvLoadFunc load, const QconvTensor *tensor, ...)
{
  QconvClaims *c = l->claims;
  Binding *b = g_new0 (Binding, 1);
  va_list args;

  b->component = g_strdup (component);
  b->load = load;
  b->tensors = g_ptr_array_new ();
  va_start (args, tensor);
  for (const QconvTensor *t = tensor; t != NULL; t = va_arg (args, const QconvTensor *))
    {
      gpointer owner = g_hash_table_lookup (c->owners, t);

      if (owner != NULL && owner != l && c->error == NULL)
        qconv_fail (&c->error, QCONV_ERROR_INPUT, "tensor \"%s\" belongs to two layers", t->name);
      g_hash_table_insert (c->owners, (gpointer) t, l);
      g_ptr_array_add (b->tensors, (gpointer) t);
    }
  va_end (args);
  g_ptr_array_add (b->tensors, NULL);
  if (load == NULL && b->tensors->len != 2 && c->error == NULL)
    qconv_fail (&c->error, QCONV_ERROR_BUG, "layer \"%s\": component %s has no load function and not one tensor",
                l->name, component);
  g_ptr_array_add (l->bindings, b);
}

void
qconv_claim_shape (QconvClaim *l, const QconvShape *shape)
{
  l->shape = *shape;
}

void
qconv_claim_hint (QconvClaim *l, const char *key, const char *value)
{
  if (l->hints == NULL)
    l->hints = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  g_hash_table_replace (l->hints, g_strdup (key), g_strdup (value));
}

void
qconv_claim_cost (QconvClaim *l, guint64 min_rows, gsize scratch)
{
  l->min_rows = MAX (min_rows, 1);
  l->scratch = scratch;
}

void
qconv_claims_drop (QconvClaims *c, const QconvTensor *t)
{
  g_hash_table_insert (c->owners, (gpointer) t, c);
}

void
qconv_claims_drop_metadata (QconvClaims *c, const char *key)
{
  g_hash_table_add (c->dropped_keys, g_strdup (key));
}

gboolean
qconv_claims_metadata_dropped (const QconvClaims *c, const char *key)
{
  return g_hash_table_contains (c->dropped_keys, key);
}

void
qconv_claims_rename (QconvClaims *c, const QconvTensor *t, const char *name, const QconvShape *shape)
{
  Rename *r = g_new0 (Rename, 1);

  r->name = g_strdup (name);
  r->has_shape = shape != NULL;
  if (shape != NULL)
    r->shape = *shape;
  g_hash_table_replace (c->renames, (gpointer) t, r);
}

void
qconv_claims_warn (QconvClaims *c, const char *format, ...)
{
  va_list args;

  va_start (args, format);
  g_ptr_array_add (c->warnings, g_strdup_vprintf (format, args));
  va_end (args);
}

/* ---- Claims become layers ---- */

/* Returns whether a tensor can be the component without a load function: the types are equal, both have 8 bits,
   or the component is F32 and the tensor is F16 or BF16 */
static gboolean
fits_component (QconvDType tensor, QconvDType component)
{
  return tensor == component || (qconv_dtype_bits (tensor) == 8 && qconv_dtype_bits (component) == 8)
         || (component == QCONV_F32 && (tensor == QCONV_F16 || tensor == QCONV_BF16));
}

static gboolean
same_but_for_ones (const QconvShape *a, const QconvShape *b)
{
  guint i = 0, j = 0;

  for (;; i++, j++)
    {
      while (i < a->rank && a->dim[i] == 1)
        i++;
      while (j < b->rank && b->dim[j] == 1)
        j++;
      if (i == a->rank || j == b->rank)
        return i == a->rank && j == b->rank;
      if (a->dim[i] != b->dim[j])
        return FALSE;
    }
}

/* Checks that the component exists. Without a load function, checks that the tensor has the type and the shape of
   the component */
static gboolean
check_binding (const SourceLayer *s, const Binding *b, GError **error)
{
  const QconvComponent *c = qconv_layer_component (&s->layer->pub, b->component);
  const QconvTensor *t = g_ptr_array_index (b->tensors, 0);
  guint64 have = 0, want = 0;

  if (c == NULL)
    return qconv_fail (error, QCONV_ERROR_BUG, "layer \"%s\": scheme %s has no component %s", s->layer->name,
                       s->layer->scheme, b->component);
  if (b->load != NULL)
    return TRUE;
  if (!fits_component (t->dtype, c->dtype))
    return qconv_fail (error, QCONV_ERROR_INPUT, "layer \"%s\": tensor \"%s\" is %s where %s is needed", s->layer->name,
                       t->name, qconv_dtype_name (t->dtype), qconv_dtype_name (c->dtype));
  if (!qconv_shape_items (&t->shape, &have) || !qconv_shape_items (&c->shape, &want) || have != want
      || !same_but_for_ones (&t->shape, &c->shape))
    return qconv_fail (error, QCONV_ERROR_INPUT,
                       "layer \"%s\": tensor \"%s\" has %" G_GUINT64_FORMAT " items where %" G_GUINT64_FORMAT
                       " are needed",
                       s->layer->name, t->name, have, want);
  return TRUE;
}

/* Compares the claimed components with the components of the quantizer. Drops optional components that the claim
   lacks */
static gboolean
match_components (SourceLayer *s, GError **error)
{
  Layer *l = s->layer;

  if (l->quantizer == NULL)
    return TRUE;
  if (!qconv_layer_ask_components (l, error))
    {
      qconv_error_name_layer (error, l->name);
      return FALSE;
    }
  for (guint i = l->components->len; i-- > 0;)
    {
      const QconvComponent *c = g_ptr_array_index (l->components, i);

      if (qconv_source_layer_binding (s, c->name) != NULL)
        continue;
      if ((c->flags & QCONV_COMPONENT_OPTIONAL) == 0)
        return qconv_fail (error, QCONV_ERROR_INPUT, "layer \"%s\": component %s is missing", l->name, c->name);
      qconv_layer_drop_component (l, c->name);
    }
  for (guint i = 0; i < s->bindings->len; i++)
    if (!check_binding (s, g_ptr_array_index (s->bindings, i), error))
      return FALSE;
  return TRUE;
}

static const QconvTensor *
first_tensor (const QconvClaim *l)
{
  for (guint i = 0; i < l->bindings->len; i++)
    {
      const Binding *b = g_ptr_array_index (l->bindings, i);

      if (b->tensors->len > 1)
        return g_ptr_array_index (b->tensors, 0);
    }
  return NULL;
}

static guint64
claimed_bytes (const QconvClaim *l)
{
  g_autoptr (GHashTable) seen = g_hash_table_new (NULL, NULL);
  guint64 bytes = 0;

  for (guint i = 0; i < l->bindings->len; i++)
    {
      const Binding *b = g_ptr_array_index (l->bindings, i);

      for (guint j = 0; j + 1 < b->tensors->len; j++)
        {
          const QconvTensor *t = g_ptr_array_index (b->tensors, j);

          if (g_hash_table_add (seen, (gpointer) t))
            bytes += t->n_bytes;
        }
    }
  return bytes;
}

/* Returns whether @t has the name of the layer, with or without a prefix, and no ".weight". A plain file then
   names the tensor like the layer */
static gboolean
carries_name (const QconvTensor *t, const char *layer)
{
  g_autofree char *behind_prefix = g_strconcat (".", layer, NULL), *weight = qconv_weight_name (layer);

  return t != NULL && strcmp (t->name, weight) != 0
         && (strcmp (t->name, layer) == 0 || g_str_has_suffix (t->name, behind_prefix));
}

static SourceLayer *
layer_from_claim (QconvClaim *l, GError **error)
{
  g_autoptr (SourceLayer) s = g_new0 (SourceLayer, 1);
  const QconvQuantizer *q = qconv_registry_quantizer (l->scheme);
  g_autoptr (QconvValues) values = q != NULL ? qconv_values_new (q->options) : NULL;
  const QconvTensor *first = first_tensor (l);
  guint64 items = 0, area = 0;

  s->name = g_strdup (l->name);
  s->bytes = claimed_bytes (l);
  s->bindings = g_steal_pointer (&l->bindings);
  s->reader = l->reader;
  s->min_rows = l->min_rows;
  s->scratch = l->scratch;
  s->plain_name = carries_name (first, l->name) ? g_strdup (l->name) : qconv_weight_name (l->name);
  if (values != NULL && !qconv_values_parse (values, l->parameters, error))
    return NULL;
  s->layer
      = qconv_layer_new (l->name, &(Encoding) { l->scheme, q, g_steal_pointer (&values) }, l->dtype, l->rows, l->cols);
  s->layer->pub.shape = l->shape;
  s->layer->hints = g_steal_pointer (&l->hints);
  if (__builtin_mul_overflow (l->rows, l->cols, &area) || !qconv_shape_items (&l->shape, &items) || items != area)
    {
      qconv_fail (error, QCONV_ERROR_INPUT, "layer \"%s\": its shape does not hold its rows", l->name);
      return NULL;
    }
  return match_components (s, error) ? g_steal_pointer (&s) : NULL;
}

static SourceLayer *
layer_from_tensor (const QconvClaims *c, const QconvTensor *t, GError **error)
{
  SourceLayer *s = g_new0 (SourceLayer, 1);
  const Rename *r = g_hash_table_lookup (c->renames, t);
  const char *name = r != NULL && r->name != NULL ? r->name : t->name;
  Binding *b = g_new0 (Binding, 1);

  if (t->dtype == QCONV_OPAQUE)
    {
      g_free (b);
      g_free (s);
      qconv_fail (error, QCONV_ERROR_UNSUPPORTED, "tensor \"%s\": its type %s means nothing outside its container",
                  t->name, t->type != NULL ? t->type : "");
      return NULL;
    }
  b->component = g_strdup ("weight");
  b->tensors = g_ptr_array_new ();
  g_ptr_array_add (b->tensors, (gpointer) t);
  g_ptr_array_add (b->tensors, NULL);
  s->bindings = g_ptr_array_new_with_free_func (free_binding);
  g_ptr_array_add (s->bindings, b);
  s->layer = qconv_layer_new_plain (name, t->dtype, r != NULL && r->has_shape ? &r->shape : &t->shape);
  s->plain_name = g_strdup (name);
  s->name = qconv_weight_stem (name);
  s->min_rows = 1;
  s->bytes = t->n_bytes;
  return s;
}

/* Makes layers in the order of the file. A claimed layer takes the place of its first tensor */
GPtrArray *
qconv_claims_finish (QconvClaims *c, GError **error)
{
  g_autoptr (GPtrArray) layers = g_ptr_array_new_with_free_func ((GDestroyNotify) qconv_source_layer_free);
  g_autoptr (GHashTable) names = g_hash_table_new (g_str_hash, g_str_equal);
  g_autoptr (GHashTable) done = g_hash_table_new (NULL, NULL);

  if (c->error != NULL)
    {
      g_propagate_error (error, g_steal_pointer (&c->error));
      return NULL;
    }
  for (guint i = 0; i < qconv_directory_n_tensors (c->directory); i++)
    {
      const QconvTensor *t = qconv_directory_tensor (c->directory, i);
      gpointer owner = g_hash_table_lookup (c->owners, t);
      SourceLayer *s;

      if (owner == c || (owner != NULL && !g_hash_table_add (done, owner)))
        continue;
      s = owner != NULL ? layer_from_claim (owner, error) : layer_from_tensor (c, t, error);
      if (s == NULL)
        return NULL;
      g_ptr_array_add (layers, s);
      if (!g_hash_table_add (names, s->plain_name))
        {
          qconv_fail (error, QCONV_ERROR_INPUT, "two layers are called \"%s\"", s->plain_name);
          return NULL;
        }
    }
  return g_steal_pointer (&layers);
}
