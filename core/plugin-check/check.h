/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the rows of the check share: the module that is checked, its scratch files, and conversions of them. */
#pragma once
#include "qconv.h"

/**
 * Check: one run of rows over one module, in a process of its own.
 *
 * @name: of the module
 * @folder: scratch folder for files
 * @samples: NULL-terminated paths of the user's sample files
 * @plugin: table of the module
 * @rows: (element-type CheckRow)
 * @say: where lines to the parent process go
 */
typedef struct {
  const char *name, *folder;
  char **samples;
  const QconvPlugin *plugin;
  GPtrArray *rows;
  int say;
} Check;

typedef struct _CheckRow CheckRow;
/* Tests one row. Returns FALSE with the reason if the plugin breaks its contract, or with a reason of check_skip() */
typedef gboolean (*CheckFunc) (Check *c, const CheckRow *row, GError **error);

/* One promise of the contract. @feature: (nullable): table of the container, reader, quantizer or writer; @id: its id,
   or the name of a target */
struct _CheckRow {
  char *name;
  CheckFunc run;
  gconstpointer feature;
  char *id;
};

/* One way to convert a file. Zero is the default. @unverified: without the check of core; @family_file, @naming: as in
   QconvOpenOptions and QconvNameOptions */
typedef struct {
  const char *target, *option;
  guint n_threads;
  guint64 memory;
  gboolean unverified;
  const char *family_file, *naming;
} CheckWay;

/* Adds the row "@kind @id: @what" */
void check_add_row (Check *c, const char *kind, const char *id, const char *what, CheckFunc run, gconstpointer feature);
/* Sets the reason why a row cannot be tested. Returns FALSE */
gboolean check_skip (GError **error, const char *reason);
#define CHECK_SKIPPED g_quark_from_static_string ("plugin-check-skipped")
/* Sets the reason why a row fails. Returns FALSE */
gboolean check_fail (GError **error, const char *format, ...) G_GNUC_PRINTF (2, 3);
/* Tells the parent what is tried next. It names this step if the plugin crashes or hangs */
void check_step (Check *c, const char *format, ...) G_GNUC_PRINTF (2, 3);

/* Returns: (transfer none) (nullable): the table of the module @name in the file @path */
const QconvPlugin *check_module_table (const char *path, const char *name);

/* ---- Rows of each kind ---- */

void check_add_table_rows (Check *c);
void check_add_file_rows (Check *c);
void check_add_quantizer_rows (Check *c);
void check_add_writer_rows (Check *c);

/* ---- Files: paths are (transfer full) ---- */

char *check_path (const Check *c, const char *name);
GBytes *check_read (const char *path, GError **error);
/* Writes the first @n bytes of @bytes without waiting for the disk */
gboolean check_write (const char *path, const guint8 *bytes, gsize n, GError **error);
/* Changes one byte of a file */
gboolean check_write_byte (const char *path, gsize at, guint8 byte, GError **error);

typedef enum { CHECK_NOISE, CHECK_OUTLIERS, CHECK_CONSTANT, CHECK_ZERO, CHECK_N_FILLS } CheckFill;
typedef struct {
  guint64 rows, cols;
  CheckFill fill;
} CheckLayer;
/* Writes a model of plain layers "layers.0.weight" … unless the file exists. @layers ends with { 0 }; @dtype: F32,
   F16 or BF16. Returns its path */
char *check_model (Check *c, const char *name, const CheckLayer *layers, QconvDType dtype, GError **error);
/* The same for one layer of 256 × 512: all weights are the F32 @bits, or only the last one if @last */
char *check_model_of_bits (Check *c, guint32 bits, gboolean last, GError **error);
/* A model of several layers that most schemes hold: two chunks of passes, whole and broken blocks */
char *check_usual_model (Check *c, GError **error);
/* A smaller one, for rows that convert often */
char *check_small_model (Check *c, GError **error);

/* ---- Conversions ---- */

/* The target that decodes everything to F32, in files of the program's own */
#define CHECK_DECODED "decoded-plugincheck"

/* Returns: (transfer none) (nullable): the target @name */
const QconvTargetInfo *check_target (const char *name);
QconvModel *check_open (const char *path, const char *from, GError **error);
/* Plans the conversion of @model to @output */
QconvPlan *check_plan (QconvModel *model, const CheckWay *way, const char *output, GError **error);
/* Converts the file @input to @output. Fails unless the check of core passes, the size is as planned and every planned
   weight is in the file. Returns: (transfer full): the written bytes */
GBytes *check_convert (Check *c, const char *input, const CheckWay *way, const char *output, GError **error);
/* Finds the least memory, a power of two, that a plan accepts */
gboolean check_least_memory (Check *c, const char *input, const char *target, guint64 *memory, GError **error);
/* Converts a large layer to @target and back. Fails if that takes more memory than the plan states */
gboolean check_memory (Check *c, const char *target, GError **error);
/* Converts @input to @target in several ways: threads, memory, contents of memory. Fails if the bytes differ */
gboolean check_same_bytes (Check *c, const char *input, const char *target, GError **error);
