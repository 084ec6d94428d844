/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Offers plugins that are part of a program. Tests of core call it, because a module would bring a second core
   along. */
#pragma once
#include "qconv.h"

/* Offers @plugin as a module called @plugin->name would. Must be called before the registry is asked for anything. A
   program with such plugins loads no modules */
void qconv_registry_add_built_in (const QconvPlugin *plugin);
