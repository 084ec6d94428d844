/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* qconv-plugin-check: tests a plugin against the contract of plugin-api. Prints one line of TAP for each row. Rows run
   in child processes: if one crashes or hangs, its row fails and the next child goes on behind it. */
#include <errno.h>
#include <glib/gi18n.h>
#include <glib/gstdio.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "plugin-check/child.h"
#include "qconv.h"

/* Time that a step of a row may take: one conversion, or one damaged file */
#define STEP_SECONDS 120

enum { STATUS_OK = 0, STATUS_NOT_LOADED = 1, STATUS_USAGE = 2, STATUS_FAILED = 4, STATUS_STOPPED = 130 };

/* A signal asks to end, or the reader of the output has gone */
static volatile sig_atomic_t stopped;

/**
 * Run: the rows so far.
 * @row: (nullable): name of the row that runs
 * @step: (nullable): its last step
 * @reason: (nullable): why the module does not load
 */
typedef struct {
  CheckJob job;
  guint n, n_failed, n_skipped;
  char *row, *step, *reason;
  gboolean ended;
} Run;

/* ---- Results ---- */

static void
finish_row (Run *r, gboolean ok, const char *skip, const char *reason)
{
  r->n++;
  r->n_failed += !ok;
  r->n_skipped += skip != NULL;
  g_print ("%s %u - %s%s%s\n", ok ? "ok" : "not ok", r->n, r->row, skip != NULL ? " # SKIP " : "",
           skip != NULL ? skip : "");
  if (reason != NULL)
    g_print ("# %s\n", reason);
  g_clear_pointer (&r->row, g_free);
  g_clear_pointer (&r->step, g_free);
}

static void
take_line (Run *r, const char *line)
{
  const char *text = strchr (line, ' ') != NULL ? strchr (line, ' ') + 1 : "";

  if (g_str_has_prefix (line, "row "))
    r->row = g_strdup (text);
  else if (g_str_has_prefix (line, "at "))
    {
      g_free (r->step);
      r->step = g_strdup (text);
    }
  else if (g_str_has_prefix (line, "load "))
    r->reason = g_strdup (text);
  else if (g_str_has_prefix (line, "ok"))
    finish_row (r, TRUE, NULL, NULL);
  else if (g_str_has_prefix (line, "skip "))
    finish_row (r, TRUE, text, NULL);
  else if (g_str_has_prefix (line, "fail "))
    finish_row (r, FALSE, NULL, text);
  else
    r->ended = TRUE;
}

/* ---- Children ---- */

static void
stop (int signal_number)
{
  stopped = 1;
}

/* Sets what the signals do that end a program: @handler, or SIG_DFL. Scratch files must be removed before the end */
static void
handle_signals (void (*handler) (int))
{
  static const int signals[] = { SIGHUP, SIGINT, SIGPIPE, SIGTERM };

  for (guint i = 0; i < G_N_ELEMENTS (signals); i++)
    sigaction (signals[i], &(struct sigaction) { .sa_handler = handler }, NULL);
}

/* Reads lines until the child closes the pipe. Returns FALSE if the child says nothing for too long, or must stop */
static gboolean
read_lines (Run *r, int fd)
{
  g_autoptr (GString) text = g_string_new (NULL);
  struct pollfd wait = { .fd = fd, .events = POLLIN };

  for (;;)
    {
      char buffer[4096];
      int ready = poll (&wait, 1, STEP_SECONDS * 1000);
      gssize n = ready > 0 ? read (fd, buffer, sizeof buffer) : 0;
      char *end;

      if (ready == 0 || stopped)
        return FALSE;
      if ((ready < 0 || n < 0) && errno == EINTR)
        continue;
      if (ready < 0 || n <= 0)
        return TRUE;
      g_string_append_len (text, buffer, n);
      while ((end = strchr (text->str, '\n')) != NULL)
        {
          *end = '\0';
          take_line (r, text->str);
          g_string_erase (text, 0, end - text->str + 1);
        }
    }
}

/* Returns: (transfer full): how the child ended */
static char *
describe_end (const Run *r, gboolean hangs, int status)
{
  g_autofree char *end = NULL;

  if (hangs)
    end = g_strdup_printf (_ ("still running after %d s"), STEP_SECONDS);
  else if (WIFSIGNALED (status))
    end = g_strdup_printf (_ ("crashed: %s"), g_strsignal (WTERMSIG (status)));
  else
    end = g_strdup_printf (_ ("ended the process with the status %d"), WEXITSTATUS (status));
  return r->step != NULL ? g_strdup_printf ("%s: %s", r->step, end) : g_steal_pointer (&end);
}

/* Runs a child to its end. If it does not come to its own, the row that ran fails. Returns FALSE if no child can be
   started */
static gboolean
run_child (Run *r)
{
  int ends[2], status = 0;
  gboolean hangs;
  pid_t child;

  r->ended = FALSE;
  fflush (stdout);
  if (pipe (ends) != 0)
    return FALSE;
  child = fork ();
  if (child == 0)
    {
      close (ends[0]);
      handle_signals (SIG_DFL);
      /* What a plugin prints is no row */
      dup2 (STDERR_FILENO, STDOUT_FILENO);
      check_child (&r->job, ends[1]);
      _exit (0);
    }
  close (ends[1]);
  hangs = child > 0 && !read_lines (r, ends[0]);
  close (ends[0]);
  if (hangs)
    kill (child, SIGKILL);
  while (child > 0 && waitpid (child, &status, 0) < 0 && errno == EINTR)
    ;
  if (!r->ended && !stopped)
    {
      g_autofree char *end = describe_end (r, hangs, status);

      if (r->row != NULL)
        finish_row (r, FALSE, NULL, end);
      else if (r->reason == NULL)
        r->reason = g_steal_pointer (&end);
    }
  return child > 0;
}

/* Runs all rows; a new child goes on behind a row that ended its own */
static int
run_all (Run *r)
{
  r->job.first = -1;
  if (run_child (r) && r->reason == NULL)
    do
      {
        r->job.first = (gint) r->n;
        if (!run_child (r))
          break;
    } while (!r->ended && r->reason == NULL && !stopped);
  if (stopped)
    return STATUS_STOPPED;
  if (r->reason == NULL && !r->ended)
    r->reason = g_strdup (g_strerror (errno));
  if (r->reason != NULL)
    {
      g_printerr ("qconv-plugin-check: %s: %s\n", r->job.path, r->reason);
      return STATUS_NOT_LOADED;
    }
  g_print ("1..%u\n", r->n);
  g_print (_ ("# %u passed, %u failed, %u skipped\n"), r->n - r->n_failed - r->n_skipped, r->n_failed, r->n_skipped);
  return r->n_failed > 0 ? STATUS_FAILED : STATUS_OK;
}

/* ---- Folders ---- */

static void
remove_folder (const char *folder)
{
  g_autoptr (GDir) dir = g_dir_open (folder, 0, NULL);
  const char *name;

  while (dir != NULL && (name = g_dir_read_name (dir)) != NULL)
    {
      g_autofree char *path = g_build_filename (folder, name, NULL);

      g_unlink (path);
    }
  g_rmdir (folder);
}

/* Makes a link to @file in @folder and puts that folder before QCONV_PLUGIN_PATH. Returns: (transfer full): the path of
   the link */
static char *
offer_module (const char *folder, const char *file)
{
  const char *others = g_getenv ("QCONV_PLUGIN_PATH");
  g_autofree char *name = g_path_get_basename (file), *real = g_canonicalize_filename (file, NULL);
  g_autofree char *path = g_strdup_printf ("%s%c%s", folder, G_SEARCHPATH_SEPARATOR, others != NULL ? others : "");
  char *link = g_build_filename (folder, name, NULL);

  g_setenv ("QCONV_PLUGIN_PATH", path, TRUE);
  if (symlink (real, link) != 0)
    g_printerr ("qconv-plugin-check: %s: %s\n", link, g_strerror (errno));
  return link;
}

static int
check_module (const char *file, char **samples)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *folder = g_dir_make_tmp ("qconv-plugin-check-XXXXXX", &error);
  g_autofree char *plugins = folder != NULL ? g_build_filename (folder, "plugins", NULL) : NULL;
  g_autofree char *link = NULL, *name = g_path_get_basename (file);
  Run r = { .job = { .folder = folder, .samples = samples } };
  int status;

  if (folder == NULL || g_mkdir (plugins, 0700) != 0)
    {
      g_printerr ("qconv-plugin-check: %s\n", error != NULL ? error->message : g_strerror (errno));
      return STATUS_NOT_LOADED;
    }
  handle_signals (stop);
  link = offer_module (plugins, file);
  *strrchr (name, '.') = '\0';
  r.job.path = link;
  r.job.name = name;
  status = run_all (&r);
  remove_folder (plugins);
  remove_folder (folder);
  return status;
}

/* ---- Command line ---- */

static int
fail_usage (const char *text)
{
  g_printerr ("qconv-plugin-check: %s\n", text);
  return STATUS_USAGE;
}

/* Parses the options. Returns FALSE with *status if the program ends here */
static gboolean
parse (int *argc, char ***argv, int *status)
{
  gboolean version = FALSE;
  const GOptionEntry entries[]
      = { { "version", 0, 0, G_OPTION_ARG_NONE, &version, N_ ("show the version"), NULL }, { 0 } };
  g_autoptr (GOptionContext) context = g_option_context_new (_ ("FILE.so [SAMPLE...]"));
  g_autoptr (GError) error = NULL;

  g_option_context_set_translation_domain (context, GETTEXT_PACKAGE);
  g_option_context_set_summary (context,
                                _ ("Tests a plugin of qconv against the contract of its interface. Each SAMPLE is "
                                   "a file that its containers and readers read."));
  g_option_context_add_main_entries (context, entries, GETTEXT_PACKAGE);
  if (!g_option_context_parse (context, argc, argv, &error))
    *status = fail_usage (error->message);
  else if (version)
    g_print ("qconv-plugin-check %s\n", qconv_version ());
  else if (*argc < 2)
    *status = fail_usage (_ ("usage: qconv-plugin-check FILE.so [SAMPLE...]"));
  else
    return TRUE;
  return FALSE;
}

int
main (int argc, char **argv)
{
  int status = STATUS_OK;

  setlocale (LC_ALL, "");
  bindtextdomain (GETTEXT_PACKAGE, LOCALEDIR);
  bind_textdomain_codeset (GETTEXT_PACKAGE, "UTF-8");
  textdomain (GETTEXT_PACKAGE);
  g_set_prgname ("qconv-plugin-check");
  if (!parse (&argc, &argv, &status))
    return status;
  for (int i = 1; i < argc; i++)
    if (!g_file_test (argv[i], G_FILE_TEST_EXISTS))
      {
        g_autofree char *text = g_strdup_printf (_ ("%s does not exist"), argv[i]);

        return fail_usage (text);
      }
  if (!g_str_has_suffix (argv[1], "." G_MODULE_SUFFIX))
    return fail_usage (_ ("usage: qconv-plugin-check FILE.so [SAMPLE...]"));
  return check_module (argv[1], argv + 2);
}
