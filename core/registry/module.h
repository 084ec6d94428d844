/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One plugin module. */
#pragma once
#include "qconv-plugin.h"

/* Opens the module @path, called @name, and checks its tables, so that core may call their functions without further
   tests. The module stays loaded. QCONV_ERROR_BUG: a contract is broken, with the reason. Returns: (transfer none) */
const QconvPlugin *qconv_module_open (const char *path, const char *name, GError **error);
