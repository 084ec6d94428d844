/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Plugins that are part of a program. Tests of core call this, because a module would bring a second core along. */
#pragma once
#include "qconv.h"

/* Offers @plugin as a module called @plugin->name would. May only be called before anybody asks the registry. A program
   with such plugins loads no modules */
void qconv_registry_add_built_in (const QconvPlugin *plugin);
