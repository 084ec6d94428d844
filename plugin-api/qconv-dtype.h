/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Types of items. Stands apart from qconv-types.h, which includes it, because the code of devices cannot use GLib. */
#pragma once

/**
 * QconvDType: type of one item. The numbers never change. Items of several bytes are little-endian wherever a plugin
 * sees them, unless #QconvTensor.big_endian is set.
 *
 * @QCONV_OPAQUE: bytes that only a reader understands (GGUF blocks); an item is a byte
 * @QCONV_F8_E4M3: the finite variant "fn" of OCP OFP8: no infinity, 0x7f and 0xff are NaN
 * @QCONV_F8_E8M0: an exponent byte e with the value 2^(e-127); 0xff is NaN (OCP Microscaling Formats)
 * @QCONV_C64: two F32, real then imaginary
 * @QCONV_U4: any 4-bit code; the even item in the low nibble, every row starts a byte. A code of another width takes a
 *   byte
 * @QCONV_F4, @QCONV_F6_E2M3, @QCONV_F6_E3M2: types of safetensors below a byte. Safetensors does not define their
 *   packing, so qconv only copies them
 */
typedef enum {
  QCONV_OPAQUE = 0,
  QCONV_F64,
  QCONV_F32,
  QCONV_F16,
  QCONV_BF16,
  QCONV_F8_E4M3,
  QCONV_F8_E5M2,
  QCONV_F8_E8M0,
  QCONV_I64,
  QCONV_I32,
  QCONV_I16,
  QCONV_I8,
  QCONV_U64,
  QCONV_U32,
  QCONV_U16,
  QCONV_U8,
  QCONV_BOOL,
  QCONV_C64,
  QCONV_U4,
  QCONV_F4,
  QCONV_F6_E2M3,
  QCONV_F6_E3M2,
  QCONV_F8_E4M3FNUZ,
  QCONV_F8_E5M2FNUZ,
  QCONV_N_DTYPES
} QconvDType;
