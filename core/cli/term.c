/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static GMutex lock;
static gboolean bar_drawn;
static gboolean show_info;

/* Names come from files of strangers: nothing in them may steer a terminal or start a new line */
static char *
clean (const char *text)
{
  g_autofree char *valid = g_utf8_make_valid (text, -1);
  GString *out = g_string_new (NULL);

  for (const char *p = valid; *p != '\0'; p = g_utf8_next_char (p))
    g_string_append_unichar (out, g_unichar_iscntrl (g_utf8_get_char (p)) ? '?' : g_utf8_get_char (p));
  return g_string_free (out, FALSE);
}

static void
print_line (const char *prefix, const char *message)
{
  g_autofree char *text = clean (message);

  g_mutex_lock (&lock);
  if (bar_drawn)
    g_printerr ("\r\033[K");
  bar_drawn = FALSE;
  g_printerr ("%s%s\n", prefix, text);
  g_mutex_unlock (&lock);
}

void
cli_print (const char *format, ...)
{
  va_list args;
  g_autofree char *text = NULL;

  va_start (args, format);
  text = g_strdup_vprintf (format, args);
  va_end (args);
  g_print ("%s", text);
}

void
cli_warn (const char *message, gpointer unused)
{
  g_autofree char *prefix = g_strdup_printf ("qconv: %s: ", _ ("warning"));

  print_line (prefix, message);
}

void
cli_note (const char *message)
{
  print_line ("qconv: ", message);
}

void
cli_report_error (const GError *error)
{
  print_line ("qconv: ", error->message);
}

void
cli_bar_draw (const char *text)
{
  g_mutex_lock (&lock);
  if (text != NULL)
    g_printerr ("\r\033[K%s", text);
  else if (bar_drawn)
    g_printerr ("\r\033[K");
  bar_drawn = text != NULL;
  g_mutex_unlock (&lock);
}

guint
cli_bar_width (void)
{
  struct winsize size;

  return ioctl (STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

/* Levels as CONTRIBUTING.md defines them; debug and critical are GLib's to print */
static GLogWriterOutput
write_log (GLogLevelFlags level, const GLogField *fields, gsize n_fields, gpointer unused)
{
  const char *message = "";

  if ((level & (G_LOG_LEVEL_WARNING | G_LOG_LEVEL_MESSAGE | G_LOG_LEVEL_INFO)) == 0)
    return g_log_writer_default (level, fields, n_fields, NULL);
  for (gsize i = 0; i < n_fields; i++)
    if (strcmp (fields[i].key, "MESSAGE") == 0)
      message = fields[i].value;
  if ((level & G_LOG_LEVEL_WARNING) != 0)
    cli_warn (message, NULL);
  else if ((level & G_LOG_LEVEL_MESSAGE) != 0 || show_info)
    cli_note (message);
  return G_LOG_WRITER_HANDLED;
}

void
cli_streams_init (gboolean verbose)
{
  for (int fd = 0; fd <= 2; fd++)
    if (fcntl (fd, F_GETFD) < 0 && errno == EBADF)
      /* The wrong way round, so that using the closed stream stays an error */
      (void) !open ("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY);
  show_info = verbose;
  g_log_set_writer_func (write_log, NULL, NULL);
}

gboolean
cli_streams_finish (void)
{
  if (fflush (stdout) == 0 && !ferror (stdout))
    return TRUE;
  /* Whoever reads a pipe may have seen enough */
  if (errno != EPIPE)
    print_line ("qconv: ", _ ("standard output cannot be written"));
  return FALSE;
}

gboolean
cli_fail_unknown (GError **error, QconvError code, char *message, const char *word, const char *const *names)
{
  g_autofree char *text = message;
  const char *nearest = qconv_nearest (word, names);

  if (nearest == NULL)
    return qconv_fail (error, code, "%s", text);
  return qconv_fail (error, code, _ ("%s; did you mean \"%s\"?"), text, nearest);
}

char *
cli_size_text (guint64 bytes)
{
  return g_format_size_full (bytes, G_FORMAT_SIZE_IEC_UNITS);
}

/* ---- Tables ---- */

struct _CliTable {
  const char *align;
  GPtrArray *cells; /* row by row */
};

CliTable *
cli_table_new (const char *align)
{
  CliTable *t = g_new0 (CliTable, 1);

  t->align = align;
  t->cells = g_ptr_array_new_with_free_func (g_free);
  return t;
}

void
cli_table_free (CliTable *t)
{
  g_ptr_array_unref (t->cells);
  g_free (t);
}

void
cli_table_row (CliTable *t, ...)
{
  va_list args;

  va_start (args, t);
  for (gsize i = 0; t->align[i] != '\0'; i++)
    g_ptr_array_add (t->cells, clean (va_arg (args, const char *)));
  va_end (args);
}

guint
cli_text_columns (const char *text)
{
  guint n = 0;

  for (const char *p = text; *p != '\0'; p = g_utf8_next_char (p))
    {
      gunichar c = g_utf8_get_char (p);

      n += g_unichar_iszerowidth (c) ? 0 : g_unichar_iswide (c) ? 2 : 1;
    }
  return n;
}

void
cli_table_print (const CliTable *t, const char *indent)
{
  gsize n = strlen (t->align);
  g_autofree guint *widths = g_new0 (guint, n);
  g_autoptr (GString) out = g_string_new (NULL);

  for (guint i = 0; i < t->cells->len; i++)
    widths[i % n] = MAX (widths[i % n], cli_text_columns (t->cells->pdata[i]));
  for (guint i = 0; i < t->cells->len; i++)
    {
      const char *cell = t->cells->pdata[i];
      gboolean last = i % n == n - 1;
      int fill = (int) (widths[i % n] - cli_text_columns (cell));

      if (t->align[i % n] == 'r')
        g_string_append_printf (out, "%s%*s%s", i % n == 0 ? indent : "  ", fill, "", cell);
      else
        g_string_append_printf (out, "%s%s%*s", i % n == 0 ? indent : "  ", cell, last ? 0 : fill, "");
      if (last)
        {
          while (out->len > 0 && out->str[out->len - 1] == ' ')
            g_string_truncate (out, out->len - 1);
          g_string_append_c (out, '\n');
        }
    }
  g_print ("%s", out->str);
}
