/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The registry of loaded plugins and backends: what formats, schemes, targets and devices there are. qconv.h includes
   it. */
#pragma once
#include "qconv-plugin.h"
G_BEGIN_DECLS

/**
 * QconvLeftOut: a feature or a target of a loaded plugin that is not used, because its id is taken.
 * @kind: "container" "reader" "quantizer" "writer" "target"
 * @id: of the feature, or the whole name of the target
 * @reason: names the plugin that has the id, and its path
 */
typedef struct {
  const char *kind;
  char *id, *reason;
} QconvLeftOut;

/**
 * QconvModule: one plugin module that was found.
 * @plugin: (nullable): NULL if it did not load
 * @reason: (nullable): the error that it did not load with
 * @left_out: (element-type QconvLeftOut): what is in the tables of @plugin, but not in the lists below
 */
typedef struct {
  char *name, *path;
  const QconvPlugin *plugin;
  char *reason;
  GPtrArray *left_out;
} QconvModule;
/* Loads all modules at the first call. Broken ones are reported once by g_warning() and stay in the list.
   Returns: (transfer none) (element-type QconvModule): sorted by name */
QCONV_API GPtrArray *qconv_registry_modules (void);
/* Returns: (transfer none) (element-type QconvContainer): in the order of their modules. The next three lists have
   the same order */
QCONV_API GPtrArray *qconv_registry_containers (void);
QCONV_API GPtrArray *qconv_registry_readers (void);
QCONV_API GPtrArray *qconv_registry_quantizers (void);
QCONV_API GPtrArray *qconv_registry_writers (void);
/* Offers @plugin, a plugin that is part of the program, behind all modules. Its table must be valid for ever. Must be
   called before any other function of the registry, or one that opens a model */
QCONV_API void qconv_registry_add (const QconvPlugin *plugin);
/**
 * QconvBackendInfo: one module of a backend that was found in QCONV_BACKEND_PATH or $libdir/qconv/backends-ABI/. The
 * processor needs none.
 * @id: as in --device
 * @backend: (nullable): NULL if it did not load
 * @reason: (nullable): the error that it did not load with
 */
typedef struct {
  char *id, *path;
  const QconvBackend *backend;
  char *reason;
} QconvBackendInfo;
/* Loads all modules of backends at the first call. Returns: (transfer none) (element-type QconvBackendInfo): those of
   QCONV_BACKEND_PATH first */
QCONV_API GPtrArray *qconv_registry_backends (void);
/* Opens all devices of @b for a moment. Returns: (transfer full) (element-type utf8): their names, in the order of
   their numbers; NULL with QCONV_ERROR_DEVICE if there are none or one fails */
QCONV_API GPtrArray *qconv_backend_devices (const QconvBackend *b, GError **error);
/* Fails with QCONV_ERROR_NO_PLUGIN if no module was found; the error names the folders that were searched */
QCONV_API gboolean qconv_registry_check (GError **error);
/* Returns: (transfer none): the feature @id; NULL if no loaded plugin has it */
QCONV_API const QconvContainer *qconv_registry_container (const char *id);
QCONV_API const QconvReader *qconv_registry_reader (const char *id);
QCONV_API const QconvQuantizer *qconv_registry_quantizer (const char *id);
QCONV_API const QconvWriter *qconv_registry_writer (const char *id);

/**
 * QconvTargetInfo: a way to write, called SCHEME-WRITER.
 * @target: one row of the table of @writer
 * @quantizer: (nullable): NULL for plain targets
 * @reason: (nullable): why the target is not offered; NULL if it is
 */
typedef struct {
  char *name;
  const QconvWriter *writer;
  const QconvTarget *target;
  const QconvQuantizer *quantizer;
  char *reason;
} QconvTargetInfo;
/* Returns: (transfer none) (element-type QconvTargetInfo): every target that can be made, sorted by name */
QCONV_API GPtrArray *qconv_registry_targets (void);
/* Returns: (transfer none) (element-type QconvTargetInfo): the targets of loaded writers that cannot be made, sorted by
   name */
QCONV_API GPtrArray *qconv_registry_targets_not_offered (void);
/* Fails with QCONV_ERROR_NO_PLUGIN, and says why, if the target @name of a loaded writer is not offered. Succeeds for
   all other names */
QCONV_API gboolean qconv_registry_check_target (const char *name, GError **error);
/* Asks @quantizer, with the defaults of its options, for the components of a layer of 256 x 256 weights, or of the
   next larger square up to 4096 x 4096 if it refuses that size. Sets @side to the rows of the layer.
   Returns: (transfer full) (element-type QconvComponent): empty if the quantizer refuses all sizes */
QCONV_API GPtrArray *qconv_quantizer_sample (const QconvQuantizer *quantizer, guint64 *side);
G_END_DECLS
