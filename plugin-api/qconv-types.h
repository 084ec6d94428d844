/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Numbers, shapes, errors and options: what every plugin sees. */
#pragma once
#include <glib.h>
G_BEGIN_DECLS

#ifndef QCONV_API
#define QCONV_API extern
#endif

/* Of plugins and backends; raised only when a table or a promise breaks: fields come out of reserved[] */
#define QCONV_PLUGIN_ABI 1

/**
 * QconvDType: type of one item. The numbers never change. Multi-byte items are little-endian wherever a
 * plugin sees them, except in tensors that say otherwise (#QconvTensor.big_endian).
 *
 * @QCONV_OPAQUE: bytes that only a reader understands (GGUF blocks); items are bytes
 * @QCONV_F8_E4M3: the finite "fn" variant: no infinity, 0x7f and 0xff are NaN
 * @QCONV_F8_E8M0: an exponent byte e with the value 2^(e-127)
 * @QCONV_C64: two F32, real then imaginary
 * @QCONV_U4: any 4-bit code; even item in the low nibble, every row starts a byte. Codes of other widths take a
 *   byte each
 * @QCONV_F4, @QCONV_F6_E2M3, @QCONV_F6_E3M2: container types below a byte; their packing is not defined by the
 *   container, so they are only copied
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

/* Returns: width of one item in bits; 8 for QCONV_OPAQUE */
QCONV_API guint qconv_dtype_bits (QconvDType dtype);
/* Returns: (transfer none): "BF16", "F8_E4M3" …; the spelling of safetensors where that has one */
QCONV_API const char *qconv_dtype_name (QconvDType dtype);
/* Returns: TRUE with @dtype set where @name is a spelling that qconv_dtype_name() gives */
QCONV_API gboolean qconv_dtype_from_name (const char *name, QconvDType *dtype);
/* Returns: TRUE for F64, F32, F16 and BF16, the types in which plain weights come */
QCONV_API gboolean qconv_dtype_is_float (QconvDType dtype);

#define QCONV_MAX_RANK 16

/* A shape; items in row-major order, axis 0 outermost. rank 0 is one item. */
typedef struct {
  guint32 rank;
  guint64 dim[QCONV_MAX_RANK];
} QconvShape;
#define QCONV_SHAPE0 ((QconvShape) { 0, { 0 } })
#define QCONV_SHAPE1(a) ((QconvShape) { 1, { (a) } })
#define QCONV_SHAPE2(a, b) ((QconvShape) { 2, { (a), (b) } })

/* Returns: FALSE where the product of the dimensions does not fit 63 bits. Multiplies left to right, so that a
   zero behind an overflow does not hide it */
QCONV_API gboolean qconv_shape_items (const QconvShape *shape, guint64 *n_items);
/* Returns: FALSE on overflow; bits below a byte are rounded up per row (last axis) for QCONV_U4 and over the
   whole array otherwise */
QCONV_API gboolean qconv_shape_bytes (const QconvShape *shape, QconvDType dtype, guint64 *n_bytes);
QCONV_API gboolean qconv_shape_equal (const QconvShape *a, const QconvShape *b);
/* Returns: (transfer full): "[3072, 1024]" */
QCONV_API char *qconv_shape_to_string (const QconvShape *shape);

/**
 * QconvError: whose fault it is. The number in brackets is the exit status of the program. Files that cannot be
 * read or written and cancelling keep G_IO_ERROR, passed through unchanged [1, cancelled 130].
 *
 * @QCONV_ERROR_INPUT: the file contradicts its own format [3]
 * @QCONV_ERROR_UNSUPPORTED: well formed, but not done here; also: a shape does not suit a scheme [3]
 * @QCONV_ERROR_NON_FINITE: Inf or NaN where numbers are needed [3]
 * @QCONV_ERROR_OPTION: unknown, out of range, contradictory [2]
 * @QCONV_ERROR_NO_PLUGIN: nothing loaded can do it [2]
 * @QCONV_ERROR_CHECK: the written file is not what was asked for [4]
 * @QCONV_ERROR_LIMIT: does not fit --memory or the disk [1]
 * @QCONV_ERROR_DEVICE: a device failed; core may go on with the CPU [1]
 * @QCONV_ERROR_BUG: a plugin broke its contract [1]
 */
typedef enum {
  QCONV_ERROR_INPUT,
  QCONV_ERROR_UNSUPPORTED,
  QCONV_ERROR_NON_FINITE,
  QCONV_ERROR_OPTION,
  QCONV_ERROR_NO_PLUGIN,
  QCONV_ERROR_CHECK,
  QCONV_ERROR_LIMIT,
  QCONV_ERROR_DEVICE,
  QCONV_ERROR_BUG,
} QconvError;
#define QCONV_ERROR (qconv_error_quark ())
QCONV_API GQuark qconv_error_quark (void);
/* g_set_error() of our domain that returns FALSE, so that a check is one line */
QCONV_API gboolean qconv_fail (GError **error, QconvError code, const char *format, ...) G_GNUC_PRINTF (3, 4);

/**
 * QconvOption: one row of a constant table that ends with { NULL }. It feeds --help, -o key=value, completion and
 * validation; the default is written here and nowhere else.
 *
 * @value: default as text; NULL: unset (strings and files only)
 * @min, @max: inclusive range of numbers; both 0: any
 * @choices: QCONV_CHOICE: NULL-terminated
 * @help: marked N_(), lower case, no full stop
 */
typedef enum { QCONV_BOOLEAN, QCONV_INT, QCONV_DOUBLE, QCONV_CHOICE, QCONV_STRING, QCONV_FILE } QconvOptionType;
typedef enum {
  QCONV_OPTION_PARAMETER = 1, /* says what components mean: components move only where these are equal */
} QconvOptionFlags;
typedef struct {
  const char *name;
  QconvOptionType type;
  const char *value;
  double min, max;
  const char *const *choices;
  const char *help;
  guint32 flags;
  gconstpointer reserved[2];
} QconvOption;

/**
 * QconvValues: the options of one table as parsed from "key=value,key=value" (the one grammar of -o, targets and
 * readers): checked and complete, so every name of the table has a value. Asking for a name that the table lacks is
 * a bug of the plugin. Owned by core, lives as long as what it was handed out with.
 */
typedef struct _QconvValues QconvValues;
QCONV_API gboolean qconv_values_boolean (const QconvValues *v, const char *name);
QCONV_API gint64 qconv_values_int (const QconvValues *v, const char *name);
QCONV_API double qconv_values_double (const QconvValues *v, const char *name);
/* Returns: (transfer none) (nullable): choices, strings, files; NULL when unset */
QCONV_API const char *qconv_values_string (const QconvValues *v, const char *name);
/* Returns: FALSE where @name has its default because nobody said otherwise */
QCONV_API gboolean qconv_values_is_set (const QconvValues *v, const char *name);
/* For QconvQuantizer.settle() only. @value: one that the table allows */
QCONV_API void qconv_values_replace (QconvValues *v, const char *name, const char *value);

G_END_DECLS
