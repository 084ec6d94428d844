/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Opens one plugin module; the registry calls it for each file in the plugin folders. */
#pragma once
#include "qconv-plugin.h"

/* Opens the module @path called @name and checks its contract, so that core may call its tables without further
   tests. The module stays for ever. Returns: (transfer none): NULL with QCONV_ERROR_BUG and the reason */
const QconvPlugin *qconv_module_open (const char *path, const char *name, GError **error);
/* Checks the contract of @p, the table of a module called @name. Fails with QCONV_ERROR_BUG, which names the fault */
gboolean qconv_module_check (const QconvPlugin *p, const char *name, GError **error);
