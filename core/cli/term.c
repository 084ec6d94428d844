/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Lines for people on stdout and stderr. */
#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <glib/gi18n.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/term.h"
#include "qconv.h"

static GMutex lock;
static gboolean bar_drawn;
static gboolean show_info, errors_only;

/* Returns whether a terminal shows @c as it is. Control characters act on it, and others without a shape, such as those
   that turn the direction of text, make a line look like another */
static gboolean
is_shown (gunichar c)
{
  switch (g_unichar_type (c))
    {
    case G_UNICODE_CONTROL:
    case G_UNICODE_FORMAT:
    case G_UNICODE_LINE_SEPARATOR:
    case G_UNICODE_PARAGRAPH_SEPARATOR:
      return FALSE;
    default:
      return TRUE;
    }
}

/* Replaces characters that a terminal does not show: names in input files may hold some */
char *
cli_text_clean (const char *text)
{
  g_autofree char *valid = g_utf8_make_valid (text, -1);
  g_autoptr (GString) out = g_string_new (NULL);

  for (const char *p = valid; *p != '\0'; p = g_utf8_next_char (p))
    g_string_append_unichar (out, is_shown (g_utf8_get_char (p)) ? g_utf8_get_char (p) : '?');
  return g_strdup (out->str); /* without the room behind the text: a table keeps one for each cell */
}

static void
print_line (const char *prefix, const char *message)
{
  g_autofree char *text = cli_text_clean (message);

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
cli_warn (const char *message, gpointer warnings)
{
  g_autofree char *prefix = g_strdup_printf ("qconv: %s: ", _ ("warning"));

  if (warnings != NULL)
    g_ptr_array_add (warnings, g_strdup (message));
  if (!errors_only)
    print_line (prefix, message);
}

void
cli_note (const char *message)
{
  if (!errors_only)
    print_line ("qconv: ", message);
}

void
cli_detail (const char *message)
{
  if (show_info)
    cli_note (message);
}

void
cli_report_error (const GError *error)
{
  print_line ("qconv: ", error->message);
}

void
cli_bar_draw (const char *text)
{
  if (errors_only)
    return;
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

/* Prints the log levels that CONTRIBUTING.md defines; GLib prints debug and critical messages */
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
  else if ((level & G_LOG_LEVEL_MESSAGE) != 0)
    cli_note (message);
  else
    cli_detail (message);
  return G_LOG_WRITER_HANDLED;
}

void
cli_streams_init (gboolean verbose, gboolean quiet)
{
  for (int fd = 0; fd <= 2; fd++)
    if (fcntl (fd, F_GETFD) < 0 && errno == EBADF)
      /* Opened in the wrong direction, so that reading stdin or writing stdout still fails */
      (void) !open ("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY);
  show_info = verbose;
  errors_only = quiet;
  g_log_set_writer_func (write_log, NULL, NULL);
}

gboolean
cli_streams_finish (GError **error)
{
  if (fflush (stdout) == 0 && !ferror (stdout))
    return TRUE;
  g_set_error_literal (error, G_IO_ERROR, (gint) g_io_error_from_errno (errno),
                       _ ("standard output cannot be written"));
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
