/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finds layers by "qweight" and "wscales", which only nunchaku's files have together, and checks the types and shapes
   of their tensors (nunchaku: nunchaku/models/linear.py, src/Linear.cpp). */
#include "look.h"

#include <string.h>

#include "packing.h"

/* Types of 16-bit numbers, as 1 << dtype */
#define HALVES (1u << QCONV_BF16 | 1u << QCONV_F16)

/* Shapes of the members: [first, second], or [first] if second is NONE. "qweight" gives rows and columns */
typedef enum { NONE, ONE, ROWS, COLS, GROUPS, RANK } Extent;
static const struct {
  Extent first, second;
  gboolean optional;
} member_table[NUNCHAKU_N_MEMBERS] = {
  [NUNCHAKU_QWEIGHT] = { NONE, NONE, FALSE }, [NUNCHAKU_WSCALES] = { GROUPS, ROWS, FALSE },
  [NUNCHAKU_BIAS] = { ROWS, NONE, TRUE },     [NUNCHAKU_WZEROS] = { GROUPS, ROWS, FALSE },
  [NUNCHAKU_WTSCALE] = { ONE, NONE, TRUE },   [NUNCHAKU_WCSCALES] = { ROWS, NONE, TRUE },
  [NUNCHAKU_SMOOTH] = { COLS, NONE, FALSE },  [NUNCHAKU_SMOOTH_ORIG] = { COLS, NONE, TRUE },
  [NUNCHAKU_DOWN] = { COLS, RANK, FALSE },    [NUNCHAKU_UP] = { ROWS, RANK, FALSE },
};

static void
free_look (gpointer data)
{
  NunchakuLook *l = data;

  g_free (l->name);
  g_ptr_array_unref (l->troubles);
  g_free (l);
}

#define BROKEN(l, word, ...) qconv_trouble_add ((l)->troubles, QCONV_TROUBLE_BROKEN, (l)->name, word, __VA_ARGS__)

/* ---- Sizes ---- */

static gboolean
applies (const NunchakuLook *l, guint member)
{
  return l->kind == NUNCHAKU_AWQ ? member <= NUNCHAKU_WZEROS : member != NUNCHAKU_WZEROS;
}

/* Returns the member's name in the file, or the first spelling. */
static const char *
name_of (const NunchakuLook *l, guint member)
{
  const QconvTensor *t = l->members[member];

  return t != NULL ? t->name + strlen (l->name) + 1 : nunchaku_member_name (member, NUNCHAKU_LORA_NAMES) + 1;
}

static guint64
extent (const NunchakuLook *l, Extent e)
{
  guint64 group = l->kind == NUNCHAKU_FP4 ? NUNCHAKU_GROUP_FP4 : NUNCHAKU_GROUP_INT4;

  switch (e)
    {
    case ROWS:
      return l->rows;
    case COLS:
      return l->cols;
    case GROUPS:
      return l->cols / group;
    case RANK:
      return l->rank;
    default:
      return 1;
    }
}

/* Takes rows and columns from "qweight", and the kind from its type and that of "wscales". */
static gboolean
measure (NunchakuLook *l)
{
  const QconvTensor *q = l->members[NUNCHAKU_QWEIGHT], *scales = l->members[NUNCHAKU_WSCALES];
  g_autofree char *shape = NULL;
  guint64 row_step = NUNCHAKU_BLOCK, col_step = NUNCHAKU_BLOCK, per_row = 1;

  if (q == NULL || scales == NULL)
    {
      BROKEN (l, "missing", "%s is missing", name_of (l, q == NULL ? NUNCHAKU_QWEIGHT : NUNCHAKU_WSCALES));
      return FALSE;
    }
  shape = qconv_shape_to_string (&q->shape);
  if (q->dtype == QCONV_I32)
    {
      l->kind = NUNCHAKU_AWQ;
      row_step = 2 * NUNCHAKU_AWQ_ROWS; /* the kernel takes 8 rows at a time */
      col_step = NUNCHAKU_GROUP_INT4;
      per_row = NUNCHAKU_AWQ_ROWS;
    }
  else if (q->dtype == QCONV_I8)
    l->kind = scales->dtype == QCONV_F8_E4M3 ? NUNCHAKU_FP4 : NUNCHAKU_INT4;
  else
    {
      BROKEN (l, "dtype", "qweight is %s where I8 or I32 is needed", qconv_dtype_name (q->dtype));
      return FALSE;
    }
  if (q->shape.rank == 2 && q->shape.dim[0] <= G_MAXUINT32 && q->shape.dim[1] <= G_MAXUINT32)
    {
      l->rows = q->shape.dim[0] * per_row;
      l->cols = q->shape.dim[1] * 2;
    }
  if (l->rows == 0 || l->cols == 0 || l->rows % row_step != 0 || l->cols % col_step != 0)
    {
      BROKEN (l, "shape",
              "qweight is %s, which makes no rows in multiples of %" G_GUINT64_FORMAT
              " and columns in multiples of %" G_GUINT64_FORMAT,
              shape, row_step, col_step);
      return FALSE;
    }
  return TRUE;
}

/* Takes the rank and the type of 16-bit numbers from "lora_down", or the type from "wscales". */
static void
measure_rank (NunchakuLook *l)
{
  const QconvTensor *down = l->members[NUNCHAKU_DOWN];

  l->half = l->members[NUNCHAKU_WSCALES]->dtype;
  if (l->kind == NUNCHAKU_AWQ || down == NULL)
    return;
  l->half = down->dtype;
  l->rank = down->shape.rank == 2 ? down->shape.dim[1] : 0;
  if (l->rank == 0 || l->rank % NUNCHAKU_FACTOR != 0 || l->rank > NUNCHAKU_LARGEST_RANK)
    BROKEN (l, "rank", "%s has the rank %" G_GUINT64_FORMAT " where a multiple of %d up to %d is needed",
            name_of (l, NUNCHAKU_DOWN), l->rank, NUNCHAKU_FACTOR, NUNCHAKU_LARGEST_RANK);
}

/* ---- Checks ---- */

static void
check_dtype (NunchakuLook *l, guint member)
{
  const QconvTensor *t = l->members[member];
  guint32 good = HALVES;

  if (member == NUNCHAKU_QWEIGHT)
    return;
  if (member == NUNCHAKU_WSCALES && l->kind == NUNCHAKU_FP4)
    good = 1u << QCONV_F8_E4M3;
  if (member == NUNCHAKU_WTSCALE)
    good |= 1u << QCONV_F32;
  if ((good >> t->dtype & 1) == 0)
    BROKEN (l, "dtype", "%s is %s where BF16 or F16 is needed", name_of (l, member), qconv_dtype_name (t->dtype));
  else if (member == NUNCHAKU_WZEROS && t->dtype != l->half)
    BROKEN (l, "dtype", "%s is %s, but wscales is %s", name_of (l, member), qconv_dtype_name (t->dtype),
            qconv_dtype_name (l->half));
}

static void
check_member (NunchakuLook *l, guint member)
{
  const QconvTensor *t = l->members[member];
  Extent first = member_table[member].first, second = member_table[member].second;
  QconvShape want
      = second == NONE ? QCONV_SHAPE1 (extent (l, first)) : QCONV_SHAPE2 (extent (l, first), extent (l, second));
  g_autofree char *have = t != NULL ? qconv_shape_to_string (&t->shape) : NULL, *need = qconv_shape_to_string (&want);

  if (t == NULL && !member_table[member].optional)
    BROKEN (l, "missing", "%s is missing", name_of (l, member));
  if (t == NULL)
    return;
  check_dtype (l, member);
  if (first == NONE || qconv_shape_equal (&t->shape, &want) || (first == ONE && t->shape.rank == 0))
    return;
  if (second != RANK || l->rank != 0) /* a rank that is wrong has been reported */
    BROKEN (l, "shape", "%s is %s where %s is needed", name_of (l, member), have, need);
}

static void
check_modulation (NunchakuLook *l)
{
  l->chunks = nunchaku_name_chunks (l->name);
  if (l->chunks == 0)
    qconv_trouble_add (
        l->troubles, QCONV_TROUBLE_FOREIGN, l->name, "modulation",
        "it is not known in which order the rows of this AWQ layer lie: it is none of the modulation layers of "
        "FLUX.1 and Qwen-Image");
  else if (l->rows % l->chunks != 0)
    BROKEN (l, "shape", "%" G_GUINT64_FORMAT " rows cannot be divided into %u vectors", l->rows, l->chunks);
}

/* Refuses tensors that would be lost: a second spelling of one that the layer has, and those of the other kind of
   layer, such as the factors of a product beside AWQ codes, which only files of LoRAs have. */
static void
check_strangers (NunchakuLook *l, const QconvDirectory *d)
{
  for (guint i = 0; i < NUNCHAKU_N_MEMBERS; i++)
    if (l->members[i] != NULL && !applies (l, i))
      BROKEN (l, "kind", "%s does not belong to a layer of %s", name_of (l, i),
              l->kind == NUNCHAKU_AWQ ? "AWQ" : "SVDQuant");
    else if (qconv_directory_find2 (d, l->name, nunchaku_member_name (i, NUNCHAKU_PROJ_NAMES)) != l->members[i]
             && qconv_directory_find2 (d, l->name, nunchaku_member_name (i, NUNCHAKU_PROJ_NAMES)) != NULL)
      BROKEN (l, "spelling", "%s and %s are two spellings of one tensor",
              nunchaku_member_name (i, NUNCHAKU_LORA_NAMES) + 1, nunchaku_member_name (i, NUNCHAKU_PROJ_NAMES) + 1);
}

/* Finds out whether the bias holds something that the weight needs, so that its loss changes the layer: the 1 of
   modulation layers, and what makes up for a shift. */
static void
check_bias (NunchakuLook *l)
{
  if (l->members[NUNCHAKU_BIAS] == NULL && (l->kind == NUNCHAKU_AWQ || l->shifted))
    BROKEN (l, "missing", "bias is missing");
}

static NunchakuLook *
look_at (const QconvDirectory *d, const char *name)
{
  NunchakuLook *l = g_new0 (NunchakuLook, 1);

  l->name = g_strdup (name);
  l->troubles = qconv_troubles_new ();
  for (guint i = 0; i < NUNCHAKU_N_MEMBERS; i++)
    for (guint k = 0; k < NUNCHAKU_N_SPELLINGS && l->members[i] == NULL; k++)
      l->members[i] = qconv_directory_find2 (d, name, nunchaku_member_name (i, k));
  if (!measure (l))
    return l;
  measure_rank (l);
  for (guint i = 0; i < NUNCHAKU_N_MEMBERS; i++)
    if (applies (l, i))
      check_member (l, i);
  if (l->kind == NUNCHAKU_AWQ)
    check_modulation (l);
  if (l->kind == NUNCHAKU_INT4 && l->members[NUNCHAKU_WTSCALE] != NULL)
    BROKEN (l, "wtscale", "an INT4 layer has wtscale, which nunchaku's kernels refuse");
  l->shifted = l->kind == NUNCHAKU_INT4 && nunchaku_name_shifted (l->name);
  check_bias (l);
  check_strangers (l, d);
  return l;
}

/* ---- Finding layers ---- */

/* Returns: (transfer full) (nullable): the name of the layer if @t may be the first of its tensors: "wscales", or
   "qweight" of a layer that lost it and has no tensors of GPTQ and AutoAWQ. */
static char *
layer_of (const QconvDirectory *d, const QconvTensor *t)
{
  static const char *const others[] = { ".scales", ".qzeros", ".g_idx" };
  g_autofree char *name = NULL;

  if (t->name[0] == '.') /* a layer without a name */
    return NULL;
  if (g_str_has_suffix (t->name, ".wscales"))
    return g_strndup (t->name, strlen (t->name) - strlen (".wscales"));
  if (!g_str_has_suffix (t->name, ".qweight") || (t->dtype != QCONV_I8 && t->dtype != QCONV_I32))
    return NULL;
  name = g_strndup (t->name, strlen (t->name) - strlen (".qweight"));
  for (guint i = 0; i < G_N_ELEMENTS (others); i++)
    if (qconv_directory_find2 (d, name, others[i]) != NULL)
      return NULL;
  return g_steal_pointer (&name);
}

GPtrArray *
nunchaku_looks (const QconvDirectory *d)
{
  g_autoptr (GHashTable) seen = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  GPtrArray *looks = g_ptr_array_new_with_free_func (free_look);

  for (guint i = 0; i < qconv_directory_n_tensors (d); i++)
    {
      char *name = layer_of (d, qconv_directory_tensor (d, i));

      if (name == NULL)
        continue;
      if (!g_hash_table_contains (seen, name))
        g_ptr_array_add (looks, look_at (d, name));
      g_hash_table_add (seen, name);
    }
  return looks;
}

gboolean
nunchaku_has_layers (const QconvDirectory *d)
{
  for (guint i = 0; i < qconv_directory_n_tensors (d); i++)
    {
      const QconvTensor *t = qconv_directory_tensor (d, i);

      if (g_str_has_suffix (t->name, ".wscales") && t->name[0] != '.')
        return TRUE;
    }
  return FALSE;
}
