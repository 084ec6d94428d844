/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Examines the tensors of one layer for the reader. The shapes must fit each other; where they leave a choice, the JSON
   beside the weights makes it. */
#include <string.h>

#include "gptq.h"
#include "tensor-kind.h"
#include "trouble.h"

#define TROUBLE(l, weight, word, ...) qconv_trouble_add ((l)->troubles, weight, (l)->layer->name, word, __VA_ARGS__)
#define BROKEN(l, word, ...) TROUBLE (l, QCONV_TROUBLE_BROKEN, word, __VA_ARGS__)
#define FOREIGN(l, word, ...) TROUBLE (l, QCONV_TROUBLE_FOREIGN, word, __VA_ARGS__)
#define WARN(l, word, ...) TROUBLE (l, QCONV_TROUBLE_WARN, word, __VA_ARGS__)

#define FEWEST_BITS 2
#define MOST_BITS 8

/* Returns the bytes of a word of this type, or 0 if no words have it. */
static guint
word_of (QconvDType dtype)
{
  switch (dtype)
    {
    case QCONV_I8:
    case QCONV_U8:
    case QCONV_I16:
    case QCONV_U16:
    case QCONV_I32:
    case QCONV_U32:
    case QCONV_I64:
    case QCONV_U64:
      return qconv_dtype_bits (dtype) / 8;
    default:
      return 0;
    }
}

/* Checks rank and type of one tensor. @rank: of its shape */
static gboolean
check_member (GptqLook *l, const QconvTensor *t, const char *what, guint32 rank, gboolean words)
{
  guint64 items = 0;

  if (t == NULL)
    BROKEN (l, "missing", "%s is missing", what);
  else if (words ? word_of (t->dtype) == 0 : t->dtype != QCONV_F16 && t->dtype != QCONV_BF16 && t->dtype != QCONV_F32)
    BROKEN (l, "dtype", "%s is %s where %s is needed", what, qconv_dtype_name (t->dtype),
            words ? "a type of words (I32)" : "F16, BF16 or F32");
  else if (t->big_endian)
    FOREIGN (l, "byte-order", "%s is stored big-endian, which is not supported", what);
  else if (t->shape.rank != rank || !qconv_shape_items (&t->shape, &items) || items == 0)
    {
      g_autofree char *shape = qconv_shape_to_string (&t->shape);

      BROKEN (l, "shape", "%s is %s where %s is needed", what, shape, rank == 1 ? "a list" : "a matrix");
    }
  else
    return TRUE;
  return FALSE;
}

static gboolean
check_members (GptqLook *l)
{
  const QweightLayer *m = l->layer;
  gboolean whole = check_member (l, m->qweight, "qweight", 2, TRUE) && check_member (l, m->qzeros, "qzeros", 2, TRUE)
                   && check_member (l, m->scales, "scales", 2, FALSE);

  if (!whole || (m->g_idx != NULL && !check_member (l, m->g_idx, "g_idx", 1, TRUE)))
    return FALSE;
  if (m->g_idx != NULL && m->g_idx->dtype != QCONV_I32)
    BROKEN (l, "dtype", "g_idx is %s where I32 is needed", qconv_dtype_name (m->g_idx->dtype));
  else if (word_of (m->qzeros->dtype) != word_of (m->qweight->dtype))
    BROKEN (l, "dtype", "qzeros is %s, but qweight is %s", qconv_dtype_name (m->qzeros->dtype),
            qconv_dtype_name (m->qweight->dtype));
  else if (m->qweight->shape.dim[1] != m->scales->shape.dim[1])
    BROKEN (l, "shape",
            "qweight has %" G_GUINT64_FORMAT " columns, but scales has %" G_GUINT64_FORMAT " (one for each output)",
            m->qweight->shape.dim[1], m->scales->shape.dim[1]);
  else if (m->qzeros->shape.dim[0] != m->scales->shape.dim[0])
    BROKEN (l, "shape",
            "qzeros has %" G_GUINT64_FORMAT " rows, but scales has %" G_GUINT64_FORMAT " (one for each group)",
            m->qzeros->shape.dim[0], m->scales->shape.dim[0]);
  else
    return TRUE;
  return FALSE;
}

/* ---- Bits and columns ---- */

static GptqPacking
packing_of (const GptqLook *l, guint bits, gboolean planar)
{
  return (GptqPacking) { bits, word_of (l->layer->qweight->dtype), bits > 4 && bits < 8 ? TRUE : planar && bits == 3 };
}

/* Returns the columns of the weight if codes have @bits: g_idx has one item for each, and qweight whole words
   otherwise. */
static guint64
columns_of (const GptqLook *l, const GptqPacking *p)
{
  guint64 bits = l->layer->qweight->shape.dim[0], width = 8 * p->word;

  if (l->layer->g_idx != NULL)
    return l->layer->g_idx->shape.dim[0];
  return __builtin_mul_overflow (bits, width, &bits) ? 0 : bits / p->bits;
}

/* Returns whether the shapes are those of @bits bits. */
static gboolean
fits_bits (const GptqLook *l, const GptqPacking *p)
{
  const QweightLayer *m = l->layer;

  return (!p->planar || p->word == 4) && gptq_words (p, columns_of (l, p)) == m->qweight->shape.dim[0]
         && gptq_words (p, m->scales->shape.dim[1]) == m->qzeros->shape.dim[1];
}

static void
refuse_bits (GptqLook *l)
{
  const QweightLayer *m = l->layer;
  g_autofree char *w = qconv_shape_to_string (&m->qweight->shape), *z = qconv_shape_to_string (&m->qzeros->shape),
                  *s = qconv_shape_to_string (&m->scales->shape);

  BROKEN (l, "shape", "qweight %s, qzeros %s and scales %s%s fit no number of bits from %d to %d", w, z, s,
          m->g_idx != NULL ? " with g_idx" : "", FEWEST_BITS, MOST_BITS);
}

/* Finds bits and columns. If the shapes leave a choice, it is what the JSON says, else the most bits: words are not
   left empty. */
static gboolean
find_bits (GptqLook *l, const GptqConfig *config, const GptqSaid *said)
{
  const QweightLayer *m = l->layer;
  guint found = 0;

  for (guint bits = FEWEST_BITS; bits <= MOST_BITS; bits++)
    {
      GptqPacking p = packing_of (l, bits, config->planar);

      if (fits_bits (l, &p) && (found == 0 || found != said->bits))
        found = bits;
    }
  if (found == 0)
    return refuse_bits (l), FALSE;
  if (said->bits != 0 && said->bits != found)
    WARN (l, "bits", "%s says %" G_GINT64_FORMAT " bits, but the shapes say %u, which counts", config->json->file,
          said->bits, found);
  l->shape.packing = packing_of (l, found, config->planar);
  l->shape.rows = m->scales->shape.dim[1];
  l->shape.cols = columns_of (l, &l->shape.packing);
  return TRUE;
}

/* ---- Groups ---- */

/* Returns the columns of a group if groups follow each other. A power of two is likelier than another number. */
static guint64
guess_group (guint64 cols, guint64 groups)
{
  guint64 even = qconv_divide_up (cols, groups);

  for (guint64 power = 1; power < cols; power *= 2)
    if (qconv_divide_up (cols, power) == groups)
      return power;
  return qconv_divide_up (cols, even) == groups ? even : 0;
}

static gboolean
find_group (GptqLook *l, const GptqConfig *config, const GptqSaid *said)
{
  GptqShape *s = &l->shape;
  guint64 wanted = said->group < 0 ? s->cols : (guint64) said->group;

  s->groups = l->layer->scales->shape.dim[0];
  if (wanted != 0 && qconv_divide_up (s->cols, wanted) == s->groups)
    s->group = MIN (wanted, s->cols);
  else
    s->group = s->groups <= s->cols ? guess_group (s->cols, s->groups) : 0;
  if (s->group == 0 || s->cols > G_MAXINT32)
    {
      BROKEN (l, "shape", "scales has %" G_GUINT64_FORMAT " groups, which do not fit %" G_GUINT64_FORMAT " columns",
              s->groups, s->cols);
      return FALSE;
    }
  if (wanted != 0 && s->group != MIN (wanted, s->cols))
    WARN (l, "group-size",
          "%s says groups of %" G_GINT64_FORMAT " columns, but there are %" G_GUINT64_FORMAT " groups for "
          "%" G_GUINT64_FORMAT " columns, which counts",
          config->json->file, said->group, s->groups, s->cols);
  return TRUE;
}

/* Reads g_idx. Groups that follow each other need no index; their size is then taken from it. */
static gboolean
read_index (GptqLook *l)
{
  GptqShape *s = &l->shape;
  const QconvTensor *t = l->layer->g_idx;
  g_autofree gint32 *index = NULL;
  g_autoptr (GError) error = NULL;
  gint64 groups = (gint64) s->groups;
  guint64 run = 0;

  if (t->n_bytes != s->cols * sizeof *index)
    return BROKEN (l, "shape", "g_idx has a wrong size"), FALSE;
  index = g_malloc ((gsize) t->n_bytes);
  if (!qconv_tensor_read (t, 0, (gsize) t->n_bytes, index, &error))
    return BROKEN (l, "g-idx", "g_idx cannot be read: %s", error->message), FALSE;
  for (guint64 i = 0; i < s->cols; i++)
    {
      if (index[i] < -groups || index[i] >= groups)
        {
          BROKEN (l, "g-idx",
                  "g_idx: column %" G_GUINT64_FORMAT " is of group %d, but there are %" G_GUINT64_FORMAT " groups", i,
                  index[i], s->groups);
          return FALSE;
        }
      index[i] = index[i] < 0 ? index[i] + (gint32) groups : index[i];
      run += run == i && index[i] == 0;
    }
  run = MAX (run, 1);
  s->indexed = qconv_divide_up (s->cols, run) != s->groups;
  for (guint64 i = 0; i < s->cols && !s->indexed; i++)
    s->indexed = (guint64) index[i] != i / run;
  if (!s->indexed)
    s->group = run;
  return TRUE;
}

/* ---- All together ---- */

void
gptq_look (GptqLook *look, const QweightLayer *layer, const GptqConfig *config, GptqAsk ask)
{
  GptqSaid said = gptq_config_layer (config, layer->name);

  *look = (GptqLook) { .layer = layer, .troubles = qconv_troubles_new () };
  if (!check_members (look) || !find_bits (look, config, &said) || !find_group (look, config, &said))
    return;
  if (layer->g_idx != NULL && !read_index (look))
    return;
  gptq_look_at_zeros (look, config, &said, ask);
}

void
gptq_look_clear (GptqLook *look)
{
  g_clear_pointer (&look->troubles, g_ptr_array_unref);
}
