/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Checks and keeps the tensors that writers plan. Writers call the public functions, the plan the others. */
#include "plan/output.h"

#include <string.h>

#include "io/directory.h"
#include "layer/hooks.h"
#include "registry/values.h"

static void
free_planned_tensor (gpointer data)
{
  PlannedTensor *t = data;

  g_clear_pointer (&t->data, g_bytes_unref);
  g_free (t);
}

static void
free_name (gpointer data)
{
  OutputName *n = data;

  g_clear_pointer (&n->bytes, g_bytes_unref);
  g_free (n->name);
  g_free (n);
}

void
qconv_output_init (QconvOutput *o, const QconvModel *model, const QconvTargetInfo *target)
{
  const char *const *keys = qconv_directory_metadata_keys (model->directory);
  gboolean verbatim = target->target->scheme == NULL;

  o->model = model;
  o->writer = target->writer;
  o->target = target->target->name;
  o->options = qconv_values_new (o->writer->options);
  o->directory = qconv_directory_new (NULL, NULL);
  o->layers = g_ptr_array_new_with_free_func ((GDestroyNotify) qconv_planned_layer_free);
  o->tensors = g_ptr_array_new_with_free_func (free_planned_tensor);
  o->files = g_ptr_array_new_with_free_func (free_name);
  for (guint i = 0; keys[i] != NULL; i++)
    if (verbatim || !qconv_claims_metadata_dropped (model->claims, keys[i]))
      qconv_directory_replace_metadata (o->directory, keys[i], qconv_directory_metadata (model->directory, keys[i]));
}

void
qconv_output_clear (QconvOutput *o)
{
  g_clear_pointer (&o->facts, g_hash_table_unref);
  g_clear_pointer (&o->tensors, g_ptr_array_unref);
  g_clear_pointer (&o->files, g_ptr_array_unref);
  g_clear_pointer (&o->layers, g_ptr_array_unref);
  g_clear_pointer (&o->directory, qconv_directory_free);
  g_clear_pointer (&o->options, qconv_values_free);
}

/* Checks that a tensor of @n_bytes without pack function can take the items of its component: as many, of the same
   width or cast from float to float, or all bytes as blocks */
static gboolean
check_items (const QconvComponent *c, const QconvPlanned *p, guint64 n_bytes, const Hook *hook, GError **error)
{
  guint64 have = 0, want = 0, bytes = 0, planned = 0;

  if (p->dtype == QCONV_OPAQUE)
    return (qconv_shape_bytes (&c->shape, c->dtype, &bytes) && bytes == n_bytes)
           || qconv_hook_broke (hook, error, "plans blocks of another size than component %s has", p->from);
  if (c->dtype != p->dtype && qconv_dtype_bits (c->dtype) != qconv_dtype_bits (p->dtype)
      && !(qconv_dtype_is_float (c->dtype) && qconv_dtype_is_float (p->dtype)))
    return qconv_hook_broke (hook, error, "plans %s for component %s, which is %s", qconv_dtype_name (p->dtype),
                             p->from, qconv_dtype_name (c->dtype));
  /* Rows of U4 are filled up to bytes, so other axes can make other bytes of as many items */
  return (qconv_shape_items (&c->shape, &have) && qconv_shape_items (&p->shape, &want) && have == want
          && (c->dtype != p->dtype
              || (qconv_shape_bytes (&c->shape, c->dtype, &bytes) && qconv_shape_bytes (&p->shape, p->dtype, &planned)
                  && bytes == planned)))
         || qconv_hook_broke (hook, error, "plans another number of items than component %s has", p->from);
}

/* Checks that the runs of a packed tensor of @bytes start inside of it */
static gboolean
check_run (const QconvLayer *l, const QconvPlanned *p, guint64 bytes, const Hook *hook, GError **error)
{
  return p->run.rows == 0 || (l != NULL && qconv_run_fits (&p->run, l->rows, bytes))
         || qconv_hook_broke (hook, error, "plans runs that do not fit the %" G_GUINT64_FORMAT " bytes of the tensor",
                              bytes);
}

static gboolean
whole_blocks (const QconvPlanned *p)
{
  return p->shape.rank > 0 && p->blocks->items > 0 && p->shape.dim[p->shape.rank - 1] % p->blocks->items == 0;
}

/* Sets @bytes to those of the tensor. Returns FALSE if they are too many */
static gboolean
planned_bytes (const QconvPlanned *p, guint64 *bytes)
{
  guint64 items;

  if (p->blocks == NULL)
    return qconv_shape_bytes (&p->shape, p->dtype, bytes);
  return qconv_shape_items (&p->shape, &items)
         && !__builtin_mul_overflow (items / p->blocks->items, p->blocks->bytes, bytes);
}

/* Returns the hook of the writer that is running */
static Hook
writer_hook (const QconvOutput *o)
{
  if (o->current == NULL)
    return (Hook) { "writer", o->writer, "end", NULL };
  return (Hook) { "writer", o->writer, o->current->layer->quantizer != NULL ? "layer" : "keep",
                  o->current->layer->name };
}

/* Checks what a writer states about the tensor called @name. @layer: (nullable): that it belongs to; *bytes: of the
   tensor */
static gboolean
check_planned (const QconvOutput *o, const QconvLayer *layer, const char *name, const QconvPlanned *p, guint64 *bytes,
               GError **error)
{
  const QconvComponent *component = layer != NULL && p->from != NULL ? qconv_layer_component (layer, p->from) : NULL;
  const Hook hook = writer_hook (o);

  if (layer != NULL && (o->current == NULL || layer != &o->current->layer->pub))
    return qconv_hook_broke (&hook, error, "adds tensor \"%s\" to another layer", name);
  /* A safetensors file may hold one tensor whose name is empty */
  if (!g_utf8_validate (name, -1, NULL) || (*name == '\0' && (layer == NULL || *layer->name != '\0')))
    return qconv_hook_broke (&hook, error, "adds a tensor whose name is empty or not UTF-8");
  if ((guint) p->dtype >= QCONV_N_DTYPES || (p->dtype == QCONV_OPAQUE) != (p->blocks != NULL)
      || p->shape.rank > QCONV_MAX_RANK)
    return qconv_hook_broke (&hook, error, "adds tensor \"%s\" of an unknown type or rank", name);
  if (qconv_directory_find (o->directory, name) != NULL)
    return qconv_fail (error, QCONV_ERROR_UNSUPPORTED, "two output tensors are called \"%s\"", name);
  if (p->blocks != NULL && !whole_blocks (p))
    return qconv_hook_broke (&hook, error, "plans tensor \"%s\", whose rows do not hold whole blocks", name);
  if (!planned_bytes (p, bytes))
    return qconv_fail (error, QCONV_ERROR_UNSUPPORTED, "output tensor \"%s\" is too large", name);
  if (p->from != NULL && component == NULL)
    return qconv_hook_broke (&hook, error, "plans tensor \"%s\" from component %s, which the layer lacks", name,
                             p->from);
  if (p->pack != NULL && layer == NULL)
    return qconv_hook_broke (&hook, error, "plans a pack function for tensor \"%s\", which belongs to no layer", name);
  if (p->pack != NULL)
    return check_run (layer, p, *bytes, &hook, error);
  if (p->data != NULL && g_bytes_get_size (p->data) != *bytes)
    return qconv_hook_broke (&hook, error, "plans bytes for tensor \"%s\" that do not make its shape", name);
  return component == NULL || check_items (component, p, *bytes, &hook, error);
}

void
qconv_output_warn (QconvOutput *o, const char *format, ...)
{
  g_autofree char *text = NULL;
  va_list args;

  g_return_if_fail (o != NULL && format != NULL);
  va_start (args, format);
  text = g_strdup_vprintf (format, args);
  va_end (args);
  qconv_warn (&o->warn, "%s", text);
}

gboolean
qconv_output_add (QconvOutput *o, const QconvLayer *layer, const char *suffix, const QconvPlanned *tensor,
                  GError **error)
{
  g_autofree char *name = NULL;
  QconvTensor planned = { 0 };
  PlannedTensor *t;

  g_return_val_if_fail (o != NULL && suffix != NULL && tensor != NULL, FALSE);
  name = g_strconcat (layer != NULL ? layer->name : "", suffix, NULL);
  planned = (QconvTensor) { .name = name,
                            .dtype = tensor->dtype,
                            .type = tensor->blocks != NULL ? tensor->blocks->name : NULL,
                            .shape = tensor->shape,
                            .file = tensor->file };
  if (!check_planned (o, layer, name, tensor, &planned.n_bytes, error)
      || !qconv_directory_add (o->directory, &planned, error))
    return FALSE;
  t = g_new (PlannedTensor, 1);
  *t = (PlannedTensor) {
    .layer = layer != NULL ? o->current : NULL,
    .tensor = qconv_directory_n_tensors (o->directory) - 1,
    .component = layer != NULL && tensor->from != NULL ? qconv_layer_component_index (layer, tensor->from) : -1,
    .dtype = tensor->dtype,
    .pack = tensor->pack,
    .run = tensor->run,
    .data = tensor->data != NULL ? g_bytes_ref (tensor->data) : NULL,
    .load = tensor->load,
  };
  g_ptr_array_add (o->tensors, t);
  if (t->layer != NULL)
    {
      g_ptr_array_add (t->layer->tensors, t);
      t->layer->bytes += planned.n_bytes;
    }
  return TRUE;
}

/* Plans a plain tensor as it is, for writers that lack the hook keep() */
static gboolean
keep_as_it_is (QconvOutput *o, const Layer *l, GError **error)
{
  const QconvComponent *c = l->pub.components[0];
  QconvPlanned planned = { .dtype = c->dtype, .shape = l->pub.shape, .from = c->name };

  return qconv_output_add (o, &l->pub, "", &planned, error);
}

gboolean
qconv_output_plan_layer (QconvOutput *o, PlannedLayer *l, GError **error)
{
  const QconvWriter *w = o->writer;
  gboolean ok;

  g_ptr_array_add (o->layers, l);
  o->current = l;
  if (l->layer->quantizer != NULL)
    ok = qconv_call_layer (w, o, &l->layer->pub, error);
  else
    ok = w->keep != NULL ? qconv_call_keep (w, o, &l->layer->pub, error) : keep_as_it_is (o, l->layer, error);
  o->current = NULL;
  return ok;
}

void
qconv_output_take_back (QconvOutput *o, guint n_tensors)
{
  g_ptr_array_set_size (o->tensors, (gint) n_tensors);
  qconv_directory_truncate (o->directory, n_tensors);
  g_ptr_array_set_size (o->layers, (gint) o->layers->len - 1);
}

void
qconv_output_set_metadata (QconvOutput *o, const char *key, const char *value)
{
  g_return_if_fail (o != NULL && key != NULL && (value == NULL || g_utf8_validate (value, -1, NULL)));
  qconv_directory_replace_metadata (o->directory, key, value != NULL ? g_variant_new_string (value) : NULL);
}

void
qconv_output_set_metadata_value (QconvOutput *o, const char *key, GVariant *value)
{
  g_return_if_fail (o != NULL && key != NULL && value != NULL);
  qconv_directory_replace_metadata (o->directory, key, value);
}

guint32
qconv_output_add_file (QconvOutput *o, const char *name, GBytes *bytes)
{
  OutputName *n;

  g_return_val_if_fail (o != NULL && name != NULL && *name != '\0' && strchr (name, '/') == NULL, G_MAXUINT32);
  n = g_new (OutputName, 1);
  *n = (OutputName) { g_strdup (name), bytes != NULL ? g_bytes_ref (bytes) : NULL };
  g_ptr_array_add (o->files, n);
  return o->files->len - 1;
}

const char *
qconv_output_target (const QconvOutput *o)
{
  g_return_val_if_fail (o != NULL, NULL);
  return o->target;
}

const QconvDirectory *
qconv_output_input (const QconvOutput *o)
{
  g_return_val_if_fail (o != NULL, NULL);
  return o->model->directory;
}

const QconvValues *
qconv_output_options (const QconvOutput *o)
{
  g_return_val_if_fail (o != NULL, NULL);
  return o->options;
}

guint
qconv_output_n_layers (const QconvOutput *o)
{
  g_return_val_if_fail (o != NULL, 0);
  return o->layers->len;
}

const QconvLayer *
qconv_output_layer (const QconvOutput *o, guint i)
{
  const PlannedLayer *l;

  g_return_val_if_fail (o != NULL && i < o->layers->len, NULL);
  l = g_ptr_array_index (o->layers, i);
  return &l->layer->pub;
}

const char *
qconv_output_fact (const QconvOutput *o, const char *name)
{
  g_return_val_if_fail (o != NULL && name != NULL, NULL);
  return o->facts != NULL ? g_hash_table_lookup (o->facts, name) : NULL;
}

const QconvTensor *
qconv_planned_tensor (const QconvOutput *o, const PlannedTensor *t)
{
  return qconv_directory_tensor (o->directory, t->tensor);
}
