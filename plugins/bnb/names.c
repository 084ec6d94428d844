/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Groups the tensors of a file by layer (bitsandbytes: nn/modules.py Linear4bit, Linear8bitLt; GPTQModel:
   nn_modules/qlinear/bitsandbytes.py; convert_to_quant before its comfy_quant markers). Reader and look call it. */
#include "bnb.h"

#include <string.h>

static const BnbSpelling spellings[] = {
  { ".weight.absmax", ".weight.quant_map", ".weight.nested_absmax", ".weight.nested_quant_map",
    ".weight.quant_state.bitsandbytes__", ".SCB", FALSE, FALSE },
  { ".weight_absmax", ".weight_quant_map", ".weight_nested_absmax", ".weight_nested_quant_map", ".weight_quant_state",
    ".weight_scb", FALSE, TRUE },
  { ".absmax", ".quant_map", NULL, NULL, ".quant_state.bitsandbytes__", NULL, TRUE, TRUE },
};

static void
free_layer (gpointer data)
{
  BnbLayer *l = data;

  g_free (l->name);
  g_free (l);
}

/* The parts of a tensor's name. @type: suffix of a quant_state's name, or NULL */
typedef struct {
  const BnbSpelling *spelling;
  gsize length; /* of the layer's name */
  gboolean state, eight_bit;
  const char *type;
} Meaning;

static gboolean
ends_with (const char *name, const char *suffix, Meaning *m)
{
  if (suffix == NULL || !g_str_has_suffix (name, suffix))
    return FALSE;
  m->length = strlen (name) - strlen (suffix); /* 0 for ".weight" at the root of a model */
  return TRUE;
}

static gboolean
is_state (const char *name, const BnbSpelling *s, Meaning *m)
{
  const char *found;

  if (!g_str_has_suffix (s->state, "__"))
    return ends_with (name, s->state, m);
  found = g_strrstr (name, s->state);
  if (found == NULL)
    return FALSE;
  m->length = (gsize) (found - name);
  m->type = found + strlen (s->state);
  return TRUE;
}

/* Splits a tensor's name. Other formats use the suffixes of the last spelling too, so that spelling counts only if the
   layer has a quant_state. */
static gboolean
understand (const QconvDirectory *d, const char *name, Meaning *m)
{
  for (guint i = 0; i < G_N_ELEMENTS (spellings); i++)
    {
      const BnbSpelling *s = &spellings[i];

      *m = (Meaning) { .spelling = s };
      m->state = is_state (name, s, m);
      if (m->state)
        return TRUE;
      if (!s->low_first
          && (ends_with (name, s->absmax, m) || ends_with (name, s->map, m) || ends_with (name, s->nested_absmax, m)
              || ends_with (name, s->nested_map, m)))
        return TRUE;
      m->eight_bit = ends_with (name, s->rows, m);
      if (m->eight_bit)
        return TRUE;
    }
  *m = (Meaning) { .spelling = &spellings[0], .eight_bit = TRUE };
  if (ends_with (name, ".weight_format", m))
    {
      g_autofree char *layer = g_strndup (name, m->length);
      const QconvTensor *weight = qconv_directory_find2 (d, layer, ".weight");

      return weight != NULL && weight->dtype == QCONV_I8;
    }
  return FALSE;
}

static BnbLayer *
add_layer (GPtrArray *layers, GHashTable *named, const char *tensor, const Meaning *m)
{
  g_autofree char *name = g_strndup (tensor, m->length);
  BnbLayer *l = g_hash_table_lookup (named, name);

  if (l != NULL)
    return l;
  l = g_new0 (BnbLayer, 1);
  l->name = g_steal_pointer (&name);
  l->spelling = m->spelling;
  g_ptr_array_add (layers, l);
  g_hash_table_insert (named, l->name, l);
  return l;
}

GPtrArray *
bnb_layers (const QconvDirectory *d)
{
  GPtrArray *layers = g_ptr_array_new_with_free_func (free_layer);
  g_autoptr (GHashTable) named = g_hash_table_new (g_str_hash, g_str_equal);

  for (guint i = 0; i < qconv_directory_n_tensors (d); i++)
    {
      const QconvTensor *t = qconv_directory_tensor (d, i);
      Meaning m;
      BnbLayer *l;

      if (!understand (d, t->name, &m))
        continue;
      l = add_layer (layers, named, t->name, &m);
      l->mixed = l->mixed || l->spelling != m.spelling;
      l->four_bit = l->four_bit || !m.eight_bit;
      l->eight_bit = l->eight_bit || m.eight_bit;
      if (!m.state || l->n_states++ > 0)
        continue;
      l->state = t;
      l->type = m.type;
    }
  return layers;
}

gboolean
bnb_has_layers (const QconvDirectory *d)
{
  for (guint i = 0; i < qconv_directory_n_tensors (d); i++)
    {
      Meaning m;

      if (understand (d, qconv_directory_tensor (d, i)->name, &m))
        return TRUE;
    }
  return FALSE;
}

const QconvTensor *
bnb_tensor (const QconvDirectory *d, const BnbLayer *l, const char *suffix)
{
  return suffix != NULL ? qconv_directory_find2 (d, l->name, suffix) : NULL;
}
