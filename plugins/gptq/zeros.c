/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finds out how the zero points of a layer are meant. Version 1 stores one less, and its writers disagree about zero
   points of 0, so the file must be asked for all that it knows (GPTQModel: utils/model.py
   convert_gptq_v1_to_v2_format_module, convert_gptq_v2_to_v1_format_module; AutoGPTQ:
   auto_gptq/nn_modules/qlinear/qlinear_cuda.py). */
#include "finite.h"
#include "gptq.h"
#include "trouble.h"

#define WARN(l, word, ...) qconv_trouble_add ((l)->troubles, QCONV_TROUBLE_WARN, (l)->layer->name, word, __VA_ARGS__)

/* What stored zero points look like. @v1, @v2: all are those of a symmetric layer of this version; @top: one has all
   bits set, which 1 cannot be added to */
typedef struct {
  gboolean v1, v2, top;
} Evidence;

/* Columns of qzeros that are looked at at once */
#define STRETCH (64 * GPTQ_RUN)

/* Looks at the zero points of the first @n_groups groups. */
static gboolean
look_at_words (const GptqLook *l, guint64 n_groups, Evidence *e, GError **error)
{
  const GptqShape *s = &l->shape;
  guint8 middle = (guint8) (1u << (s->packing.bits - 1)), top = (guint8) (2 * middle - 1), codes[STRETCH];
  guint8 from_v1 = 0, from_v2 = 0, tops = 0;

  for (guint64 group = 0; group < n_groups; group++)
    for (guint64 at = 0; at < s->rows; at += STRETCH)
      {
        gsize n = (gsize) MIN (s->rows - at, STRETCH);

        if (!gptq_read_stored_zeros (l->layer->qzeros, s, group, at, n, codes, error))
          return FALSE;
        for (gsize i = 0; i < n; i++)
          {
            from_v1 = (guint8) (from_v1 | (codes[i] ^ (middle - 1)));
            from_v2 = (guint8) (from_v2 | (codes[i] ^ middle));
            tops = (guint8) (tops | (codes[i] == top));
          }
      }
  *e = (Evidence) { .v1 = from_v1 == 0, .v2 = from_v2 == 0, .top = tops != 0 };
  return TRUE;
}

/* Returns the reading of version 1 if the layer is not symmetric. */
static GptqZeros
read_asymmetric (GptqLook *l, const GptqConfig *config, const Evidence *e)
{
  if (config->json->object == NULL)
    WARN (l, "zero-version",
          "no JSON beside the weights names the version of the zero points; version 1 is assumed (-o gptq.zeros=v2 "
          "chooses the other)");
  if (e->top)
    WARN (l, "zero-point",
          "a stored zero point has all bits set, which programs read differently; it is read as %s writes it (-o "
          "gptq.zeros=%s chooses the other way)",
          config->packed_zeros ? "GPTQModel" : "AutoGPTQ", config->packed_zeros ? "v1" : "v1-packed");
  return config->packed_zeros ? GPTQ_ZEROS_PACKED : GPTQ_ZEROS_PLUS_ONE;
}

/* Returns the reading if the JSON says that the layer is symmetric, or not whether it is. The words then tell the
   version, unless they are of neither. */
static gboolean
read_symmetric (GptqLook *l, const GptqConfig *config, const Evidence *e, GptqZeros *how)
{
  gboolean labelled = config->json->object != NULL;

  if (!e->v1 && !e->v2)
    return FALSE;
  *how = e->v1 ? GPTQ_ZEROS_PLUS_ONE : GPTQ_ZEROS_AS_STORED;
  l->shape.centred = l->shape.groups == 1 && qconv_tensor_is_finite (l->layer->scales, QCONV_SIGN_NOT_NEGATIVE);
  if (labelled && config->v2 == e->v1)
    WARN (l, "zero-version", "%s says version %d of the zero points, but they are those of version %d, which counts",
          config->json->file, config->v2 ? 2 : 1, e->v1 ? 1 : 2);
  return TRUE;
}

void
gptq_look_at_zeros (GptqLook *l, const GptqConfig *config, const GptqSaid *said, GptqAsk ask)
{
  static const GptqZeros asked[] = {
    [GPTQ_ASK_V1] = GPTQ_ZEROS_PLUS_ONE, [GPTQ_ASK_V1_PACKED] = GPTQ_ZEROS_PACKED, [GPTQ_ASK_V2] = GPTQ_ZEROS_AS_STORED
  };
  GptqShape *s = &l->shape;
  g_autoptr (GError) error = NULL;
  Evidence e = { 0 };

  s->zeros = GPTQ_ZEROS_AS_STORED;
  if (ask != GPTQ_ASK_AUTO)
    {
      s->zeros = asked[ask];
      WARN (l, "zero-option", "zero points are read as the option zeros says");
      return;
    }
  if (s->packing.planar || (config->v2 && said->sym == 0))
    return;
  if (said->sym != 0)
    {
      if (look_at_words (l, said->sym == 1 ? 1 : s->groups, &e, &error) && read_symmetric (l, config, &e, &s->zeros))
        return;
      if (config->v2)
        return;
    }
  if (error == NULL && look_at_words (l, s->groups, &e, &error))
    s->zeros = read_asymmetric (l, config, &e);
  if (error != NULL)
    qconv_trouble_add (l->troubles, QCONV_TROUBLE_BROKEN, l->layer->name, "qzeros", "qzeros cannot be read: %s",
                       error->message);
}
