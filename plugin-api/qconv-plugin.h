/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The only header a plugin includes. A module is one constant QconvPlugin. */
#pragma once
#include <gmodule.h>

#include "qconv-quantizer.h"
#include "qconv-reader.h"
#include "qconv-writer.h"
G_BEGIN_DECLS

#define QCONV_PLUGIN_API 0 /* minor: raised when something is added */

/**
 * QconvPlugin: what a module NAME.so gives by its one exported function, qconv_plugin_NAME(). Tables are constant and
 * stay valid for ever; lists are NULL-terminated, NULL is an empty list.
 *
 * @abi: first for ever; nothing else is read if it differs
 * @api: filled by the macro; a module newer than core is refused with that reason
 * @name: folder = module file = symbol = log domain
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
