/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finds and opens modules: the registry calls it for plugins, backends.c for devices. */
#pragma once
#include <gmodule.h>

#include "qconv-plugin.h"

G_DEFINE_AUTOPTR_CLEANUP_FUNC (GModule, g_module_close)

/* Returns: (transfer full): the folders that the variable @path of the environment names, then @installed */
GStrv qconv_module_folders (const char *path, const char *installed);
/* Returns: (transfer full) (element-type utf8): the names of the modules in @folder, without suffix, sorted */
GPtrArray *qconv_module_names (const char *folder);
/* Returns: (transfer full): the path of module @name in @folder */
char *qconv_module_path (const char *folder, const char *name);
/* Opens the module @path and finds its function @prefix + @name. Returns: (transfer full): NULL with the reason if it
   does not load or has no such function. g_module_make_resident() keeps it for ever */
GModule *qconv_module_load (const char *path, const char *prefix, const char *name, gpointer *function, GError **error);
/* Opens the module @path called @name and checks its contract, so that core may call its tables without further
   tests. The module stays for ever. Returns: (transfer none): NULL with QCONV_ERROR_BUG and the reason */
const QconvPlugin *qconv_module_open (const char *path, const char *name, GError **error);
/* Checks the contract of @p, the table of a module called @name. Fails with QCONV_ERROR_BUG, which names the fault */
gboolean qconv_module_check (const QconvPlugin *p, const char *name, GError **error);
