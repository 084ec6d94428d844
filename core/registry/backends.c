/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Opens the modules of backends: devices beside the processor. They are opened only if a device is asked for, or if
   devices are listed, because they bring the runtime of the device along. */
#include "registry/backends.h"

#include <gmodule.h>
#include <stdlib.h>
#include <string.h>

#include "base/names.h"

G_DEFINE_AUTOPTR_CLEANUP_FUNC (GModule, g_module_close)

typedef const QconvBackend *(*BackendFunc) (void);

static GPtrArray *built_in; /* const QconvBackend */

void
qconv_registry_add_backend (const QconvBackend *backend)
{
  if (built_in == NULL)
    built_in = g_ptr_array_new ();
  g_ptr_array_add (built_in, (gpointer) backend);
}

/* ---- Contract ---- */

static const char *
ops_problem (const QconvOp *ops)
{
  if (ops == NULL)
    return "has no table of operations";
  for (; ops->name != NULL; ops++)
    if (ops->run == NULL || ops->args == NULL || strspn (ops->args, "bif") != strlen (ops->args))
      return "has an operation without function, or with arguments of unknown kinds";
  return NULL;
}

gboolean
qconv_backend_check (const QconvBackend *b, const char *id, GError **error)
{
  const char *problem;

  if (b == NULL)
    return qconv_fail (error, QCONV_ERROR_BUG, "gives no table");
  if (b->abi != QCONV_PLUGIN_ABI)
    return qconv_fail (error, QCONV_ERROR_BUG, "was built for plugin ABI %u, this is %u", b->abi, QCONV_PLUGIN_ABI);
  if (b->id == NULL || strcmp (b->id, id) != 0 || b->summary == NULL)
    return qconv_fail (error, QCONV_ERROR_BUG, "has no summary, or another id inside");
  problem = ops_problem (b->ops);
  if (problem != NULL)
    return qconv_fail (error, QCONV_ERROR_BUG, "%s", problem);
  if (b->n_devices == NULL || b->open == NULL || b->close == NULL || b->describe == NULL || b->alloc == NULL
      || b->free == NULL || b->stream_new == NULL || b->stream_free == NULL || b->copy_in == NULL || b->copy_out == NULL
      || b->sync == NULL || (b->alloc_host == NULL) != (b->free_host == NULL))
    return qconv_fail (error, QCONV_ERROR_BUG, "lacks functions that core calls");
  return TRUE;
}

/* ---- Modules ---- */

static const QconvBackend *
open_module (const char *path, const char *id, GError **error)
{
  g_autofree char *symbol = g_strconcat ("qconv_backend_", id, NULL);
  g_autoptr (GModule) module = g_module_open_full (path, G_MODULE_BIND_LOCAL, error);
  BackendFunc backend = NULL;

  if (module == NULL)
    return NULL;
  if (!g_module_symbol (module, symbol, (gpointer *) &backend) || backend == NULL)
    {
      qconv_fail (error, QCONV_ERROR_BUG, "has no symbol %s", symbol);
      return NULL;
    }
  if (!qconv_backend_check (backend (), id, error))
    return NULL;
  g_module_make_resident (module);
  return backend ();
}

static const QconvBackendInfo *
find_backend (const GPtrArray *all, const char *id)
{
  for (guint i = 0; i < all->len; i++)
    if (strcmp (((const QconvBackendInfo *) g_ptr_array_index (all, i))->id, id) == 0)
      return g_ptr_array_index (all, i);
  return NULL;
}

/* Adds a backend: its @table, or the reason why there is none. @path: (transfer full) */
static void
add_backend (GPtrArray *all, const char *id, char *path, const QconvBackend *table, const GError *error)
{
  QconvBackendInfo *b = g_new0 (QconvBackendInfo, 1);

  *b = (QconvBackendInfo) { .id = g_strdup (id), .path = path, .backend = table };
  if (table == NULL)
    b->reason = g_strdup (error->message);
  g_ptr_array_add (all, b);
}

/* Adds the modules of @folder whose names are not taken */
static void
add_folder (GPtrArray *all, const char *folder)
{
  g_autoptr (GDir) dir = g_dir_open (folder, 0, NULL);
  g_autoptr (GPtrArray) files = g_ptr_array_new_with_free_func (g_free);
  const char *file;

  while (dir != NULL && (file = g_dir_read_name (dir)) != NULL)
    if (g_str_has_suffix (file, "." G_MODULE_SUFFIX))
      g_ptr_array_add (files, g_strndup (file, strlen (file) - strlen ("." G_MODULE_SUFFIX)));
  g_ptr_array_sort (files, qconv_compare_strings);
  for (guint i = 0; i < files->len; i++)
    {
      const char *id = g_ptr_array_index (files, i);
      g_autofree char *name = g_strconcat (id, "." G_MODULE_SUFFIX, NULL);
      char *path = g_build_filename (folder, name, NULL);
      g_autoptr (GError) error = NULL;

      if (find_backend (all, id) != NULL)
        g_free (path);
      else
        add_backend (all, id, path, open_module (path, id, &error), error);
    }
}

static GPtrArray *
load_all (void)
{
  /* Ignored if the process has more rights than who started it, as the dynamic linker ignores its variables */
  const char *path = secure_getenv ("QCONV_BACKEND_PATH");
  g_auto (GStrv) folders = g_strsplit (path != NULL ? path : "", G_SEARCHPATH_SEPARATOR_S, -1);
  GPtrArray *all = g_ptr_array_new ();

  for (guint i = 0; built_in != NULL && i < built_in->len; i++)
    {
      const QconvBackend *b = g_ptr_array_index (built_in, i);
      g_autoptr (GError) error = NULL;

      add_backend (all, b->id, g_strdup (b->id), qconv_backend_check (b, b->id, &error) ? b : NULL, error);
    }
  for (guint i = 0; built_in == NULL && folders[i] != NULL; i++)
    if (*folders[i] != '\0')
      add_folder (all, folders[i]);
  if (built_in == NULL)
    add_folder (all, QCONV_BACKEND_DIR);
  return all;
}

GPtrArray *
qconv_registry_backends (void)
{
  static GPtrArray *loaded;

  if (g_once_init_enter (&loaded))
    g_once_init_leave (&loaded, load_all ());
  return loaded;
}

const QconvBackend *
qconv_registry_backend (const char *id, GError **error)
{
  const QconvBackendInfo *b = find_backend (qconv_registry_backends (), id);

  if (b == NULL)
    qconv_fail (error, QCONV_ERROR_NO_PLUGIN, "there is no backend \"%s\"; 'qconv plugins' lists them", id);
  else if (b->backend == NULL)
    qconv_fail (error, QCONV_ERROR_BUG, "backend %s not loaded: %s", b->path, b->reason);
  return b != NULL ? b->backend : NULL;
}

GPtrArray *
qconv_backend_devices (const QconvBackend *b, GError **error)
{
  g_autoptr (GPtrArray) names = g_ptr_array_new_with_free_func (g_free);
  GError *own = NULL;
  guint n = b->n_devices (&own);

  for (guint i = 0; own == NULL && i < n; i++)
    {
      gpointer device = b->open (i, 0, &own);

      if (device == NULL)
        break;
      g_ptr_array_add (names, b->describe (device));
      b->close (device);
    }
  if (own == NULL && n == 0)
    qconv_fail (&own, QCONV_ERROR_DEVICE, "there is no device");
  if (own == NULL)
    return g_steal_pointer (&names);
  g_propagate_error (error, own);
  return NULL;
}
