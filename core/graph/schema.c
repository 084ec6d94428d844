/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "schema.h"
#include <gio/gio.h>
#include "qconv-types.h"
gboolean
qconv_schema_check (JsonObject *family, GHashTable *regexes, GError **error)
{
  return TRUE;
}
