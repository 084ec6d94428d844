/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finds a model's config in the cache of huggingface_hub, without the network. The metadata are made from it. */
#pragma once
#include <glib.h>
G_BEGIN_DECLS

/* Returns: (transfer full) (nullable): the path of the config of @repo, "ORG/NAME", for the model in the folder @part
   ("transformer"): of the snapshot that "refs/main" names, else of the newest one. NULL: it is not in the cache. */
char *nunchaku_hub_config (const char *repo, const char *part);
G_END_DECLS
