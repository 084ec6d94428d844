/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Lists the operations of the ggml block types, and runs the decoders: blocks in, F32 out. The table of each level
   includes them. */
#include "kernels/args.h"
#include "kernels/ggml-encode.h"

/* Checks that the buffers hold all blocks, and runs @decode over them */
static gboolean
run (const QconvArg *args, gsize block_bytes, gsize block_items, QconvGgmlDecode *decode, GError **error)
{
  guint32 bytes = QCONV_MASK (QCONV_OPAQUE) | QCONV_MASK (QCONV_U8);
  gsize n;

  if (!qconv_kernel_count (&args[2], "the number of blocks", &n, error)
      || !qconv_kernel_fits (&args[0], "the buffer of blocks", bytes, n, block_bytes, error)
      || !qconv_kernel_fits (&args[1], "the decoded buffer", QCONV_MASK (QCONV_F32), n, block_items, error))
    return FALSE;
  decode (qconv_kernel_in (&args[0]), qconv_kernel_out (&args[1]), n);
  return TRUE;
}

static gboolean
decode_q4_0 (gpointer device, gpointer stream, const QconvArg *args, GError **error)
{
  return run (args, 18, 32, QCONV_LEVEL_NAME (qconv_ggml_q4_0), error);
}

static gboolean
decode_q4_1 (gpointer device, gpointer stream, const QconvArg *args, GError **error)
{
  return run (args, 20, 32, QCONV_LEVEL_NAME (qconv_ggml_q4_1), error);
}

static gboolean
decode_q5_0 (gpointer device, gpointer stream, const QconvArg *args, GError **error)
{
  return run (args, 22, 32, QCONV_LEVEL_NAME (qconv_ggml_q5_0), error);
}

static gboolean
decode_q5_1 (gpointer device, gpointer stream, const QconvArg *args, GError **error)
{
  return run (args, 24, 32, QCONV_LEVEL_NAME (qconv_ggml_q5_1), error);
}

static gboolean
decode_q8_0 (gpointer device, gpointer stream, const QconvArg *args, GError **error)
{
  return run (args, 34, 32, QCONV_LEVEL_NAME (qconv_ggml_q8_0), error);
}

static gboolean
decode_q8_1 (gpointer device, gpointer stream, const QconvArg *args, GError **error)
{
  return run (args, 36, 32, QCONV_LEVEL_NAME (qconv_ggml_q8_1), error);
}

static gboolean
decode_q2_k (gpointer device, gpointer stream, const QconvArg *args, GError **error)
{
  return run (args, 84, 256, QCONV_LEVEL_NAME (qconv_ggml_q2_k), error);
}

static gboolean
decode_q3_k (gpointer device, gpointer stream, const QconvArg *args, GError **error)
{
  return run (args, 110, 256, QCONV_LEVEL_NAME (qconv_ggml_q3_k), error);
}

static gboolean
decode_q4_k (gpointer device, gpointer stream, const QconvArg *args, GError **error)
{
  return run (args, 144, 256, QCONV_LEVEL_NAME (qconv_ggml_q4_k), error);
}

static gboolean
decode_q5_k (gpointer device, gpointer stream, const QconvArg *args, GError **error)
{
  return run (args, 176, 256, QCONV_LEVEL_NAME (qconv_ggml_q5_k), error);
}

static gboolean
decode_q6_k (gpointer device, gpointer stream, const QconvArg *args, GError **error)
{
  return run (args, 210, 256, QCONV_LEVEL_NAME (qconv_ggml_q6_k), error);
}

static gboolean
decode_q8_k (gpointer device, gpointer stream, const QconvArg *args, GError **error)
{
  return run (args, 292, 256, QCONV_LEVEL_NAME (qconv_ggml_q8_k), error);
}

static gboolean
decode_iq1_s (gpointer device, gpointer stream, const QconvArg *args, GError **error)
{
  return run (args, 50, 256, QCONV_LEVEL_NAME (qconv_ggml_iq1_s), error);
}

static gboolean
decode_iq1_m (gpointer device, gpointer stream, const QconvArg *args, GError **error)
{
  return run (args, 56, 256, QCONV_LEVEL_NAME (qconv_ggml_iq1_m), error);
}

static gboolean
decode_iq2_xxs (gpointer device, gpointer stream, const QconvArg *args, GError **error)
{
  return run (args, 66, 256, QCONV_LEVEL_NAME (qconv_ggml_iq2_xxs), error);
}

static gboolean
decode_iq2_xs (gpointer device, gpointer stream, const QconvArg *args, GError **error)
{
  return run (args, 74, 256, QCONV_LEVEL_NAME (qconv_ggml_iq2_xs), error);
}

static gboolean
decode_iq2_s (gpointer device, gpointer stream, const QconvArg *args, GError **error)
{
  return run (args, 82, 256, QCONV_LEVEL_NAME (qconv_ggml_iq2_s), error);
}

static gboolean
decode_iq3_xxs (gpointer device, gpointer stream, const QconvArg *args, GError **error)
{
  return run (args, 98, 256, QCONV_LEVEL_NAME (qconv_ggml_iq3_xxs), error);
}

static gboolean
decode_iq3_s (gpointer device, gpointer stream, const QconvArg *args, GError **error)
{
  return run (args, 110, 256, QCONV_LEVEL_NAME (qconv_ggml_iq3_s), error);
}

static gboolean
decode_iq4_nl (gpointer device, gpointer stream, const QconvArg *args, GError **error)
{
  return run (args, 18, 32, QCONV_LEVEL_NAME (qconv_ggml_iq4_nl), error);
}

static gboolean
decode_iq4_xs (gpointer device, gpointer stream, const QconvArg *args, GError **error)
{
  return run (args, 136, 256, QCONV_LEVEL_NAME (qconv_ggml_iq4_xs), error);
}

static gboolean
decode_tq1_0 (gpointer device, gpointer stream, const QconvArg *args, GError **error)
{
  return run (args, 54, 256, QCONV_LEVEL_NAME (qconv_ggml_tq1_0), error);
}

static gboolean
decode_tq2_0 (gpointer device, gpointer stream, const QconvArg *args, GError **error)
{
  return run (args, 66, 256, QCONV_LEVEL_NAME (qconv_ggml_tq2_0), error);
}

static gboolean
decode_q1_0 (gpointer device, gpointer stream, const QconvArg *args, GError **error)
{
  return run (args, 18, 128, QCONV_LEVEL_NAME (qconv_ggml_q1_0), error);
}

static gboolean
decode_q2_0 (gpointer device, gpointer stream, const QconvArg *args, GError **error)
{
  return run (args, 18, 64, QCONV_LEVEL_NAME (qconv_ggml_q2_0), error);
}

static gboolean
decode_mxfp4 (gpointer device, gpointer stream, const QconvArg *args, GError **error)
{
  return run (args, 17, 32, QCONV_LEVEL_NAME (qconv_ggml_mxfp4), error);
}

static gboolean
decode_nvfp4 (gpointer device, gpointer stream, const QconvArg *args, GError **error)
{
  return run (args, 36, 64, QCONV_LEVEL_NAME (qconv_ggml_nvfp4), error);
}

#define ENCODE(type, name, items, bytes) \
  { name "-encode", 1, "bbbiii", QCONV_LEVEL_NAME (qconv_op_ggml_encode_##type) },

const QconvOp QCONV_LEVEL_NAME (qconv_ggml_ops)[] = {
  { "q4_0-decode", 1, "bbi", decode_q4_0 },          { "q4_1-decode", 1, "bbi", decode_q4_1 },
  { "q5_0-decode", 1, "bbi", decode_q5_0 },          { "q5_1-decode", 1, "bbi", decode_q5_1 },
  { "q8_0-decode", 1, "bbi", decode_q8_0 },          { "q8_1-decode", 1, "bbi", decode_q8_1 },
  { "q2_k-decode", 1, "bbi", decode_q2_k },          { "q3_k-decode", 1, "bbi", decode_q3_k },
  { "q4_k-decode", 1, "bbi", decode_q4_k },          { "q5_k-decode", 1, "bbi", decode_q5_k },
  { "q6_k-decode", 1, "bbi", decode_q6_k },          { "q8_k-decode", 1, "bbi", decode_q8_k },
  { "iq1_s-decode", 1, "bbi", decode_iq1_s },        { "iq1_m-decode", 1, "bbi", decode_iq1_m },
  { "iq2_xxs-decode", 1, "bbi", decode_iq2_xxs },    { "iq2_xs-decode", 1, "bbi", decode_iq2_xs },
  { "iq2_s-decode", 1, "bbi", decode_iq2_s },        { "iq3_xxs-decode", 1, "bbi", decode_iq3_xxs },
  { "iq3_s-decode", 1, "bbi", decode_iq3_s },        { "iq4_nl-decode", 1, "bbi", decode_iq4_nl },
  { "iq4_xs-decode", 1, "bbi", decode_iq4_xs },      { "tq1_0-decode", 1, "bbi", decode_tq1_0 },
  { "tq2_0-decode", 1, "bbi", decode_tq2_0 },        { "q1_0-decode", 1, "bbi", decode_q1_0 },
  { "q2_0-decode", 1, "bbi", decode_q2_0 },          { "mxfp4_blocks-decode", 1, "bbi", decode_mxfp4 },
  { "nvfp4_blocks-decode", 1, "bbi", decode_nvfp4 }, QCONV_GGML_ENCODED (ENCODE) { .name = NULL },
};
