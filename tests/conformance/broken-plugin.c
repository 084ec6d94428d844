/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Modules that core must skip. third-party.sh builds this once for each -DBROKEN_name, as broken_name.so. */
#include "qconv-plugin.h"

#ifdef BROKEN_incomplete
static guint
score (const QconvReader *self, const QconvDirectory *d)
{
  return 0;
}

static const QconvReader reader = { .id = "incomplete", .summary = "claims nothing", .score = score };
QCONV_PLUGIN_DEFINE (broken_incomplete, .summary = "a reader without claim()", .license = "LGPL-2.1-or-later",
                     .readers = (const QconvReader *const[]) { &reader, NULL })
#endif

#ifdef BROKEN_undefined
QCONV_API guint qconv_function_of_the_future (void);

static guint
score (const QconvContainer *self, const char *name, const guint8 *head, gsize n, guint64 size)
{
  return qconv_function_of_the_future ();
}

static gboolean
open_nothing (const QconvContainer *self, QconvSource *source, const QconvValues *options, QconvDirectory *directory,
              GError **error)
{
  return TRUE;
}

static const QconvContainer container = { .id = "undefined",
                                          .summary = "needs more than core has",
                                          .suffixes = (const char *const[]) { NULL },
                                          .score = score,
                                          .open = open_nothing };
QCONV_PLUGIN_DEFINE (broken_undefined, .summary = "calls what core lacks", .license = "LGPL-2.1-or-later",
                     .containers = (const QconvContainer *const[]) { &container, NULL })
#endif

#ifdef BROKEN_symbol
QCONV_PLUGIN_DEFINE (another, .summary = "exports another name", .license = "LGPL-2.1-or-later")
#endif

#ifdef BROKEN_abi
/* Core may read only the ABI number if that differs */
static const struct {
  guint32 abi;
  gsize junk[8];
} table = { QCONV_PLUGIN_ABI + 1, { 1, 1, 1, 1, 1, 1, 1, 1 } };
G_MODULE_EXPORT const void *qconv_plugin_broken_abi (void);

const void *
qconv_plugin_broken_abi (void)
{
  return &table;
}
#endif

#ifdef BROKEN_null
G_MODULE_EXPORT const QconvPlugin *qconv_plugin_broken_null (void);

const QconvPlugin *
qconv_plugin_broken_null (void)
{
  return NULL;
}
#endif

#ifdef BROKEN_nothing
QCONV_PLUGIN_DEFINE (broken_nothing, .license = "LGPL-2.1-or-later")
#endif
