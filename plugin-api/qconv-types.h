/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Numbers, shapes, errors and options. Every other header of the plugin interface includes this. */
#pragma once
#include "qconv-dtype.h"

#include <glib.h>
G_BEGIN_DECLS

#ifndef QCONV_API
#define QCONV_API extern
#endif

/* Version of the tables of plugins and backends, of the functions that plugins call and of their promises. It rises
   only when a module of an older build would break: a symbol goes, or an offset, a size, a number or a promise changes.
   It also rises with the soname of libqconv. Additions do not raise it: new members of tables come out of reserved[],
   and structs that core allocates grow at their end, so a plugin must neither allocate nor copy those. "abi" in
   meson.build is the same number; tests/abi keeps the lists. */
#define QCONV_PLUGIN_ABI 1

/* Returns the width of one item in bits; 8 for QCONV_OPAQUE. */
QCONV_API guint qconv_dtype_bits (QconvDType dtype);
/* Returns: (transfer none): "BF16", "F8_E4M3" …; the spelling of safetensors if safetensors has the type. */
QCONV_API const char *qconv_dtype_name (QconvDType dtype);
/* Sets @dtype and returns TRUE if @name is a spelling that qconv_dtype_name() gives; else returns FALSE. */
QCONV_API gboolean qconv_dtype_from_name (const char *name, QconvDType *dtype);
/* Returns TRUE for F64, F32, F16 and BF16, the types of plain weights. */
QCONV_API gboolean qconv_dtype_is_float (QconvDType dtype);

#define QCONV_MAX_RANK 16

/* A shape. Items are in row-major order, axis 0 outermost; rank 0 is one item. */
typedef struct {
  guint32 rank;
  guint64 dim[QCONV_MAX_RANK];
} QconvShape;
#define QCONV_SHAPE0 ((QconvShape) { 0, { 0 } })
#define QCONV_SHAPE1(a) ((QconvShape) { 1, { (a) } })
#define QCONV_SHAPE2(a, b) ((QconvShape) { 2, { (a), (b) } })

/* Sets @n_items to the product of the dimensions. Returns FALSE if it does not fit 63 bits, or the rank is above
   QCONV_MAX_RANK; a zero after an overflow does not hide the overflow. */
QCONV_API gboolean qconv_shape_items (const QconvShape *shape, guint64 *n_items);
/* Sets @n_bytes to the size of the array. Types below a byte are rounded up to whole bytes: QCONV_U4 for each row (last
   axis), others for the whole array. Returns FALSE on overflow. */
QCONV_API gboolean qconv_shape_bytes (const QconvShape *shape, QconvDType dtype, guint64 *n_bytes);
/* Returns whether rank and all dimensions are equal. */
QCONV_API gboolean qconv_shape_equal (const QconvShape *a, const QconvShape *b);
/* Returns: (transfer full): "[3072, 1024]". */
QCONV_API char *qconv_shape_to_string (const QconvShape *shape);

/**
 * QconvError: the cause of an error. The number in brackets is the exit status of the program. An error of reading or
 * writing a file, and cancelling, must stay the G_IO_ERROR that they came as [1, cancelled 130].
 *
 * @QCONV_ERROR_INPUT: the file contradicts its own format [3]
 * @QCONV_ERROR_UNSUPPORTED: the file is well formed, but qconv cannot handle it; also a shape that does not suit a
 *   scheme [3]
 * @QCONV_ERROR_NON_FINITE: Inf or NaN in the place of a number [3]
 * @QCONV_ERROR_OPTION: an option is unknown, out of range, or contradicts another [2]
 * @QCONV_ERROR_NO_PLUGIN: no loaded plugin can do the work [2]
 * @QCONV_ERROR_CHECK: the written file differs from what was planned [4]
 * @QCONV_ERROR_LIMIT: the work does not fit --memory or the disk [1]
 * @QCONV_ERROR_DEVICE: a device failed; core may continue on the CPU [1]
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
/* Sets @error as g_set_error() does, in the domain QCONV_ERROR, and returns FALSE, so that a check is one line. The
   text is lower case without full stop and names the tensor, key or option. */
QCONV_API gboolean qconv_fail (GError **error, QconvError code, const char *format, ...) G_GNUC_PRINTF (3, 4);

/**
 * QconvOption: one row of a constant table that ends with { NULL }. The table feeds --help, -o key=value, completion
 * and validation. The default stands in the table and must not stand anywhere else.
 *
 * @value: (nullable): the default as text; NULL: unset (strings and files only)
 * @min, @max: inclusive range of a number; both 0: any
 * @choices: of QCONV_CHOICE; ends with NULL
 * @help: marked N_(); lower case without full stop
 * @flags: of #QconvOptionFlags
 */
typedef enum { QCONV_BOOLEAN, QCONV_INT, QCONV_DOUBLE, QCONV_CHOICE, QCONV_STRING, QCONV_FILE } QconvOptionType;
typedef enum {
  QCONV_OPTION_PARAMETER = 1, /* it changes the meaning of components: core moves components only if these are equal */
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
 * QconvValues: the values of one table of options. Values are checked and complete: every name of the table has one. A
 * plugin must not ask for a name that its table lacks. Core owns the values; they live as long as the object that they
 * came with.
 *
 * The texts that they are parsed from:
 * - "-o [ID.]key=value" is one option: all behind the first "=" is its value, with commas and further "=". ID is that
 *   of a scheme, reader, writer or container; without it the key goes to the one that knows it, and it is an error if
 *   two of them do. "-o [ID.]key" gives a QCONV_BOOLEAN, and a QCONV_CHOICE that has it, the value "on"; else a choice
 *   that has it "auto".
 * - "key=value,key=value" is a list: parameters of targets and claims, and SCHEME[,key=value…] of --layers. The comma
 *   always ends a value. There is no quoting and no space is removed, so a value with a comma can come by -o only.
 * - If a key comes twice, in a list or with -o, the last one counts.
 * - The words of QCONV_BOOLEAN are on, true, yes, 1 and off, false, no, 0, in lower case; they are kept as "on" and
 *   "off". Numbers have a decimal point in every language.
 */
typedef struct _QconvValues QconvValues;
QCONV_API gboolean qconv_values_boolean (const QconvValues *v, const char *name);
QCONV_API gint64 qconv_values_int (const QconvValues *v, const char *name);
QCONV_API double qconv_values_double (const QconvValues *v, const char *name);
/* Returns: (transfer none) (nullable): the text of a choice, string or file; NULL if it is unset. */
QCONV_API const char *qconv_values_string (const QconvValues *v, const char *name);
/* Returns whether @name was set; FALSE: it has its default. */
QCONV_API gboolean qconv_values_is_set (const QconvValues *v, const char *name);
/* Sets @name to @value, which the table must allow. Only QconvQuantizer.settle() may call it. */
QCONV_API void qconv_values_replace (QconvValues *v, const char *name, const char *value);

G_END_DECLS
