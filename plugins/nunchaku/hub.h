/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finds a model's config in the cache of huggingface_hub, without the network, and reads small files. The metadata are
   made from them. */
#pragma once
#include <glib.h>
G_BEGIN_DECLS

/* Returns: (transfer full) (nullable): the path of the config of @repo, "ORG/NAME", for the model in the folder @part
   ("transformer"): of the snapshot that "refs/main" names, else of the newest one. NULL: it is not in the cache. */
char *nunchaku_hub_config (const char *repo, const char *part);
/* Reads the regular file at @path, which may have @most bytes, into *text (transfer full), with a NUL behind it. */
gboolean nunchaku_read_small (const char *path, gsize most, char **text, gsize *n, GError **error);
G_END_DECLS
