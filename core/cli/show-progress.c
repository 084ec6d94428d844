/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Progress on stderr: a bar, plain lines, or JSON lines. */
#include <glib/gi18n.h>
#include <math.h>
#include <stdio.h>
#include <unistd.h>

#include "cli/json.h"
#include "cli/show.h"
#include "cli/term.h"
#include "qconv.h"

typedef enum { SHOW_NOTHING, SHOW_BAR, SHOW_LINES, SHOW_JSON } Mode;

struct _CliProgress {
  Mode mode;
  gint64 last_time;
  double last_share;
};

#define LINE_SECONDS 10 /* seconds between two plain lines */
#define LINE_SHARE 0.1  /* or this share of the work, but at most one line a second */

static gboolean
is_terminal (void)
{
  return isatty (STDERR_FILENO) && g_strcmp0 (g_getenv ("TERM"), "dumb") != 0;
}

CliProgress *
cli_progress_new (const char *mode)
{
  static const struct {
    const char *name;
    Mode mode;
  } modes[] = { { "bar", SHOW_BAR }, { "plain", SHOW_LINES }, { "json", SHOW_JSON }, { "none", SHOW_NOTHING } };
  CliProgress *self = g_new0 (CliProgress, 1);

  self->mode = is_terminal () ? SHOW_BAR : SHOW_LINES;
  for (guint i = 0; i < G_N_ELEMENTS (modes); i++)
    if (g_strcmp0 (mode, modes[i].name) == 0)
      self->mode = modes[i].mode;
  self->last_time = g_get_monotonic_time ();
  return self;
}

static const char *
phase_text (const char *phase)
{
  if (g_strcmp0 (phase, "approximating") == 0)
    return _ ("error LoRA");
  return g_strcmp0 (phase, "checking") == 0 ? _ ("checking") : _ ("converting");
}

/* Returns: (transfer full): "  1.2 GiB/s  0:34 left", without the parts that are unknown */
static char *
speed_text (const QconvProgress *p)
{
  g_autofree char *size = p->rate >= 0 ? cli_size_text ((guint64) p->rate) : NULL;
  g_autofree char *rate = size != NULL ? g_strdup_printf (_ ("  %s/s"), size) : g_strdup ("");
  guint eta = p->eta >= 0 && p->eta < 1e6 ? (guint) p->eta : 0;
  g_autofree char *left
      = p->eta >= 0 && p->eta < 1e6 ? g_strdup_printf (_ ("  %u:%02u left"), eta / 60, eta % 60) : g_strdup ("");

  return g_strconcat (rate, left, NULL);
}

/* Returns: (transfer full): "blocks.0.attn.qkv, round 2 of 6"; "" if no layer is worked on */
static char *
layer_text (const QconvProgress *p)
{
  if (p->layer == NULL)
    return g_strdup ("");
  return p->round > 0 ? g_strdup_printf (_ ("%s, round %u of %u"), p->layer, p->round, p->n_rounds)
                      : g_strdup (p->layer);
}

#define LEAST_ROOM 16 /* for the name of a layer */

/* Draws behind the bar as much of the end of @layer as fits, which tells layers apart */
static void
append_end (GString *text, const char *layer)
{
  glong room = (glong) cli_bar_width () - g_utf8_strlen (text->str, -1) - 3, n = g_utf8_strlen (layer, -1);

  if (n > 0 && (n <= room || room >= LEAST_ROOM))
    g_string_append_printf (text, "  %s%s", n <= room ? "" : "…",
                            g_utf8_offset_to_pointer (layer, n <= room ? 0 : n - room + 1));
}

static void
show_bar (const QconvProgress *p, double share)
{
  g_autofree char *speed = speed_text (p), *layer = layer_text (p);
  g_autofree char *head = g_strdup_printf ("%s %3d %% [", phase_text (p->phase), (int) (share * 100));
  glong room = (glong) cli_bar_width () - g_utf8_strlen (head, -1) - g_utf8_strlen (speed, -1) - 8;
  guint length = (guint) CLAMP (room, 0, 40);
  guint done = (guint) (share * length);
  g_autoptr (GString) text = g_string_new (head);

  for (guint i = 0; i < length; i++)
    g_string_append_c (text, i < done ? '#' : '.');
  g_string_append_printf (text, "]%s", speed);
  append_end (text, layer);
  cli_bar_draw (text->str);
}

static void
show_line (CliProgress *self, const QconvProgress *p, double share)
{
  gint64 now = g_get_monotonic_time ();
  double seconds = (double) (now - self->last_time) / G_USEC_PER_SEC;
  g_autofree char *speed = NULL, *layer = NULL, *text = NULL;

  if (seconds < 1 || (seconds < LINE_SECONDS && share - self->last_share < LINE_SHARE))
    return;
  self->last_time = now;
  self->last_share = share;
  speed = speed_text (p);
  layer = layer_text (p);
  text = g_strdup_printf ("%s %d %%%s%s%s", phase_text (p->phase), (int) (share * 100), speed,
                          *layer != '\0' ? "  " : "", layer);
  cli_note (text);
}

static void
show_json (const QconvProgress *p)
{
  g_autoptr (JsonBuilder) b = json_builder_new ();
  g_autofree char *text = NULL;

  json_builder_begin_object (b);
  cli_json_int (b, "done_bytes", p->done_bytes);
  cli_json_int (b, "total_bytes", p->total_bytes);
  cli_json_string (b, "phase", p->phase);
  cli_json_string (b, "layer", p->layer);
  if (p->round > 0)
    {
      cli_json_int (b, "round", p->round);
      cli_json_int (b, "rounds", p->n_rounds);
    }
  cli_json_double (b, "rate", p->rate >= 0 ? p->rate : NAN);
  cli_json_double (b, "eta_s", p->eta >= 0 ? p->eta : NAN);
  json_builder_end_object (b);
  text = cli_json_text (b, FALSE);
  fprintf (stderr, "%s\n", text);
}

void
cli_progress_update (const QconvProgress *p, gpointer progress)
{
  CliProgress *self = progress;
  double share = p->total_bytes > 0 ? (double) p->done_bytes / (double) p->total_bytes : 0;

  if (share < self->last_share)
    self->last_share = 0; /* the next phase begins at 0 */
  if (self->mode == SHOW_BAR)
    show_bar (p, MIN (share, 1));
  else if (self->mode == SHOW_LINES)
    show_line (self, p, MIN (share, 1));
  else if (self->mode == SHOW_JSON)
    show_json (p);
}

void
cli_progress_free (CliProgress *progress)
{
  cli_bar_draw (NULL);
  g_free (progress);
}
