/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Collects the claims of readers. qconv_model_open() drives it, readers call the public functions. */
#include "graph/claim.h"

#include <string.h>

#include "layer/hooks.h"

static void
free_binding (gpointer data)
{
  Binding *b = data;

  g_free (b->component);
  g_ptr_array_unref (b->tensors);
  g_clear_pointer (&b->data, g_bytes_unref);
  g_free (b);
}

GPtrArray *
qconv_bindings_new (void)
{
  return g_ptr_array_new_with_free_func (free_binding);
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
  c->plain = g_hash_table_new (NULL, NULL);
  c->dropped_keys = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  c->warnings = qconv_gather_new ();
  return c;
}

void
qconv_claims_free (QconvClaims *c)
{
  g_ptr_array_unref (c->claims);
  g_hash_table_unref (c->owners);
  g_hash_table_unref (c->renames);
  g_hash_table_unref (c->plain);
  g_hash_table_unref (c->dropped_keys);
  qconv_gather_free (c->warnings);
  g_clear_error (&c->error);
  g_free (c);
}

/* States that tensors whose names match are plain */
static gboolean
state_matching (QconvClaims *c, const char *pattern, GError **error)
{
  g_autoptr (GError) broken = NULL;
  g_autoptr (GRegex) re = g_regex_new (pattern, 0, 0, &broken);
  guint n = 0;

  if (re == NULL)
    return qconv_fail (error, QCONV_ERROR_OPTION, "--allow-unscaled %s: %s", pattern, broken->message);
  for (guint i = 0; i < qconv_directory_n_tensors (c->directory); i++)
    {
      const QconvTensor *t = qconv_directory_tensor (c->directory, i);

      if (g_regex_match (re, t->name, 0, NULL) && ++n > 0)
        g_hash_table_add (c->plain, (gpointer) t);
    }
  return n > 0 || qconv_fail (error, QCONV_ERROR_OPTION, "--allow-unscaled %s matches no tensor", pattern);
}

gboolean
qconv_claims_judge (QconvClaims *c, const char *const *plain, GError **error)
{
  c->judged = TRUE;
  for (guint i = 0; plain != NULL && plain[i] != NULL; i++)
    if (!state_matching (c, plain[i], error))
      return FALSE;
  return TRUE;
}

void
qconv_claims_set_reader (QconvClaims *c, const QconvReader *reader)
{
  c->reader = reader;
}

GPtrArray *
qconv_claims_warnings (const QconvClaims *c)
{
  return qconv_gather_lines (c->warnings);
}

gboolean
qconv_claims_taken (const QconvClaims *c, const QconvTensor *t)
{
  g_return_val_if_fail (c != NULL, FALSE);
  return g_hash_table_contains (c->owners, t);
}

gboolean
qconv_claims_allow_nonfinite (const QconvClaims *c)
{
  g_return_val_if_fail (c != NULL, FALSE);
  return c->allow_nonfinite;
}

void
qconv_claims_state_plain (QconvClaims *c, const QconvTensor *t)
{
  g_return_if_fail (c != NULL && t != NULL);
  g_hash_table_add (c->plain, (gpointer) t);
}

gboolean
qconv_claims_stated_plain (const QconvClaims *c, const QconvTensor *t)
{
  g_return_val_if_fail (c != NULL, FALSE);
  return g_hash_table_contains (c->plain, t);
}

/* Records the first wrong claim of the reader; qconv_claims_finish() reports it. @layer: (nullable) */
static void G_GNUC_PRINTF (3, 4) record_broken (QconvClaims *c, const char *layer, const char *format, ...)
{
  g_autofree char *fault = NULL;
  va_list args;

  if (c->error != NULL)
    return;
  va_start (args, format);
  fault = g_strdup_vprintf (format, args);
  va_end (args);
  qconv_hook_broke (&(Hook) { "reader", c->reader, "claim", layer }, &c->error, "%s", fault);
}

QconvClaim *
qconv_claims_layer (QconvClaims *c, const char *name, const char *scheme, const char *parameters, guint64 rows,
                    guint64 cols, QconvDType dtype)
{
  QconvClaim *l;

  g_return_val_if_fail (c != NULL && name != NULL && scheme != NULL, NULL);
  if ((guint) dtype >= QCONV_N_DTYPES)
    record_broken (c, name, "claims a layer of an unknown type");
  l = g_new0 (QconvClaim, 1);
  l->claims = c;
  l->name = g_strdup (name);
  l->scheme = g_strdup (scheme);
  l->parameters = g_strdup (parameters);
  l->rows = rows;
  l->cols = cols;
  l->min_rows = 1;
  l->dtype = dtype;
  l->shape = QCONV_SHAPE2 (rows, cols);
  l->bindings = qconv_bindings_new ();
  l->reader = c->reader;
  g_ptr_array_add (c->claims, l);
  return l;
}

/* Returns whether @t is a tensor of the directory, not a copy or a tensor of another file */
static gboolean
is_listed (const QconvClaims *c, const QconvTensor *t)
{
  return t != NULL && qconv_directory_find (c->directory, t->name) == t;
}

static void
bind_tensor (QconvClaim *l, Binding *b, const QconvTensor *t)
{
  QconvClaims *c = l->claims;
  gpointer owner = g_hash_table_lookup (c->owners, t);

  if (!is_listed (c, t))
    {
      record_broken (c, l->name, "binds a tensor that is not of the directory");
      return;
    }
  if (owner != NULL && owner != l && c->error == NULL)
    qconv_fail (&c->error, QCONV_ERROR_INPUT, "tensor \"%s\" belongs to two layers", t->name);
  g_hash_table_insert (c->owners, (gpointer) t, l);
  g_ptr_array_add (b->tensors, (gpointer) t);
}

/* Binds @component to @tensor and those that follow in @args, which ends with NULL */
static void
bind_tensors (QconvClaim *l, const char *component, QconvLoadFunc load, GBytes *data, const QconvTensor *tensor,
              va_list args)
{
  Binding *b = g_new0 (Binding, 1);

  b->component = g_strdup (component);
  b->load = load;
  b->data = data != NULL ? g_bytes_ref (data) : NULL;
  b->tensors = g_ptr_array_new ();
  for (const QconvTensor *t = tensor; t != NULL; t = va_arg (args, const QconvTensor *))
    bind_tensor (l, b, t);
  g_ptr_array_add (b->tensors, NULL);
  if (load == NULL && b->tensors->len != 2)
    record_broken (l->claims, l->name, "binds component %s without a load function to %u tensors", component,
                   b->tensors->len - 1);
  for (guint i = 0; i < l->bindings->len; i++)
    if (strcmp (((const Binding *) g_ptr_array_index (l->bindings, i))->component, component) == 0)
      record_broken (l->claims, l->name, "binds component %s twice", component);
  g_ptr_array_add (l->bindings, b);
}

void
qconv_claim_bind (QconvClaim *l, const char *component, QconvLoadFunc load, const QconvTensor *tensor, ...)
{
  va_list args;

  g_return_if_fail (l != NULL && component != NULL);
  va_start (args, tensor);
  bind_tensors (l, component, load, NULL, tensor, args);
  va_end (args);
}

void
qconv_claim_bind_data (QconvClaim *l, const char *component, QconvLoadFunc load, GBytes *data,
                       const QconvTensor *tensor, ...)
{
  va_list args;

  g_return_if_fail (l != NULL && component != NULL && load != NULL);
  va_start (args, tensor);
  bind_tensors (l, component, load, data, tensor, args);
  va_end (args);
}

void
qconv_claim_shape (QconvClaim *l, const QconvShape *shape)
{
  g_return_if_fail (l != NULL && shape != NULL);
  if (shape->rank > QCONV_MAX_RANK)
    record_broken (l->claims, l->name, "sets a shape of rank %u", shape->rank);
  else
    l->shape = *shape;
}

void
qconv_claim_hint (QconvClaim *l, const char *key, const char *value)
{
  g_return_if_fail (l != NULL && key != NULL && value != NULL);
  if (l->hints == NULL)
    l->hints = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  g_hash_table_replace (l->hints, g_strdup (key), g_strdup (value));
}

void
qconv_claim_cost (QconvClaim *l, guint64 min_rows, gsize scratch)
{
  g_return_if_fail (l != NULL);
  l->min_rows = MAX (min_rows, 1);
  l->scratch = scratch;
}

void
qconv_claim_error (QconvClaim *l, QconvLoadFunc load)
{
  g_return_if_fail (l != NULL && load != NULL);
  if (strcmp (l->scheme, "plain") != 0)
    record_broken (l->claims, l->name, "states an error of numbers that are not plain");
  l->error = load;
}

void
qconv_claims_drop (QconvClaims *c, const QconvTensor *t)
{
  gpointer owner;

  g_return_if_fail (c != NULL && t != NULL);
  owner = g_hash_table_lookup (c->owners, t);
  if (!is_listed (c, t))
    record_broken (c, NULL, "drops a tensor that is not of the directory");
  else if (owner != NULL && owner != c)
    record_broken (c, NULL, "drops tensor \"%s\", which is bound to a layer", t->name);
  else
    g_hash_table_insert (c->owners, (gpointer) t, c);
}

void
qconv_claims_drop_metadata (QconvClaims *c, const char *key)
{
  g_return_if_fail (c != NULL && key != NULL);
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
  guint64 have = 0, want = 0;
  Rename *r;

  g_return_if_fail (c != NULL && t != NULL);
  if (!is_listed (c, t))
    {
      record_broken (c, NULL, "renames a tensor that is not of the directory");
      return;
    }
  if (shape != NULL && (!qconv_shape_items (shape, &want) || !qconv_shape_items (&t->shape, &have) || want != have))
    {
      record_broken (c, NULL, "gives tensor \"%s\" a shape of another number of items", t->name);
      return;
    }
  r = g_new0 (Rename, 1);
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

  g_return_if_fail (c != NULL && format != NULL);
  va_start (args, format);
  qconv_gather_add_valist (c->warnings, NULL, NULL, format, args);
  va_end (args);
}

void
qconv_claims_warn_each (QconvClaims *c, const char *name, const char *code, const char *format, ...)
{
  va_list args;

  g_return_if_fail (c != NULL && code != NULL && format != NULL);
  va_start (args, format);
  qconv_gather_add_valist (c->warnings, name, code, format, args);
  va_end (args);
}
