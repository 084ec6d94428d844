/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The one header that a plugin has to include: it brings all others. A module is one constant QconvPlugin. */
#pragma once
#include <gmodule.h>

#include "qconv-json.h"
#include "qconv-lowrank.h"
#include "qconv-numbers.h"
#include "qconv-quantizer.h"
#include "qconv-reader.h"
#include "qconv-writer.h"
G_BEGIN_DECLS

/* Version of the additions since the ABI began: new members of tables, functions, and numbers of enums. It rises once
   in every release whose headers have additions, and starts at 1 again when QCONV_PLUGIN_ABI rises. */
#define QCONV_PLUGIN_API 1

/**
 * QconvPlugin: the table that a module NAME.so hands over through the one function that it exports,
 * qconv_plugin_NAME(). Tables must be constant and stay valid for ever. Lists end with NULL; NULL is an empty list.
 *
 * @abi: always the first member; core reads nothing else if it differs from QCONV_PLUGIN_ABI
 * @api: QCONV_PLUGIN_API of the headers that the module was compiled with, filled in by QCONV_PLUGIN_DEFINE(). Core
 *   refuses a module that is newer than itself
 * @name: also the name of the folder, the module's file, the function and the log domain
 * @summary: one line for people, marked N_()
 * @license: SPDX expression
 * @gettext_domain: (nullable): of the module's texts
 */
typedef struct {
  guint32 abi;
  guint32 api;
  const char *name, *summary, *license, *gettext_domain;
  const QconvContainer *const *containers;
  const QconvReader *const *readers;
  const QconvQuantizer *const *quantizers;
  const QconvWriter *const *writers;
  gconstpointer reserved[8];
} QconvPlugin;

/* Defines the table and the exported function of the module @id. Further arguments initialise members by name. */
#define QCONV_PLUGIN_DEFINE(id, ...)                                                    \
  static const QconvPlugin qconv_plugin_##id##_table                                    \
      = { .abi = QCONV_PLUGIN_ABI, .api = QCONV_PLUGIN_API, .name = #id, __VA_ARGS__ }; \
  G_MODULE_EXPORT const QconvPlugin *qconv_plugin_##id (void);                          \
  const QconvPlugin *qconv_plugin_##id (void)                                           \
  {                                                                                     \
    return &qconv_plugin_##id##_table;                                                  \
  }
#ifndef N_
#define N_(s) (s)
#endif
G_END_DECLS
