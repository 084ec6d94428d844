/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Lists the backends and their devices. `qconv plugins` and the completions call it. */
#include <glib/gi18n.h>

#include "cli/backends.h"
#include "cli/json.h"
#include "cli/table.h"
#include "cli/term.h"

GPtrArray *
cli_device_words (void)
{
  GPtrArray *backends = qconv_registry_backends (), *words = g_ptr_array_new ();

  g_ptr_array_add (words, (gpointer) "cpu");
  g_ptr_array_add (words, (gpointer) "auto");
  for (guint i = 0; i < backends->len; i++)
    g_ptr_array_add (words, ((const QconvBackendInfo *) backends->pdata[i])->id);
  g_ptr_array_add (words, NULL);
  return words;
}

/* Returns: (transfer full) (nullable): the names of the devices of @b; NULL with *reason, (transfer full), if there are
   none */
static GPtrArray *
list_devices (const QconvBackendInfo *b, char **reason)
{
  g_autoptr (GError) error = NULL;
  GPtrArray *devices = b->backend != NULL ? qconv_backend_devices (b->backend, &error) : NULL;

  if (devices == NULL)
    *reason = g_strdup (b->backend != NULL ? error->message : b->reason);
  return devices;
}

/* ---- Text ---- */

static void
add_row (CliTable *table, const QconvBackendInfo *b)
{
  g_autofree char *reason = NULL;
  g_autoptr (GPtrArray) devices = list_devices (b, &reason);
  g_autofree char *text = devices == NULL ? g_strdup_printf (_ ("no device: %s"), reason) : NULL;

  if (text != NULL)
    cli_table_row (table, b->id, text);
  for (guint i = 0; devices != NULL && i < devices->len; i++)
    {
      g_autofree char *name = g_strdup_printf ("%s:%u", b->id, i);

      cli_table_row (table, name, devices->pdata[i]);
    }
}

void
cli_backends_print (void)
{
  GPtrArray *backends = qconv_registry_backends ();
  g_autoptr (CliTable) table = cli_table_new ("ll");
  g_autofree char *cpu = g_strdup_printf (_ ("the processor, level %s"), qconv_cpu_level ());

  cli_print ("\n%s:\n", _ ("devices"));
  cli_table_row (table, "cpu", cpu);
  for (guint i = 0; i < backends->len; i++)
    add_row (table, backends->pdata[i]);
  cli_table_print (table, "  ");
}

/* ---- JSON ---- */

static void
add_backend_json (JsonBuilder *b, const QconvBackendInfo *backend)
{
  g_autofree char *reason = NULL;
  g_autoptr (GPtrArray) devices = list_devices (backend, &reason);

  json_builder_begin_object (b);
  cli_json_string (b, "name", backend->id);
  cli_json_string (b, "path", backend->path);
  cli_json_string (b, "summary", backend->backend != NULL ? backend->backend->summary : NULL);
  cli_json_string (b, "reason", reason);
  json_builder_set_member_name (b, "features");
  json_builder_begin_array (b);
  json_builder_begin_object (b);
  cli_json_string (b, "kind", "backend");
  cli_json_string (b, "id", backend->id);
  json_builder_set_member_name (b, "devices");
  json_builder_begin_array (b);
  for (guint i = 0; devices != NULL && i < devices->len; i++)
    json_builder_add_string_value (b, devices->pdata[i]);
  json_builder_end_array (b);
  json_builder_end_object (b);
  json_builder_end_array (b);
  json_builder_set_member_name (b, "left_out");
  json_builder_begin_array (b);
  json_builder_end_array (b);
  json_builder_end_object (b);
}

void
cli_backends_add_json (JsonBuilder *b)
{
  GPtrArray *backends = qconv_registry_backends ();

  for (guint i = 0; i < backends->len; i++)
    add_backend_json (b, backends->pdata[i]);
}
