/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The toy plugin's reader and writer, and its settings. */
#include "toy.h"

#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#include "kernels/stream.h"
#include "layer/tile.h"
#include "registry/registry.h"

Toy toy = { .fail = TOY_N_HOOKS };

/* The arena of this thread's last tile */
static _Thread_local guint8 *arena_base;
static _Thread_local gsize arena_size;
static GMutex lock;

void
toy_reset (void)
{
  toy = (Toy) { .fail = TOY_N_HOOKS };
}

gboolean
toy_call (ToyHook hook, GError **error)
{
  gint n = g_atomic_int_add (&toy.calls[hook], 1);

  if (toy.watch != NULL)
    toy.watch (hook, toy.watch_data);
  return hook != toy.fail || n < toy.spare || qconv_fail (error, toy.code, "the toy broke");
}

static void
note_used (gsize used)
{
  g_mutex_lock (&lock);
  toy.most_used = MAX (toy.most_used, used);
  g_mutex_unlock (&lock);
}

void
toy_note_tile (const QconvTile *t)
{
  const Arena *a = ((const Tile *) t)->arena;

  arena_base = a->base;
  arena_size = a->size;
  note_used (a->used);
}

void
toy_note_bytes (gconstpointer bytes, gsize n)
{
  const guint8 *at = bytes;

  if (arena_base != NULL && at >= arena_base && at < arena_base + arena_size)
    note_used ((gsize) (at - arena_base) + n);
}

/* ---- The reader ---- */

#define MARKER ".scheme"

static gboolean
load_codes (const QconvLoad *load, GError **error)
{
  guint8 *dst = load->dst;
  guint64 cols = load->layer->cols;

  if (!toy_call (TOY_LOAD, error)
      || !qconv_tensor_read (load->tensors[0], load->first * cols, (gsize) (load->n * cols), dst, error))
    return FALSE;
  for (guint64 i = 0; i < load->n * cols; i++)
    dst[i] = (guint8) ~dst[i];
  return TRUE;
}

static const struct {
  const char *component, *suffix;
  QconvLoadFunc load;
} members[] = { { "codes", ".weight", load_codes },
                { "scale", ".scale", NULL },
                { "mean", ".mean", NULL },
                { "all", ".all", NULL },
                { "input_scale", ".input_scale", NULL } };

/* Reads a plain layer that is stored column by column, every byte XORed with the key that the reader hands over */
static gboolean
load_turned (const QconvLoad *load, GError **error)
{
  const guint8 *key = g_bytes_get_data (load->data, NULL);
  const QconvTensor *t = load->tensors[0];
  gsize width = qconv_dtype_bits (t->dtype) / 8, n = (gsize) load->n * width;
  g_autofree guint8 *column = g_malloc (n);
  guint64 cols = load->layer->cols, rows = load->layer->rows;

  for (guint64 col = 0; col < cols; col++)
    {
      if (!qconv_tensor_read (t, (col * rows + load->first) * width, n, column, error))
        return FALSE;
      for (gsize i = 0; i < n; i++)
        ((guint8 *) load->dst)[(i / width * cols + col) * width + i % width] = column[i] ^ *key;
    }
  return toy_call (TOY_LOAD, error);
}

/* Claims the plain layer of a marker "plain|KEY|rows|cols|dtype" */
static void
claim_turned (const QconvDirectory *d, const char *name, char **words, QconvClaims *claims)
{
  const QconvTensor *t = qconv_directory_find2 (d, name, ".weight");
  const guint8 key = (guint8) g_ascii_strtoull (words[1], NULL, 16);
  g_autoptr (GBytes) data = g_bytes_new (&key, 1);
  g_autofree char *whole = g_strconcat (name, ".weight", NULL);
  QconvClaim *claim = qconv_claims_layer (claims, whole, "plain", NULL, g_ascii_strtoull (words[2], NULL, 10),
                                          g_ascii_strtoull (words[3], NULL, 10), t->dtype);

  qconv_claim_bind_data (claim, "weight", load_turned, data, t, NULL);
  qconv_claim_cost (claim, 1, (gsize) t->n_bytes);
}

static guint
toy_score (const QconvReader *self, const QconvDirectory *d)
{
  for (guint i = 0; i < qconv_directory_n_tensors (d); i++)
    if (g_str_has_suffix (qconv_directory_tensor (d, i)->name, MARKER))
      return 90;
  return 0;
}

/* Claims the layer of a text "scheme|parameters|rows|cols|dtype|key=value|…". The key min_rows also sets the fewest
   rows worth loading */
static gboolean
claim_layer (const QconvDirectory *d, const QconvTensor *marker, QconvClaims *claims, GError **error)
{
  g_autofree char *name = g_strndup (marker->name, strlen (marker->name) - strlen (MARKER));
  g_autofree char *text = g_malloc0 (marker->n_bytes + 1);
  g_auto (GStrv) words = NULL;
  QconvDType dtype;
  QconvClaim *claim;

  if (!qconv_tensor_read (marker, 0, (gsize) marker->n_bytes, text, error))
    return FALSE;
  words = g_strsplit (text, "|", -1);
  if (g_strv_length (words) < 5 || !qconv_dtype_from_name (words[4], &dtype))
    return qconv_fail (error, QCONV_ERROR_INPUT, "layer \"%s\": the marker says nothing", name);
  qconv_claims_drop (claims, marker);
  if (strcmp (words[0], "plain") == 0)
    {
      claim_turned (d, name, words, claims);
      return TRUE;
    }
  claim = qconv_claims_layer (claims, name, words[0], words[1], g_ascii_strtoull (words[2], NULL, 10),
                              g_ascii_strtoull (words[3], NULL, 10), dtype);
  for (guint i = 5; words[i] != NULL; i++)
    {
      char *equals = strchr (words[i], '=');

      *equals = '\0';
      qconv_claim_hint (claim, words[i], equals + 1);
      if (strcmp (words[i], "min_rows") == 0)
        qconv_claim_cost (claim, g_ascii_strtoull (equals + 1, NULL, 10), 0);
    }
  for (guint i = 0; i < G_N_ELEMENTS (members); i++)
    {
      const QconvTensor *t = qconv_directory_find2 (d, name, members[i].suffix);

      if (t != NULL)
        qconv_claim_bind (claim, members[i].component, members[i].load, t, NULL);
    }
  return TRUE;
}

static gboolean
toy_claim (const QconvReader *self, const QconvDirectory *d, const QconvValues *options, QconvClaims *claims,
           GError **error)
{
  if (!toy_call (TOY_CLAIM, error))
    return FALSE;
  for (guint i = 0; i < qconv_directory_n_tensors (d); i++)
    {
      const QconvTensor *t = qconv_directory_tensor (d, i);

      if (g_str_has_suffix (t->name, MARKER) && !claim_layer (d, t, claims, error))
        return FALSE;
    }
  qconv_claims_drop_metadata (claims, "toy");
  return TRUE;
}

/* Reports every scale that is not above zero */
static void
toy_check (const QconvReader *self, const QconvDirectory *d, QconvProblems *problems)
{
  for (guint i = 0; i < qconv_directory_n_tensors (d); i++)
    {
      const QconvTensor *t = qconv_directory_tensor (d, i);
      g_autofree float *scale = g_malloc0 (t->n_bytes + 1);
      g_autofree char *name = g_strndup (t->name, strcspn (t->name, "."));

      if (!g_str_has_suffix (t->name, ".scale") || !qconv_tensor_read (t, 0, (gsize) t->n_bytes, scale, NULL))
        continue;
      for (guint64 j = 0; j < t->n_bytes / sizeof *scale; j++)
        if (!(scale[j] >= 0))
          qconv_problems_add (problems, name, "bad-scale", "scale %" G_GUINT64_FORMAT " is below zero", j);
    }
}

static const QconvReader reader
    = { .id = "toy", .summary = "toy layers", .score = toy_score, .claim = toy_claim, .check = toy_check };

/* ---- The writer ---- */

static gboolean
pack_codes (const QconvPack *pack, GError **error)
{
  const guint8 *src = pack->src;

  toy_note_bytes (pack->dst, pack->n_dst);
  for (gsize i = 0; i < pack->n_dst; i++)
    pack->dst[i] = (guint8) ~src[i];
  return toy_call (TOY_PACK, error);
}

/* parameters of the scheme, then the keys of the hints */
static GBytes *
marker_text (const QconvLayer *l)
{
  const QconvQuantizer *q = qconv_registry_quantizer (l->scheme);
  g_autofree const char **keys = qconv_layer_hint_keys (l);
  GString *text = g_string_new (l->scheme);
  const char *comma = "";

  g_string_append_c (text, '|');
  for (const QconvOption *o = q->options; o != NULL && o->name != NULL; o++)
    {
      if ((o->flags & QCONV_OPTION_PARAMETER) == 0)
        continue;
      g_string_append_printf (text, "%s%s=", comma, o->name);
      if (o->type == QCONV_INT)
        g_string_append_printf (text, "%" G_GINT64_FORMAT, qconv_values_int (l->values, o->name));
      else
        g_string_append (text, qconv_values_string (l->values, o->name));
      comma = ",";
    }
  g_string_append_printf (text, "|%" G_GUINT64_FORMAT "|%" G_GUINT64_FORMAT "|%s", l->rows, l->cols,
                          qconv_dtype_name (l->dtype));
  for (guint i = 0; keys[i] != NULL; i++)
    g_string_append_printf (text, "|%s=%s", keys[i], qconv_layer_hint (l, keys[i]));
  return g_string_free_to_bytes (text);
}

gboolean
toy_plan_layer (QconvOutput *o, const QconvLayer *l, GError **error)
{
  g_autoptr (GBytes) text = marker_text (l);
  QconvPlanned marker
      = { .dtype = QCONV_U8, .shape = QCONV_SHAPE1 (g_bytes_get_size (text)), .data = text, .run = QCONV_WHOLE };

  for (guint i = 0; i < l->n_components; i++)
    {
      const QconvComponent *c = l->components[i];
      g_autofree char *suffix = g_strconcat (".", c->name, NULL);
      QconvPlanned p = { .dtype = c->dtype, .shape = c->shape, .from = c->name };

      if (strcmp (c->name, QCONV_BIAS) == 0)
        continue;
      if (strcmp (c->name, "codes") == 0)
        {
          g_free (suffix);
          suffix = g_strdup (".weight");
          if (c->run.rows > 1) /* the scheme once */
            p.shape = QCONV_SHAPE1 (l->rows * l->cols);
          p.pack = pack_codes;
          p.load = load_codes;
          p.run = (QconvRun) { c->run.rows, c->run.n * l->cols };
        }
      if (!qconv_output_add (o, l, suffix, &p, error))
        return FALSE;
    }
  return qconv_output_add (o, l, MARKER, &marker, error);
}

/* With the option "apart", kept tensors lie in a file of their own */
static gboolean
is_apart (const QconvOutput *o)
{
  return qconv_values_boolean (qconv_output_options (o), "apart");
}

static gboolean
toy_layer (const QconvWriter *self, QconvOutput *o, const QconvLayer *l, GError **error)
{
  return toy_plan_layer (o, l, error) && toy_call (TOY_LAYER, error);
}

/* Biases are BF16 in this form */
static gboolean
toy_keep (const QconvWriter *self, QconvOutput *o, const QconvLayer *l, GError **error)
{
  const QconvComponent *c = l->components[0];
  QconvPlanned p = { .dtype = c->dtype, .shape = l->shape, .from = c->name, .file = is_apart (o) + toy.stray };

  if (g_str_has_suffix (l->name, ".bias") && c->dtype == QCONV_F32)
    p.dtype = QCONV_BF16;
  return qconv_output_add (o, l, "", &p, error) && toy_call (TOY_KEEP, error);
}

static gboolean
toy_end (const QconvWriter *self, QconvOutput *o, GError **error)
{
  g_autoptr (GBytes) note = g_bytes_new_static ("a note\n", 7);

  qconv_output_set_metadata (o, "toy", "1");
  if (is_apart (o))
    {
      qconv_output_add_file (o, "layers.box", NULL);
      qconv_output_add_file (o, "rest.box", NULL);
      qconv_output_add_file (o, "note.txt", note);
    }
  return toy_call (TOY_END, error);
}

static const QconvOption writer_options[] = { { "loud", QCONV_BOOLEAN, "off", .help = "says more" },
                                              { "apart", QCONV_BOOLEAN, "off", .help = "two files and a note" },
                                              { NULL } };
static const QconvTarget targets[] = { { "half", "codes", .scheme = "half" },
                                       { "half8", "codes", .scheme = "half", .parameters = "group=8" },
                                       { "whole", "codes", .scheme = "whole" },
                                       { "once", "codes", .scheme = "once", .beside = TRUE },
                                       { "twin", "codes", .scheme = "twin" },
                                       { "dark", "signs", .scheme = "dark" },
                                       { "light", "codes", .scheme = "light" },
                                       { "f32", "floats", .scheme = "plain", .dtype = QCONV_F32 },
                                       { "f16", "floats", .scheme = "plain", .dtype = QCONV_F16 },
                                       { "plain", "as they are", .scheme = "plain", .dtype = QCONV_OPAQUE },
                                       { "copy", "verbatim", .scheme = NULL },
                                       { NULL } };
static const QconvWriter writer = { .id = "toy",
                                    .summary = "toy layers",
                                    .options = writer_options,
                                    .container = "box",
                                    .suffix = ".box",
                                    .reader = "toy",
                                    .targets = targets,
                                    .layer = toy_layer,
                                    .keep = toy_keep,
                                    .end = toy_end,
                                    .hints = (const char *const[]) { "colour", "size", NULL } };

/* ---- The plugin ---- */

static const QconvReader *const readers[] = { &reader, NULL };
static const QconvWriter *const writers[] = { &writer, NULL };
static const QconvPlugin plugin = { .abi = QCONV_PLUGIN_ABI,
                                    .api = QCONV_PLUGIN_API,
                                    .name = "toy",
                                    .summary = "a world for tests",
                                    .license = "LGPL-2.1-or-later",
                                    .containers = toy_containers,
                                    .readers = readers,
                                    .quantizers = toy_quantizers,
                                    .writers = writers };

static char *folder;

static void
remove_folder (void)
{
  g_autoptr (GDir) dir = g_dir_open (folder, 0, NULL);
  const char *name;

  while (dir != NULL && (name = g_dir_read_name (dir)) != NULL)
    {
      g_autofree char *path = g_build_filename (folder, name, NULL);

      g_remove (path);
    }
  g_rmdir (folder);
  g_free (folder);
}

void
toy_init (int *argc, char ***argv)
{
  g_autofree char *data = NULL;

  g_test_init (argc, argv, NULL);
  data = g_test_build_filename (G_TEST_DIST, "core", "toy", NULL);
  g_setenv ("QCONV_DATA_PATH", data, TRUE);
  folder = g_dir_make_tmp ("qconv-toy-XXXXXX", NULL);
  atexit (remove_folder);
  qconv_registry_add_built_in (&plugin);
}

char *
toy_path (const char *name)
{
  char *path = g_build_filename (folder, name, NULL);

  g_remove (path);
  return path;
}
