/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The targets. Mixtures are those of ComfyUI-GGUF's patch of llama-quantize for diffusion models (tools/lcpp.patch:
   img_tensor_get_type), by the roles that its name patterns mean, and those of llama.cpp for text models
   (src/llama-quant.cpp). */
#include "targets.h"

#include <string.h>

#include "qconv-plugin.h"

static gboolean
is_diffusion (const char *kind)
{
  return strcmp (kind, "diffusion") == 0;
}

/* ---- Which blocks of a model ---- */

static gboolean
in_diffusion (const char *kind, guint64 block, guint64 n)
{
  return is_diffusion (kind);
}

static gboolean
in_text (const char *kind, guint64 block, guint64 n)
{
  return !is_diffusion (kind);
}

static gboolean
in_first_two (const char *kind, guint64 block, guint64 n)
{
  return block < 2;
}

static gboolean
in_first_four (const char *kind, guint64 block, guint64 n)
{
  return block < 4;
}

/* All of a diffusion model; of a text model the layers of llama.cpp's use_more_bits() */
static gboolean
in_more_bits (const char *kind, guint64 block, guint64 n)
{
  return is_diffusion (kind) || block < n / 8 || block >= 7 * n / 8 || (block - n / 8) % 3 == 2;
}

/* All of a diffusion model; of a text model the first eighth */
static gboolean
in_first_eighth (const char *kind, guint64 block, guint64 n)
{
  return is_diffusion (kind) || block < n / 8;
}

static gboolean
in_first_sixteenth_of_text (const char *kind, guint64 block, guint64 n)
{
  return !is_diffusion (kind) && block < n / 16;
}

/* ---- Mixtures ---- */

/* The three roles of projections that several mixtures treat alike, each with the same scheme and blocks. */
#define VALUES(scheme, takes)        \
  { "attn_v", scheme, NULL, takes }, \
  {                                  \
    "xattn_v", scheme, NULL, takes   \
  }
/* Vocabularies of text models (llama.cpp gives an embedding that is the output, too, as much) */
#define VOCABULARY                          \
  { "token_embed", "q6_k", NULL, in_text }, \
  {                                         \
    "lm_head", "q6_k", NULL, in_text        \
  }
#define DOWN(scheme, takes)            \
  { "ffn_down", scheme, NULL, takes }, \
  {                                    \
    "expert_down", scheme, NULL, takes \
  }

static const QconvRoleScheme q2_k[]
    = { VALUES ("q3_k", NULL), DOWN ("q3_k", in_text), { "attn_out", "q3_k", NULL, in_text }, VOCABULARY, { NULL } };
static const QconvRoleScheme q3_k_m[] = { VALUES ("q5_k", in_first_two),
                                          VALUES ("q4_k", NULL),
                                          { "attn_qkv", "q4_k", NULL, in_diffusion },
                                          DOWN ("q5_k", in_first_sixteenth_of_text),
                                          DOWN ("q4_k", NULL),
                                          { "attn_out", "q4_k", NULL, in_text },
                                          VOCABULARY,
                                          { NULL } };
static const QconvRoleScheme q3_k_l[] = { VALUES ("q5_k", NULL),
                                          { "attn_qkv", "q4_k", NULL, in_diffusion },
                                          DOWN ("q5_k", NULL),
                                          { "attn_out", "q5_k", NULL, in_text },
                                          VOCABULARY,
                                          { NULL } };
static const QconvRoleScheme q4_k_s[]
    = { VALUES ("q5_k", in_first_four), DOWN ("q5_k", in_first_eighth), VOCABULARY, { NULL } };
static const QconvRoleScheme q4_k_m[] = { VALUES ("q6_k", in_more_bits),
                                          { "attn_qkv", "q5_k", NULL, in_diffusion },
                                          DOWN ("q6_k", in_more_bits),
                                          VOCABULARY,
                                          { NULL } };
static const QconvRoleScheme q5_k_m[] = { VALUES ("q6_k", in_more_bits),
                                          { "attn_qkv", "q6_k", NULL, in_diffusion },
                                          DOWN ("q6_k", in_more_bits),
                                          VOCABULARY,
                                          { NULL } };
static const QconvRoleScheme q4_0[] = { DOWN ("q4_1", in_diffusion), { NULL } };
static const QconvRoleScheme q5_0[] = { DOWN ("q5_1", in_diffusion), { NULL } };

/* Types for rows that are no multiple of 256 (llama.cpp: src/llama-quant.cpp tensor_type_fallback). */
static const QconvInstead instead[] = { { "q2_k", "q4_0" },  { "q3_k", "q4_0" },  { "q4_k", "q5_0" },
                                        { "q5_k", "q5_1" },  { "q6_k", "q8_0" },  { "iq4_xs", "iq4_nl" },
                                        { "tq1_0", "q4_0" }, { "tq2_0", "q4_0" }, { NULL } };

/* Files are called as the hub's are: model-Q4_K_M.gguf. */
/* clang-format off */
#define PLAIN(name_, word, dtype_, text) \
  { .name = name_, .summary = text, .scheme = "plain", .dtype = dtype_, .file_name = "{stem}-" word }
#define ONE_TYPE(name_, word, scheme_, text) \
  { .name = name_, .summary = text, .scheme = scheme_, .instead = instead, .gives_way = TRUE, \
    .file_name = "{stem}-" word }
#define MIXTURE(name_, word, scheme_, roles_, text) \
  { .name = name_, .summary = text, .scheme = scheme_, .roles = roles_, .instead = instead, .gives_way = TRUE, \
    .file_name = "{stem}-" word }
/* clang-format on */

const QconvTarget qconv_gguf_targets[] = {
  PLAIN ("f32", "F32", QCONV_F32, N_ ("All weights as F32")),
  PLAIN ("f16", "F16", QCONV_F16, N_ ("Weights as F16, small tensors as F32")),
  PLAIN ("bf16", "BF16", QCONV_BF16, N_ ("Weights as BF16, small tensors as F32")),
  ONE_TYPE ("q8_0", "Q8_0", "q8_0", N_ ("All weights as Q8_0")),
  ONE_TYPE ("q6_k", "Q6_K", "q6_k", N_ ("All weights as Q6_K")),
  ONE_TYPE ("q5_k", "Q5_K", "q5_k", N_ ("All weights as Q5_K")),
  ONE_TYPE ("q5_k_s", "Q5_K_S", "q5_k", N_ ("All weights as Q5_K")),
  ONE_TYPE ("q5_1", "Q5_1", "q5_1", N_ ("All weights as Q5_1")),
  ONE_TYPE ("q4_k", "Q4_K", "q4_k", N_ ("All weights as Q4_K")),
  ONE_TYPE ("q4_1", "Q4_1", "q4_1", N_ ("All weights as Q4_1")),
  ONE_TYPE ("q3_k", "Q3_K", "q3_k", N_ ("All weights as Q3_K")),
  ONE_TYPE ("q3_k_s", "Q3_K_S", "q3_k", N_ ("All weights as Q3_K")),
  ONE_TYPE ("iq4_nl", "IQ4_NL", "iq4_nl", N_ ("All weights as IQ4_NL")),
  ONE_TYPE ("iq4_xs", "IQ4_XS", "iq4_xs", N_ ("All weights as IQ4_XS")),
  ONE_TYPE ("tq1_0", "TQ1_0", "tq1_0", N_ ("All weights as TQ1_0")),
  ONE_TYPE ("tq2_0", "TQ2_0", "tq2_0", N_ ("All weights as TQ2_0")),
  ONE_TYPE ("mxfp4", "MXFP4", "mxfp4_blocks", N_ ("All weights as MXFP4")),
  ONE_TYPE ("nvfp4", "NVFP4", "nvfp4_blocks", N_ ("All weights as NVFP4")),
  MIXTURE ("q5_k_m", "Q5_K_M", "q5_k", q5_k_m, N_ ("Weights as Q5_K, sensitive ones as Q6_K")),
  MIXTURE ("q5_0", "Q5_0", "q5_0", q5_0, N_ ("Weights as Q5_0, sensitive ones as Q5_1")),
  MIXTURE ("q4_k_m", "Q4_K_M", "q4_k", q4_k_m, N_ ("Weights as Q4_K, sensitive ones as Q5_K and Q6_K")),
  MIXTURE ("q4_k_s", "Q4_K_S", "q4_k", q4_k_s, N_ ("Weights as Q4_K, sensitive ones as Q5_K")),
  MIXTURE ("q4_0", "Q4_0", "q4_0", q4_0, N_ ("Weights as Q4_0, sensitive ones as Q4_1")),
  MIXTURE ("q3_k_m", "Q3_K_M", "q3_k", q3_k_m, N_ ("Weights as Q3_K, sensitive ones as Q4_K and Q5_K")),
  MIXTURE ("q3_k_l", "Q3_K_L", "q3_k", q3_k_l, N_ ("Weights as Q3_K, sensitive ones as Q4_K and Q5_K")),
  MIXTURE ("q2_k", "Q2_K", "q2_k", q2_k, N_ ("Weights as Q2_K, sensitive ones as Q3_K")),
  { 0 },
};

gint
qconv_gguf_file_type (const char *name)
{
  /* q3_k is Q3_K_S, and so on: the number of the mixture that has one type */
  static const struct {
    const char *name;
    gint number;
  } numbers[] = {
    { "f32", 0 },     { "f16", 1 },     { "q4_0", 2 },    { "q4_1", 3 },    { "q8_0", 7 },
    { "q5_0", 8 },    { "q5_1", 9 },    { "q2_k", 10 },   { "q3_k", 11 },   { "q3_k_s", 11 },
    { "q3_k_m", 12 }, { "q3_k_l", 13 }, { "q4_k", 14 },   { "q4_k_s", 14 }, { "q4_k_m", 15 },
    { "q5_k", 16 },   { "q5_k_s", 16 }, { "q5_k_m", 17 }, { "q6_k", 18 },   { "iq4_nl", 25 },
    { "iq4_xs", 30 }, { "bf16", 32 },   { "tq1_0", 36 },  { "tq2_0", 37 },  { "mxfp4", 38 },
  };

  for (guint i = 0; i < G_N_ELEMENTS (numbers); i++)
    if (strcmp (numbers[i].name, name) == 0)
      return numbers[i].number;
  return -1;
}
