/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Opens the modules of backends: devices beside the processor. They are opened only if a device is asked for, or if
   devices are listed, because they bring the runtime of the device along. */
#include "registry/backends.h"

#include <string.h>

#include "registry/module.h"

typedef const QconvBackend *(*BackendFunc) (void);

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

/* Fails with QCONV_ERROR_BUG, which names the fault, if core cannot work with @b, the table of module @id */
static gboolean
check_backend (const QconvBackend *b, const char *id, GError **error)
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
  BackendFunc backend = NULL;
  g_autoptr (GModule) module = qconv_module_load (path, "qconv_backend_", id, (gpointer *) &backend, error);

  if (module == NULL || !check_backend (backend (), id, error))
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
  g_autoptr (GPtrArray) names = qconv_module_names (folder);

  for (guint i = 0; i < names->len; i++)
    {
      const char *id = g_ptr_array_index (names, i);
      g_autoptr (GError) error = NULL;
      const QconvBackend *table;
      char *path;

      if (find_backend (all, id) != NULL)
        continue;
      path = qconv_module_path (folder, id);
      table = open_module (path, id, &error);
      add_backend (all, id, path, table, error);
    }
}

static GPtrArray *
load_all (void)
{
  g_auto (GStrv) folders = qconv_module_folders ("QCONV_BACKEND_PATH", QCONV_BACKEND_DIR);
  GPtrArray *all = g_ptr_array_new ();

  for (guint i = 0; folders[i] != NULL; i++)
    add_folder (all, folders[i]);
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
