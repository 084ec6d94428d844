/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The toy plugin's container, reader and writer, and the functions by which tests use its files. */
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

/* ---- The container: a header of lines, then the tensors ---- */

enum { HEADER_LINE = 24, MAX_AXES = 4 };

static guint
box_score (const QconvContainer *self, const char *name, const guint8 *head, gsize n, guint64 size)
{
  return n >= 4 && memcmp (head, "BOX ", 4) == 0 ? 100 : 0;
}

/* Reads one line of the header: "T name dtype offset n_bytes axes…" or "M key=value" */
static gboolean
open_line (QconvDirectory *d, QconvSource *source, const char *line, GError **error)
{
  g_auto (GStrv) words = g_strsplit (line, " ", -1);
  QconvTensor t = { .source = source };
  char *equals = strchr (line, '=');

  if (line[0] == 'M' && equals != NULL)
    {
      g_autofree char *key = g_strndup (line + 2, (gsize) (equals - line) - 2);

      return qconv_directory_set_metadata (d, key, g_variant_new_string (equals + 1), error);
    }
  if (g_strv_length (words) < 5 || g_strv_length (words) > 5 + MAX_AXES || !qconv_dtype_from_name (words[2], &t.dtype))
    return qconv_fail (error, QCONV_ERROR_INPUT, "\"%s\" is no line of a box", line);
  t.name = words[1];
  t.type = words[2];
  t.offset = g_ascii_strtoull (words[3], NULL, 10);
  t.n_bytes = g_ascii_strtoull (words[4], NULL, 10);
  for (guint i = 5; words[i] != NULL; i++)
    t.shape.dim[t.shape.rank++] = g_ascii_strtoull (words[i], NULL, 10);
  return qconv_directory_add (d, &t, error);
}

static gboolean
box_open (const QconvContainer *self, QconvSource *source, const QconvValues *options, QconvDirectory *directory,
          GError **error)
{
  char head[HEADER_LINE + 1] = { 0 };
  g_autofree char *text = NULL;
  g_auto (GStrv) lines = NULL;
  guint64 size;

  if (!toy_call (TOY_OPEN, error) || !qconv_source_read (source, 0, HEADER_LINE, head, error))
    return FALSE;
  size = g_ascii_strtoull (head + 4, NULL, 10);
  if (size < HEADER_LINE || size > qconv_source_size (source))
    return qconv_fail (error, QCONV_ERROR_INPUT, "the header is longer than the file");
  text = g_malloc0 (size + 1);
  if (!qconv_source_read (source, 0, size, text, error))
    return FALSE;
  lines = g_strsplit (text, "\n", -1);
  for (guint i = 1; lines[i] != NULL && lines[i][0] != '\0'; i++)
    if (!open_line (directory, source, lines[i], error))
      return FALSE;
  return TRUE;
}

static GString *
write_header (const QconvDirectory *planned, QconvTensor **tensors, guint n, guint64 size)
{
  const char *const *keys = qconv_directory_metadata_keys (planned);
  GString *header = g_string_new (NULL);

  g_string_printf (header, "BOX %018" G_GUINT64_FORMAT " \n", size);
  for (guint i = 0; keys[i] != NULL; i++)
    g_string_append_printf (header, "M %s=%s\n", keys[i],
                            g_variant_get_string (qconv_directory_metadata (planned, keys[i]), NULL));
  for (guint i = 0; i < n; i++)
    {
      g_string_append_printf (header, "T %s %s %018" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT, tensors[i]->name,
                              qconv_dtype_name (tensors[i]->dtype), tensors[i]->offset, tensors[i]->n_bytes);
      for (guint j = 0; j < tensors[i]->shape.rank; j++)
        g_string_append_printf (header, " %" G_GUINT64_FORMAT, tensors[i]->shape.dim[j]);
      g_string_append_c (header, '\n');
    }
  g_string_append_c (header, '\n');
  return header;
}

/* Offsets have a fixed width, so the length of the header is known before they are */
static gboolean
box_lay_out (const QconvContainer *self, const QconvDirectory *planned, QconvTensor **tensors, guint n,
             GByteArray *header, guint64 *file_size, GError **error)
{
  GString *text = write_header (planned, tensors, n, 0);
  guint64 at = text->len, start = at;

  g_string_free (text, TRUE);
  for (guint i = 0; i < n; at += tensors[i++]->n_bytes)
    tensors[i]->offset = at;
  *file_size = at;
  text = write_header (planned, tensors, n, start);
  g_byte_array_append (header, (const guint8 *) text->str, (guint) text->len);
  g_string_free (text, TRUE);
  return toy_call (TOY_LAY_OUT, error);
}

static const char *const suffixes[] = { ".box", NULL };
static const QconvContainer box = { .id = "box",
                                    .summary = "toy files",
                                    .suffixes = suffixes,
                                    .score = box_score,
                                    .open = box_open,
                                    .lay_out = box_lay_out };

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
  qconv_claims_drop (claims, marker);
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

static gboolean
toy_layer (const QconvWriter *self, QconvOutput *o, const QconvLayer *l, GError **error)
{
  g_autoptr (GBytes) text = marker_text (l);
  QconvPlanned marker
      = { .dtype = QCONV_U8, .shape = QCONV_SHAPE1 (g_bytes_get_size (text)), .data = text, .run = QCONV_WHOLE };

  for (guint i = 0; i < l->n_components; i++)
    {
      const QconvComponent *c = l->components[i];
      g_autofree char *suffix = g_strconcat (".", c->name, NULL);
      QconvPlanned p = { .dtype = c->dtype, .shape = c->shape, .from = c->name };

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
  return qconv_output_add (o, l, MARKER, &marker, error) && toy_call (TOY_LAYER, error);
}

/* Biases are BF16 in this form */
static gboolean
toy_keep (const QconvWriter *self, QconvOutput *o, const QconvLayer *l, GError **error)
{
  const QconvComponent *c = l->components[0];
  QconvPlanned p = { .dtype = c->dtype, .shape = l->shape, .from = c->name };

  if (g_str_has_suffix (l->name, ".bias") && c->dtype == QCONV_F32)
    p.dtype = QCONV_BF16;
  return qconv_output_add (o, l, "", &p, error) && toy_call (TOY_KEEP, error);
}

static gboolean
toy_end (const QconvWriter *self, QconvOutput *o, GError **error)
{
  qconv_output_set_metadata (o, "toy", "1");
  return toy_call (TOY_END, error);
}

static const QconvOption writer_options[] = { { "loud", QCONV_BOOLEAN, "off", .help = "says more" }, { NULL } };
static const QconvTarget targets[] = { { "half", "codes", .scheme = "half" },
                                       { "half8", "codes", .scheme = "half", .parameters = "group=8" },
                                       { "whole", "codes", .scheme = "whole" },
                                       { "once", "codes", .scheme = "once" },
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

static const QconvContainer *const containers[] = { &box, NULL };
static const QconvReader *const readers[] = { &reader, NULL };
static const QconvWriter *const writers[] = { &writer, NULL };
static const QconvPlugin plugin = { .abi = QCONV_PLUGIN_ABI,
                                    .api = QCONV_PLUGIN_API,
                                    .name = "toy",
                                    .summary = "a world for tests",
                                    .license = "LGPL-2.1-or-later",
                                    .containers = containers,
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
