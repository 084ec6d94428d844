/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Looks into the cache of huggingface_hub (huggingface_hub: constants.py, file_download.py). config.c asks. */
#include "hub.h"

#include <sys/stat.h>

#include <glib/gstdio.h>
#include <string.h>

#include "qconv-plugin.h"

/* The hash in a file refs/main, and an end of line */
#define LARGEST_REF 256

gboolean
nunchaku_read_small (const char *path, gsize most, char **text, gsize *n, GError **error)
{
  GStatBuf st;

  if (g_stat (path, &st) == 0 && (!S_ISREG (st.st_mode) || (guint64) st.st_size > most))
    return qconv_fail (error, QCONV_ERROR_INPUT, "this is no file of at most %" G_GSIZE_FORMAT " bytes", most);
  return g_file_get_contents (path, text, n, error);
}

/* Returns: (transfer full): the folder of all cached models. */
static char *
cache_folder (void)
{
  const char *cache = g_getenv ("HF_HUB_CACHE"), *home = g_getenv ("HF_HOME"), *xdg = g_getenv ("XDG_CACHE_HOME");

  if (cache != NULL && *cache != '\0')
    return g_strdup (cache);
  if (home != NULL && *home != '\0')
    return g_build_filename (home, "hub", NULL);
  if (xdg != NULL && *xdg != '\0')
    return g_build_filename (xdg, "huggingface", "hub", NULL);
  return g_build_filename (g_get_home_dir (), ".cache", "huggingface", "hub", NULL);
}

/* Returns: (transfer full) (nullable): the config of @part in the snapshot called @hash. */
static char *
config_of (const char *snapshots, const char *hash, const char *part)
{
  g_autofree char *path = g_build_filename (snapshots, hash, part, "config.json", NULL);

  return g_file_test (path, G_FILE_TEST_IS_REGULAR) ? g_steal_pointer (&path) : NULL;
}

/* Returns: (transfer full) (nullable): the config in the snapshot that refs/main names. */
static char *
main_config (const char *model, const char *snapshots, const char *part)
{
  g_autofree char *ref = g_build_filename (model, "refs", "main", NULL), *hash = NULL;
  gsize n = 0;

  if (!nunchaku_read_small (ref, LARGEST_REF, &hash, &n, NULL))
    return NULL;
  g_strstrip (hash);
  /* A name with a separator would lead out of the cache */
  return *hash != '\0' && *hash != '.' && g_path_is_absolute (hash) == FALSE && strchr (hash, G_DIR_SEPARATOR) == NULL
             ? config_of (snapshots, hash, part)
             : NULL;
}

/* Returns: (transfer full) (nullable): the newest config of all snapshots, the first by name of equally new ones. */
static char *
newest_config (const char *snapshots, const char *part)
{
  g_autoptr (GDir) dir = g_dir_open (snapshots, 0, NULL);
  g_autofree char *best = NULL;
  gint64 newest = G_MININT64;
  const char *name;

  while (dir != NULL && (name = g_dir_read_name (dir)) != NULL)
    {
      g_autofree char *path = config_of (snapshots, name, part);
      GStatBuf st;

      if (path == NULL || g_stat (path, &st) != 0 || (gint64) st.st_mtime < newest
          || (best != NULL && (gint64) st.st_mtime == newest && g_strcmp0 (best, path) <= 0))
        continue;
      newest = (gint64) st.st_mtime;
      g_free (best);
      best = g_steal_pointer (&path);
    }
  return g_steal_pointer (&best);
}

char *
nunchaku_hub_config (const char *repo, const char *part)
{
  g_autofree char *cache = cache_folder (), *folder = NULL, *model = NULL, *snapshots = NULL, *found = NULL;
  g_auto (GStrv) names = g_strsplit (repo, "/", 2);

  folder = g_strconcat ("models--", names[0], "--", names[1], NULL);
  model = g_build_filename (cache, folder, NULL);
  snapshots = g_build_filename (model, "snapshots", NULL);
  found = main_config (model, snapshots, part);
  return found != NULL ? g_steal_pointer (&found) : newest_config (snapshots, part);
}
