/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One level's table; data/operations.md says what each operation promises. */
#include "ops.h"

const QconvOp QCONV_LEVEL_NAME (qconv_plain_ops)[] = {
  { "amax", 1, "bb", QCONV_LEVEL_NAME (qconv_op_amax) },
  { "nonfinite", 1, "bb", QCONV_LEVEL_NAME (qconv_op_nonfinite) },
  { "convert", 1, "bb", QCONV_LEVEL_NAME (qconv_op_convert) },
  { "squared-error", 1, "bbbii", QCONV_LEVEL_NAME (qconv_op_squared_error) },
  { "nvfp4-encode-rtn", 1, "bbbbii", QCONV_LEVEL_NAME (qconv_op_nvfp4_encode_rtn) },
  { "nvfp4-encode-search", 1, "bbbbii", QCONV_LEVEL_NAME (qconv_op_nvfp4_encode_search) },
  { "nvfp4-decode", 1, "bbbbii", QCONV_LEVEL_NAME (qconv_op_nvfp4_decode) },
  { "mxfp4-decode", 1, "bbbii", QCONV_LEVEL_NAME (qconv_op_mxfp4_decode) },
  { "magnitudes", 1, "bb", QCONV_LEVEL_NAME (qconv_op_magnitudes) },
  { "fp8-encode", 1, "bbbii", QCONV_LEVEL_NAME (qconv_op_fp8_encode) },
  { "fp8-tile-encode-rtn", 1, "bbbiiii", QCONV_LEVEL_NAME (qconv_op_fp8_tile_encode_rtn) },
  { "fp8-tile-encode-search", 1, "bbbiiii", QCONV_LEVEL_NAME (qconv_op_fp8_tile_encode_search) },
  { "fp8-decode", 1, "bbbiiii", QCONV_LEVEL_NAME (qconv_op_fp8_decode) },
  { "mxfp8-encode", 1, "bbbii", QCONV_LEVEL_NAME (qconv_op_mxfp8_encode) },
  { "mxfp8-decode", 1, "bbbii", QCONV_LEVEL_NAME (qconv_op_mxfp8_decode) },
  { "convrot", 1, "bbiii", QCONV_LEVEL_NAME (qconv_op_convrot) },
  { "int8-encode-row", 1, "bbbbiii", QCONV_LEVEL_NAME (qconv_op_int8_encode_row) },
  { "int8-encode", 1, "bbbbiii", QCONV_LEVEL_NAME (qconv_op_int8_encode) },
  { "int8-encode-block", 1, "bbbbiii", QCONV_LEVEL_NAME (qconv_op_int8_encode_block) },
  { "int8-decode", 1, "bbbiiii", QCONV_LEVEL_NAME (qconv_op_int8_decode) },
  { "int4-encode-row", 1, "bbbbiii", QCONV_LEVEL_NAME (qconv_op_int4_encode_row) },
  { "int4-decode-row", 1, "bbbii", QCONV_LEVEL_NAME (qconv_op_int4_decode_row) },
  { "codebook4-encode-rtn", 1, "bbbbiii", QCONV_LEVEL_NAME (qconv_op_codebook4_encode_rtn) },
  { "codebook4-encode-search", 1, "bbbbiii", QCONV_LEVEL_NAME (qconv_op_codebook4_encode_search) },
  { "codebook4-encode-given", 1, "bbbbiii", QCONV_LEVEL_NAME (qconv_op_codebook4_encode_given) },
  { "codebook4-decode", 1, "bbbbiii", QCONV_LEVEL_NAME (qconv_op_codebook4_decode) },
  { .name = NULL },
};
