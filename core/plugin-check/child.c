/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Loads the module and runs its rows one after the other. main.c runs it in a process of its own, because a plugin may
   crash, wait for ever or take all memory. */
#include "plugin-check/child.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "plugin-check/carrier.h"

/* Address space that rows may take beyond what the process has when it begins */
#define MORE_MEMORY ((guint64) 4 << 30)

/* ---- Lines to the parent ---- */

static void
say (int fd, const char *word, const char *text)
{
  g_autofree char *clean = g_strdelimit (g_strdup (text != NULL ? text : ""), "\r\n", ' ');
  g_autofree char *line = g_strdup_printf ("%s %s\n", word, clean);
  gsize n = strlen (line), done = 0;

  while (done < n)
    {
      gssize k = write (fd, line + done, n - done);

      if (k > 0)
        done += (gsize) k;
      else if (errno != EINTR)
        _exit (1); /* the parent has gone */
    }
}

void
check_step (Check *c, const char *format, ...)
{
  g_autofree char *text = NULL;
  va_list args;

  va_start (args, format);
  text = g_strdup_vprintf (format, args);
  va_end (args);
  say (c->say, "at", text);
}

gboolean
check_skip (GError **error, const char *reason)
{
  g_set_error_literal (error, CHECK_SKIPPED, 0, reason);
  return FALSE;
}

gboolean
check_fail (GError **error, const char *format, ...)
{
  va_list args;

  va_start (args, format);
  if (error != NULL)
    *error = g_error_new_valist (QCONV_ERROR, QCONV_ERROR_BUG, format, args);
  va_end (args);
  return FALSE;
}

/* ---- Limits ---- */

/* Returns the size of the address space, or 0 if the system does not tell */
static guint64
address_space (void)
{
  g_autofree char *text = NULL;

  if (!g_file_get_contents ("/proc/self/statm", &text, NULL, NULL))
    return 0;
  return g_ascii_strtoull (text, NULL, 10) * (guint64) sysconf (_SC_PAGESIZE);
}

/* A plugin that allocates what a damaged file claims must fail here, not take the machine's memory */
static void
limit_process (void)
{
  guint64 now = address_space ();

  setrlimit (RLIMIT_CORE, &(struct rlimit) { 0, 0 });
  if (now > 0)
    setrlimit (RLIMIT_AS, &(struct rlimit) { now + MORE_MEMORY, now + MORE_MEMORY });
}

/* The first critical message of the current row */
static GMutex lock;
static char *critical;

static GLogWriterOutput
keep_critical (GLogLevelFlags level, const GLogField *fields, gsize n_fields, gpointer unused)
{
  if ((level & (G_LOG_LEVEL_CRITICAL | G_LOG_LEVEL_ERROR)) == 0)
    return G_LOG_WRITER_HANDLED;
  g_mutex_lock (&lock);
  for (gsize i = 0; critical == NULL && i < n_fields; i++)
    if (strcmp (fields[i].key, "MESSAGE") == 0)
      critical = g_strdup (fields[i].value);
  g_mutex_unlock (&lock);
  return (level & G_LOG_LEVEL_ERROR) != 0 ? g_log_writer_default (level, fields, n_fields, NULL) : G_LOG_WRITER_HANDLED;
}

/* ---- Rows ---- */

static void
free_row (gpointer data)
{
  CheckRow *row = data;

  g_free (row->name);
  g_free (row->id);
  g_free (row);
}

void
check_add_row (Check *c, const char *kind, const char *id, const char *what, CheckFunc run, gconstpointer feature)
{
  CheckRow *row = g_new (CheckRow, 1);

  *row = (CheckRow) { g_strdup_printf ("%s %s: %s", kind, id, what), run, feature, g_strdup (id) };
  g_ptr_array_add (c->rows, row);
}

static void
run_row (Check *c, const CheckRow *row)
{
  g_autoptr (GError) error = NULL;
  gboolean ok;

  say (c->say, "row", row->name);
  ok = row->run (c, row, &error);
  g_mutex_lock (&lock);
  if (critical != NULL)
    say (c->say, "fail", critical);
  else if (error != NULL)
    say (c->say, error->domain == CHECK_SKIPPED ? "skip" : "fail", error->message);
  else if (!ok)
    say (c->say, "fail", "failed without saying why");
  else
    say (c->say, "ok", NULL);
  g_clear_pointer (&critical, g_free);
  g_mutex_unlock (&lock);
}

/* ---- The module ---- */

const QconvPlugin *
check_module_table (const char *path, const char *name)
{
  typedef const QconvPlugin *(*PluginFunc) (void);
  g_autofree char *symbol = g_strconcat ("qconv_plugin_", name, NULL);
  GModule *module = g_module_open (path, G_MODULE_BIND_LOCAL);
  PluginFunc table = NULL;

  return module != NULL && g_module_symbol (module, symbol, (gpointer *) &table) ? table () : NULL;
}

/* Returns: (transfer full) (nullable): why core does not load the module */
static char *
reason_not_loaded (const CheckJob *job)
{
  GPtrArray *modules = qconv_registry_modules ();
  const char *reason = "the module was not found";

  for (guint i = 0; i < modules->len; i++)
    {
      const QconvModule *m = g_ptr_array_index (modules, i);

      if (strcmp (m->path, job->path) != 0)
        continue;
      if (m->plugin != NULL)
        return NULL;
      reason = m->reason;
    }
  return g_strdup (reason);
}

static void
run_rows (const CheckJob *job, int fd)
{
  Check c = { .name = job->name, .folder = job->folder, .samples = job->samples, .say = fd };

  qconv_guard_buffers (TRUE, 0xa5);
  c.plugin = check_module_table (job->path, job->name);
  c.rows = g_ptr_array_new_with_free_func (free_row);
  check_carrier_add (c.plugin);
  check_add_table_rows (&c);
  check_add_file_rows (&c);
  check_add_quantizer_rows (&c);
  check_add_writer_rows (&c);
  for (guint i = (guint) job->first; i < c.rows->len; i++)
    run_row (&c, g_ptr_array_index (c.rows, i));
  g_ptr_array_unref (c.rows);
}

void
check_child (const CheckJob *job, int fd)
{
  g_autofree char *reason = NULL;

  limit_process ();
  g_log_set_writer_func (keep_critical, NULL, NULL);
  if (job->first >= 0)
    run_rows (job, fd);
  else
    reason = reason_not_loaded (job);
  if (reason != NULL)
    say (fd, "load", reason);
  say (fd, "end", NULL);
}
