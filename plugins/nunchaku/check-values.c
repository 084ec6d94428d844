/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Counts odd numbers in the components of SVDQuant layers, which core has in memory while it checks a file (the hook
   examine() of both quantizers), and looks at tensors that are in no such layer. */
#include <math.h>
#include <string.h>

#include "check.h"
#include "finite.h"
#include "nunchaku.h"
#include "packing.h"

/* E4M3: the code of NaN, and that of minus zero */
#define E4M3_NAN 0x7f
#define E4M3_MINUS_ZERO 0x80
/* -8 in INT4 and minus zero in E2M1 */
#define UNUSED_CODE 8

/* ---- Components ---- */

/* The order of the findings below; the last two are of FP4 */
enum { SCALES, FACTORS, SMOOTH, PRODUCT, DOWN, UP, CODES, MINUS_ZERO, N_FINDINGS };

#define COMMON                                                                                                         \
  [FACTORS] = { QCONV_FINDING_PROBLEM, "scale-value", "numbers in wtscale, wcscales and smooth_orig are Inf or NaN" }, \
  [SMOOTH] = { QCONV_FINDING_PROBLEM, "smooth", "numbers in smooth, by which inputs are divided, are not positive" },  \
  [PRODUCT] = { QCONV_FINDING_PROBLEM, "low-rank", "numbers in lora_down and lora_up are Inf or NaN" },                \
  [DOWN] = { QCONV_FINDING_NONE, "lora-down", "lora_down holds only zeros: there is no low-rank product" },            \
  [UP] = { QCONV_FINDING_NONE, "lora-up", "lora_up holds only zeros: there is no low-rank product" }

const QconvFinding nunchaku_int4_findings[] = {
  [SCALES] = { QCONV_FINDING_PROBLEM, "scale-value", "scales in wscales are not positive numbers" },
  COMMON,
  [CODES] = { QCONV_FINDING_WARNING, "code", "codes are -8, which deepcompressor never writes" },
  [MINUS_ZERO] = { QCONV_FINDING_WARNING, NULL, NULL },
};

const QconvFinding nunchaku_fp4_findings[] = {
  [SCALES] = { QCONV_FINDING_PROBLEM, "scale-value",
               "scales in wscales are NaN or negative; the kernels read E4M3 without a sign" },
  COMMON,
  [CODES] = { QCONV_FINDING_WARNING, "code", "codes are minus zero, which deepcompressor never writes" },
  [MINUS_ZERO] = { QCONV_FINDING_WARNING, "minus-zero", "scales of groups of zeros are minus zero" },
  [N_FINDINGS] = { QCONV_FINDING_WARNING, NULL, NULL },
};

/* Returns the data of a component and sets @n to its number of items of @size bytes. */
static const void *
items_of (const QconvTile *t, const char *component, gsize size, gsize *n)
{
  QconvBuffer *buffer = qconv_tile_component (t, component);

  *n = buffer != NULL ? qconv_buffer_size (buffer) / size : 0;
  return buffer != NULL ? qconv_buffer_data (buffer) : NULL;
}

/* Counts numbers that are Inf or NaN or, if they must be @positive, not above 0. */
static guint64
count_wrong (const QconvTile *t, const char *component, gboolean positive)
{
  gsize n;
  const float *x = items_of (t, component, sizeof *x, &n);
  guint64 wrong = 0;

  for (gsize i = 0; i < n; i++)
    wrong += !isfinite (x[i]) || (positive && x[i] <= 0.0f);
  return wrong;
}

static guint64
count_nonzero (const QconvTile *t, const char *component)
{
  gsize n;
  const float *x = items_of (t, component, sizeof *x, &n);
  guint64 found = 0;

  for (gsize i = 0; i < n; i++)
    found += !(x[i] >= 0.0f && x[i] <= 0.0f);
  return found;
}

/* Counts unused codes, 16 at a time: rows are multiples of a group, so that words are full. */
static guint64
count_codes (const QconvTile *t)
{
  const guint64 ones = G_GUINT64_CONSTANT (0x1111111111111111);
  gsize n;
  const guint8 *words = items_of (t, "codes", sizeof (guint64), &n);
  guint64 found = 0;

  for (gsize i = 0; i < n; i++)
    {
      guint64 other; /* per code: the bits in which it differs from the unused one, then whether there are any */

      memcpy (&other, words + i * sizeof other, sizeof other);
      other ^= ones * UNUSED_CODE;
      other = (other | other >> 1 | other >> 2 | other >> 3) & ones;
      found += (guint64) (16 - __builtin_popcountll (other));
    }
  return found;
}

/* Counts scales of FP4. deepcompressor writes minus zero for groups of zeros; such a scale has no effect. */
static void
count_block_scales (const QconvTile *t, guint64 *counts)
{
  const gsize group_bytes = NUNCHAKU_GROUP_FP4 / 2;
  gsize n, n_pairs;
  const guint8 *scales = items_of (t, "block_scale", 1, &n), *pairs = items_of (t, "codes", 1, &n_pairs);

  for (gsize i = 0; i < n; i++)
    {
      guint8 any = 0;

      if (scales[i] < E4M3_NAN)
        continue;
      for (gsize k = 0; k < group_bytes; k++)
        any |= pairs[i * group_bytes + k];
      counts[scales[i] == E4M3_MINUS_ZERO && any == 0 ? MINUS_ZERO : SCALES]++;
    }
}

void
nunchaku_examine (const QconvQuantizer *self, const QconvTile *t, guint64 *counts)
{
  if (self == &nunchaku_svdq_fp4)
    count_block_scales (t, counts);
  else
    counts[SCALES] += count_wrong (t, "group_scale", TRUE);
  counts[FACTORS] += count_wrong (t, "row_scale", FALSE);
  counts[PRODUCT] += count_wrong (t, "lora_up", FALSE);
  counts[UP] += count_nonzero (t, "lora_up");
  counts[CODES] += count_codes (t);
  if (t->first_row > 0)
    return;
  counts[FACTORS] += count_wrong (t, "tensor_scale", FALSE) + count_wrong (t, "smooth_orig", FALSE);
  counts[SMOOTH] += count_wrong (t, "smooth", TRUE);
  counts[PRODUCT] += count_wrong (t, "lora_down", FALSE);
  counts[DOWN] += count_nonzero (t, "lora_down");
}

/* ---- Other tensors ---- */

gboolean
nunchaku_all_zero (const QconvTensor *t)
{
  guint8 bytes[4096];
  guint64 n;

  for (guint64 at = 0; at < t->n_bytes; at += n)
    {
      n = MIN (t->n_bytes - at, sizeof bytes);
      if (!qconv_tensor_read (t, at, (gsize) n, bytes, NULL))
        return FALSE;
      for (guint64 i = 0; i < n; i++)
        if ((bytes[i] & (i % 2 == 1 ? 0x7f : 0xff)) != 0) /* zeros of both signs */
          return FALSE;
    }
  return TRUE;
}

/* Returns: (transfer full): the set of the tensors of all layers. Biases are none: they are not decoded. */
static GHashTable *
members_of (const GPtrArray *looks)
{
  GHashTable *members = g_hash_table_new (NULL, NULL);

  for (guint i = 0; i < looks->len; i++)
    for (guint k = 0; k < NUNCHAKU_N_MEMBERS; k++)
      if (k != NUNCHAKU_BIAS)
        g_hash_table_add (members, (gpointer) ((const NunchakuLook *) g_ptr_array_index (looks, i))->members[k]);
  return members;
}

void
nunchaku_check_numbers (const QconvDirectory *d, const GPtrArray *looks, QconvProblems *problems)
{
  g_autoptr (GHashTable) members = members_of (looks);

  for (guint i = 0; i < qconv_directory_n_tensors (d); i++)
    {
      const QconvTensor *t = qconv_directory_tensor (d, i);

      if (qconv_dtype_is_float (t->dtype) && !g_hash_table_contains (members, t)
          && !qconv_tensor_is_finite (t, QCONV_SIGN_ANY))
        qconv_problems_add (problems, t->name, "non-finite", "the tensor holds Inf or NaN");
    }
}
