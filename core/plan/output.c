/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Checks and keeps the tensors that writers plan. Writers call the public functions, the plan the others. */
#include "plan/output.h"

#include <string.h>

#include "io/directory.h"
#include "registry/values.h"

static void
free_planned_tensor (gpointer data)
{
  PlannedTensor *t = data;

  g_clear_pointer (&t->planned.data, g_bytes_unref);
  g_free (t);
}

void
qconv_output_init (QconvOutput *o, const QconvModel *model, QconvValues *options)
{
  const char *const *keys = qconv_directory_metadata_keys (model->directory);

  o->model = model;
  o->options = options;
  o->directory = qconv_directory_new (NULL, NULL);
  o->layers = g_ptr_array_new_with_free_func ((GDestroyNotify) qconv_planned_layer_free);
  o->tensors = g_ptr_array_new_with_free_func (free_planned_tensor);
  for (guint i = 0; keys[i] != NULL; i++)
    if (!qconv_claims_metadata_dropped (model->claims, keys[i]))
      qconv_directory_replace_metadata (o->directory, keys[i], qconv_directory_metadata (model->directory, keys[i]));
}

void
qconv_output_clear (QconvOutput *o)
{
  g_clear_pointer (&o->tensors, g_ptr_array_unref);
  g_clear_pointer (&o->layers, g_ptr_array_unref);
  g_clear_pointer (&o->directory, qconv_directory_free);
  g_clear_pointer (&o->options, qconv_values_free);
}

/* Checks that a tensor without pack function holds as many items as its component, whose bytes it takes */
static gboolean
check_items (const QconvComponent *c, const char *name, const QconvPlanned *p, GError **error)
{
  guint64 have = 0, want = 0;

  return (qconv_shape_items (&c->shape, &have) && qconv_shape_items (&p->shape, &want) && have == want)
         || qconv_fail (error, QCONV_ERROR_BUG, "output tensor \"%s\": component %s has other items", name, p->from);
}

/* Checks a planned tensor. @component: the component that @p names, or NULL if the layer lacks it. *bytes: of the
   tensor */
static gboolean
check_planned (const QconvOutput *o, const char *name, const QconvPlanned *p, const QconvComponent *component,
               guint64 *bytes, GError **error)
{
  if (qconv_directory_find (o->directory, name) != NULL)
    return qconv_fail (error, QCONV_ERROR_UNSUPPORTED, "two output tensors are called \"%s\"", name);
  if (!qconv_shape_bytes (&p->shape, p->dtype, bytes))
    return qconv_fail (error, QCONV_ERROR_UNSUPPORTED, "output tensor \"%s\" is too large", name);
  if (p->from != NULL && component == NULL)
    return qconv_fail (error, QCONV_ERROR_BUG, "output tensor \"%s\": no component %s", name, p->from);
  if (p->pack == NULL && p->data != NULL && g_bytes_get_size (p->data) != *bytes)
    return qconv_fail (error, QCONV_ERROR_BUG, "output tensor \"%s\": planned bytes do not make its shape", name);
  return p->pack != NULL || component == NULL || check_items (component, name, p, error);
}

gboolean
qconv_output_add (QconvOutput *o, const QconvLayer *layer, const char *suffix, const QconvPlanned *tensor,
                  GError **error)
{
  g_autofree char *name = g_strconcat (layer != NULL ? layer->name : "", suffix, NULL);
  gint component = layer != NULL && tensor->from != NULL ? qconv_layer_component_index (layer, tensor->from) : -1;
  QconvTensor planned = { .name = name, .dtype = tensor->dtype, .shape = tensor->shape, .file = tensor->file };
  PlannedTensor *t;

  if (!check_planned (o, name, tensor, component >= 0 ? layer->components[component] : NULL, &planned.n_bytes, error)
      || !qconv_directory_add (o->directory, &planned, error))
    return FALSE;
  t = g_new (PlannedTensor, 1);
  *t = (PlannedTensor) {
    .layer = layer != NULL ? o->current : NULL,
    .tensor = qconv_directory_n_tensors (o->directory) - 1,
    .component = component,
    .planned = *tensor,
  };
  if (tensor->data != NULL)
    g_bytes_ref (tensor->data);
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
qconv_output_plan_layer (QconvOutput *o, const QconvWriter *w, PlannedLayer *l, GError **error)
{
  g_ptr_array_add (o->layers, l);
  o->current = l;
  if (l->layer->quantizer != NULL)
    return w->layer (w, o, &l->layer->pub, error);
  return w->keep != NULL ? w->keep (w, o, &l->layer->pub, error) : keep_as_it_is (o, l->layer, error);
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
  qconv_directory_replace_metadata (o->directory, key, value != NULL ? g_variant_new_string (value) : NULL);
}

const QconvDirectory *
qconv_output_input (const QconvOutput *o)
{
  return o->model->directory;
}

const QconvValues *
qconv_output_options (const QconvOutput *o)
{
  return o->options;
}

guint
qconv_output_n_layers (const QconvOutput *o)
{
  return o->layers->len;
}

const QconvLayer *
qconv_output_layer (const QconvOutput *o, guint i)
{
  const PlannedLayer *l = g_ptr_array_index (o->layers, i);

  return &l->layer->pub;
}

const char *
qconv_output_fact (const QconvOutput *o, const char *name)
{
  return NULL; /* no writer asks for one */
}

const QconvTensor *
qconv_planned_tensor (const QconvOutput *o, const PlannedTensor *t)
{
  return qconv_directory_tensor (o->directory, t->tensor);
}
