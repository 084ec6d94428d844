/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Makes layers of claims, and of the tensors that no reader claimed. qconv_model_open() calls it after the readers. */
#include <string.h>

#include "base/error.h"
#include "base/names.h"
#include "graph/claim.h"
#include "graph/codes.h"
#include "layer/hooks.h"
#include "qconv.h"
#include "registry/values.h"

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
    return qconv_hook_broke (&(Hook) { "reader", s->reader, "claim", s->layer->name }, error,
                             "binds component %s, which scheme %s lacks", b->component, s->layer->scheme);
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

/* Returns whether @t has the name of the layer, with or without a prefix, and no ".weight", or names a member behind
   "_": "up_proj_blocks" of "up_proj". A plain file then names the tensor like the layer */
static gboolean
carries_name (const QconvTensor *t, const char *layer)
{
  g_autofree char *behind_prefix = g_strconcat (".", layer, NULL), *weight = qconv_weight_name (layer);

  return t != NULL && strcmp (t->name, weight) != 0
         && (strcmp (t->name, layer) == 0 || g_str_has_suffix (t->name, behind_prefix)
             || (g_str_has_prefix (t->name, layer) && t->name[strlen (layer)] == '_'));
}

/* Returns: (transfer full): the layer of a claim in the scheme of a quantizer, without components; NULL if the
   parameters are wrong, which come from the file */
static Layer *
layer_of_scheme (const QconvClaim *l, GError **error)
{
  const QconvQuantizer *q = qconv_registry_quantizer (l->scheme);
  g_autoptr (QconvValues) values = q != NULL ? qconv_values_new (q->options) : NULL;
  g_autoptr (GError) wrong = NULL;
  Layer *layer;

  if (values != NULL && !qconv_values_parse (values, l->parameters, &wrong))
    {
      qconv_fail (error, QCONV_ERROR_INPUT, "layer \"%s\": %s", l->name, wrong->message);
      return NULL;
    }
  layer
      = qconv_layer_new (l->name, &(Encoding) { l->scheme, q, g_steal_pointer (&values) }, l->dtype, l->rows, l->cols);
  layer->pub.shape = l->shape;
  return layer;
}

/* Returns: (transfer full): the plain layer of a claim, which a load function fills */
static Layer *
plain_layer (const QconvClaim *l, GError **error)
{
  const Binding *b = l->bindings->len == 1 ? g_ptr_array_index (l->bindings, 0) : NULL;

  if (b == NULL || b->load == NULL || strcmp (b->component, "weight") != 0 || l->dtype == QCONV_OPAQUE
      || qconv_dtype_bits (l->dtype) % 8 != 0 || (l->shape.rank > 0 ? l->shape.dim[0] : 1) != l->rows)
    {
      qconv_hook_broke (&(Hook) { "reader", l->reader, "claim", l->name }, error,
                        "claims a plain layer, which must have a load function for \"weight\", items of whole bytes, "
                        "and its rows along axis 0");
      return NULL;
    }
  return qconv_layer_new_plain (l->name, l->dtype, &l->shape);
}

static SourceLayer *
layer_from_claim (QconvClaim *l, GError **error)
{
  g_autoptr (SourceLayer) s = g_new0 (SourceLayer, 1);
  gboolean plain = strcmp (l->scheme, QCONV_PLAIN) == 0;
  guint64 items = 0, area = 0;

  if (__builtin_mul_overflow (l->rows, l->cols, &area) || !qconv_shape_items (&l->shape, &items) || items != area)
    {
      qconv_fail (error, QCONV_ERROR_INPUT, "layer \"%s\": its shape does not hold its rows", l->name);
      return NULL;
    }
  s->layer = plain ? plain_layer (l, error) : layer_of_scheme (l, error);
  if (s->layer == NULL)
    return NULL;
  s->name = plain ? qconv_weight_stem (l->name) : g_strdup (l->name);
  s->plain_name = plain || carries_name (first_tensor (l), l->name) ? g_strdup (l->name) : qconv_weight_name (l->name);
  s->bytes = claimed_bytes (l);
  if (area == 0 && s->bytes > 0)
    {
      qconv_fail (error, QCONV_ERROR_INPUT,
                  "layer \"%s\": reader \"%s\" claims it without rows or columns, but its tensors hold "
                  "%" G_GUINT64_FORMAT " bytes",
                  l->name, l->reader != NULL ? l->reader->id : "?", s->bytes);
      return NULL;
    }
  s->bindings = g_steal_pointer (&l->bindings);
  s->reader = l->reader;
  s->error = l->error;
  s->min_rows = l->min_rows;
  s->scratch = l->scratch;
  s->layer->hints = g_steal_pointer (&l->hints);
  return match_components (s, error) ? g_steal_pointer (&s) : NULL;
}

static SourceLayer *
layer_from_tensor (const QconvClaims *c, const QconvTensor *t, GError **error)
{
  const QconvShape *shape;
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
  s->bindings = qconv_bindings_new ();
  g_ptr_array_add (s->bindings, b);
  s->layer = qconv_layer_new_plain (name, t->dtype, r != NULL && r->has_shape ? &r->shape : &t->shape);
  shape = &s->layer->pub.shape;
  if (shape->rank == 3 && shape->dim[0] == 1) /* a table of positions may be larger than the memory */
    qconv_layer_set_rows (s->layer, shape->dim[1], shape->dim[2]);
  s->plain_name = g_strdup (name);
  s->name = qconv_weight_stem (name);
  s->min_rows = 1;
  s->bytes = t->n_bytes;
  return s;
}

/* Turns @s, a plain layer of the tensor @t, into one that nothing decodes. @why: the reason that errors repeat */
static void
become_codes (SourceLayer *s, const QconvTensor *t, const char *why)
{
  const QconvLayer *l = &s->layer->pub;
  gboolean numbers = g_strcmp0 (why, QCONV_NO_NUMBERS) != 0;
  Layer *codes = qconv_layer_new (
      s->name, &(Encoding) { .scheme = numbers ? QCONV_UNKNOWN_SCALED : qconv_dtype_name (t->dtype) }, QCONV_BF16,
      l->rows, l->cols);

  codes->pub.shape = l->shape;
  codes->hints = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  g_hash_table_insert (codes->hints, g_strdup (QCONV_HINT_UNDECODED), g_strdup (why));
  qconv_layer_unref (s->layer);
  s->layer = codes;
}

/* Makes the layer of a tensor that no reader claimed. @unclaimed: (nullable): all such tensors, if they are judged */
static SourceLayer *
layer_from_unclaimed (const QconvClaims *c, const GPtrArray *unclaimed, const QconvTensor *t, GError **error)
{
  SourceLayer *s = layer_from_tensor (c, t, error);
  g_autofree char *why
      = s != NULL && unclaimed != NULL && !qconv_claims_stated_plain (c, t) ? qconv_codes_suspect (unclaimed, t) : NULL;

  if (why != NULL)
    become_codes (s, t, why);
  return s;
}

/* Fails if a claim binds no tensor: it has no place among the layers */
static gboolean
check_bound (const QconvClaims *c, GError **error)
{
  for (guint i = 0; i < c->claims->len; i++)
    {
      const QconvClaim *l = g_ptr_array_index (c->claims, i);

      if (first_tensor (l) == NULL)
        return qconv_hook_broke (&(Hook) { "reader", l->reader, "claim", l->name }, error, "binds no tensor to it");
    }
  return TRUE;
}

/* Makes layers in the order of the file. A claimed layer takes the place of its first tensor */
GPtrArray *
qconv_claims_finish (QconvClaims *c, GError **error)
{
  g_autoptr (GPtrArray) layers = g_ptr_array_new_with_free_func ((GDestroyNotify) qconv_source_layer_free);
  g_autoptr (GHashTable) names = g_hash_table_new (g_str_hash, g_str_equal);
  g_autoptr (GHashTable) done = g_hash_table_new (NULL, NULL);
  g_autoptr (GPtrArray) unclaimed = NULL;

  if (c->error != NULL)
    {
      g_propagate_error (error, g_steal_pointer (&c->error));
      return NULL;
    }
  if (!check_bound (c, error))
    return NULL;
  unclaimed = c->judged ? qconv_codes_unclaimed (c->directory, c) : NULL;
  for (guint i = 0; i < qconv_directory_n_tensors (c->directory); i++)
    {
      const QconvTensor *t = qconv_directory_tensor (c->directory, i);
      gpointer owner = g_hash_table_lookup (c->owners, t);
      SourceLayer *s;

      if (owner == c || (owner != NULL && !g_hash_table_add (done, owner)))
        continue;
      s = owner != NULL ? layer_from_claim (owner, error) : layer_from_unclaimed (c, unclaimed, t, error);
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
