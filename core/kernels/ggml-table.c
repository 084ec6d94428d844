/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Lists the operations of the ggml block types, and runs the decoders: blocks in, F32 out. The table of each level
   includes them. */
#include "kernels/ggml-encode.h"
#include "kernels/jobs.h"

static gboolean
run (const QconvArg *args, gsize block_bytes, gsize block_items, QconvGgmlDecode *decode, GError **error)
{
  QconvGgmlJob job;

  if (!qconv_job_ggml (&job, args, block_bytes, block_items, error))
    return FALSE;
  decode (job.blocks, job.dst, job.n);
  return TRUE;
}

#define DEFINE_DECODE(name, op, bytes, items)                                                            \
  static gboolean decode_##name (gpointer device, gpointer stream, const QconvArg *args, GError **error) \
  {                                                                                                      \
    return run (args, bytes, items, QCONV_LEVEL_NAME (qconv_ggml_##name), error);                        \
  }
QCONV_GGML_TYPES (DEFINE_DECODE)

#define DECODE(name, op, bytes, items) { op "-decode", 1, "bbi", decode_##name },
#define ENCODE(type, name, items, bytes) \
  { name "-encode", 1, "bbbiii", QCONV_LEVEL_NAME (qconv_op_ggml_encode_##type) },

const QconvOp QCONV_LEVEL_NAME (qconv_ggml_ops)[] = {
  QCONV_GGML_TYPES (DECODE) QCONV_GGML_ENCODED (ENCODE) { .name = NULL },
};
