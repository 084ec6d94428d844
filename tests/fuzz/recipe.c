/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads structured fuzz inputs for trial.c: jobs, and files of tensors. */
#include "recipe.h"

#include <string.h>

#include "fixture.h"

enum { MOST_BYTES = 1 << 18, MOST_TENSORS = 64, MOST_LINES = 256, MOST_DIM = 1024 };

/* A word of a job and the member that it sets: a text, a list of texts or a gboolean */
typedef enum { TEXT, LIST, SWITCH } Kind;
static const struct {
  const char *word;
  Kind kind;
  gsize member;
} words[] = {
  { "target", TEXT, G_STRUCT_OFFSET (QconvJob, target) },
  { "effort", TEXT, G_STRUCT_OFFSET (QconvJob, effort) },
  { "input-scale", TEXT, G_STRUCT_OFFSET (QconvJob, input_scale) },
  { "fallback", TEXT, G_STRUCT_OFFSET (QconvJob, rules.fallback) },
  { "naming", TEXT, G_STRUCT_OFFSET (QconvJob, names.naming) },
  { "component", TEXT, G_STRUCT_OFFSET (QconvJob, names.component) },
  { "option", LIST, G_STRUCT_OFFSET (QconvJob, options) },
  { "keep", LIST, G_STRUCT_OFFSET (QconvJob, rules.keep) },
  { "only", LIST, G_STRUCT_OFFSET (QconvJob, rules.only) },
  { "hp-filter", LIST, G_STRUCT_OFFSET (QconvJob, rules.hp_filter) },
  { "layers", LIST, G_STRUCT_OFFSET (QconvJob, rules.layers) },
  { "drop", LIST, G_STRUCT_OFFSET (QconvJob, names.drop) },
  { "metadata", LIST, G_STRUCT_OFFSET (QconvJob, edit.metadata) },
  { "skip-inefficient", SWITCH, G_STRUCT_OFFSET (QconvJob, rules.skip_inefficient) },
  { "allow-incomplete", SWITCH, G_STRUCT_OFFSET (QconvJob, names.allow_incomplete) },
  { "lora-partial", SWITCH, G_STRUCT_OFFSET (QconvJob, lora.partial) },
  { "known-only", SWITCH, G_STRUCT_OFFSET (QconvJob, edit.known_only) },
  { "allow-nonfinite", SWITCH, G_STRUCT_OFFSET (QconvJob, run.allow_nonfinite) },
  { "no-verify", SWITCH, G_STRUCT_OFFSET (QconvJob, run.no_verify) },
  { "no-checksums", SWITCH, G_STRUCT_OFFSET (QconvJob, run.no_checksums) },
};

/* An item of 8 bytes at most is made of random bits: (bits & @mask) | @set, so that floats look like weights */
static const struct {
  QconvDType dtype;
  guint64 mask, set;
} looks[] = {
  { QCONV_F64, 0x801fffffffffffff, 0x3f80000000000000 },
  { QCONV_F32, 0x81ffffff, 0x3c000000 },
  { QCONV_F16, 0x8fff, 0x2000 },
  { QCONV_BF16, 0x81ff, 0x3c00 },
  { QCONV_F8_E4M3, 0xbf, 0 },
  { QCONV_F8_E5M2, 0xbf, 0 },
  { QCONV_BOOL, 1, 0 },
};

static char *
take_text (Recipe *r, char *text)
{
  g_ptr_array_add (r->texts, text);
  return text;
}

/* Returns @name if it is one of @names, else one of them that depends on it */
static const char *
nearest_of (const char *name, const char *const *names)
{
  guint n = g_strv_length ((char **) names);

  if (name == NULL || n == 0 || g_strv_contains (names, name))
    return name;
  return names[g_str_hash (name) % n];
}

/* Appends @text to the list at @member, which recipe_new() ends with NULL */
static void
append (Recipe *r, gsize member, const char *text)
{
  const char *const **list = G_STRUCT_MEMBER_P (&r->job, member);
  GPtrArray *array = NULL;

  for (guint i = 0; i < r->lists->len && array == NULL; i++)
    if (*list == (gpointer) ((GPtrArray *) r->lists->pdata[i])->pdata)
      array = r->lists->pdata[i];
  if (array == NULL)
    {
      array = g_ptr_array_new ();
      g_ptr_array_add (array, NULL);
      g_ptr_array_add (r->lists, array);
    }
  array->pdata[array->len - 1] = (gpointer) text;
  g_ptr_array_add (array, NULL);
  *list = (const char *const *) array->pdata;
}

/* "hint KEY VALUE" sets a key of markers, "hint KEY" removes it, "hint? KEY VALUE" sets it if it is absent */
static void
add_hint (Recipe *r, const char *word, char *rest)
{
  char *space = strchr (rest, ' ');
  QconvHintChange change
      = { .key = rest, .value = space != NULL ? space + 1 : NULL, .if_absent = word[4] == '?', .or_text = TRUE };

  if (space != NULL)
    *space = '\0';
  g_array_append_val (r->hints, change);
}

static void
read_job_line (Recipe *r, char *line)
{
  char *rest = strchr (line, ' ');

  if (rest != NULL)
    *rest++ = '\0';
  if (rest != NULL && g_str_has_prefix (line, "hint"))
    add_hint (r, line, rest);
  for (guint i = 0; i < G_N_ELEMENTS (words); i++)
    {
      if (strcmp (line, words[i].word) != 0)
        continue;
      if (words[i].kind == SWITCH)
        G_STRUCT_MEMBER (gboolean, &r->job, words[i].member) = TRUE;
      else if (rest != NULL && words[i].kind == TEXT)
        G_STRUCT_MEMBER (const char *, &r->job, words[i].member) = rest;
      else if (rest != NULL)
        append (r, words[i].member, rest);
    }
}

static void
read_job (Recipe *r, const guint8 *data, gsize size)
{
  /* Options are UTF-8: the program converts them */
  g_autofree char *text = g_utf8_make_valid ((const char *) data, (gssize) size);
  g_auto (GStrv) lines = g_strsplit (text, "\n", MOST_LINES);

  for (guint i = 0; lines[i] != NULL; i++)
    read_job_line (r, take_text (r, g_strdup (lines[i])));
}

/* Returns a target that the registry offers */
static const char *
real_target (const char *name)
{
  GPtrArray *targets = qconv_registry_targets ();
  g_autofree const char **names = g_new0 (const char *, targets->len + 1);

  for (guint i = 0; i < targets->len; i++)
    names[i] = ((const QconvTargetInfo *) targets->pdata[i])->name;
  return nearest_of (name != NULL ? name : "", names);
}

/* Returns the next "== " that begins a line, or @end */
static const guint8 *
next_heading (const guint8 *at, const guint8 *end, gboolean starts_line)
{
  while (at < end && !(starts_line && end - at >= 3 && memcmp (at, "== ", 3) == 0))
    starts_line = *at++ == '\n';
  return at;
}

Recipe *
recipe_new (const guint8 *data, gsize size, const char *const *names, gboolean edit)
{
  const guint8 *end = data + size, *heading = next_heading (data, end, TRUE);
  Recipe *r = g_new0 (Recipe, 1);

  r->texts = g_ptr_array_new_with_free_func (g_free);
  r->lists = g_ptr_array_new_with_free_func ((GDestroyNotify) g_ptr_array_unref);
  r->files = g_array_new (FALSE, FALSE, sizeof (RecipeFile));
  r->hints = g_array_new (FALSE, FALSE, sizeof (QconvHintChange));
  read_job (r, data, (gsize) (heading - data));
  while (heading < end)
    {
      const guint8 *name = heading + 3, *line = memchr (name, '\n', (gsize) (end - name));
      const guint8 *body = line != NULL ? line + 1 : end;
      RecipeFile f = { .body = body };
      char *title = take_text (r, g_strndup ((const char *) name, (gsize) ((line != NULL ? line : end) - name)));

      heading = next_heading (body, end, TRUE);
      f.size = (gsize) (heading - body);
      f.name = nearest_of (title, names);
      g_array_append_val (r->files, f);
    }
  r->job.target = edit ? NULL : real_target (r->job.target);
  r->job.edit.hints = (const QconvHintChange *) r->hints->data;
  r->job.edit.n_hints = r->hints->len;
  r->job.effort = r->job.effort != NULL ? r->job.effort : "rtn";
  return r;
}

void
recipe_free (Recipe *r)
{
  g_array_unref (r->files);
  g_array_unref (r->hints);
  g_ptr_array_unref (r->lists);
  g_ptr_array_unref (r->texts);
  g_free (r);
}

const RecipeFile *
recipe_find (const Recipe *r, const char *name)
{
  for (guint i = 0; i < r->files->len; i++)
    if (strcmp (g_array_index (r->files, RecipeFile, i).name, name) == 0)
      return &g_array_index (r->files, RecipeFile, i);
  return NULL;
}

/* Fills @bytes with items that depend on the name */
static void
make_items (const char *name, QconvDType dtype, guint8 *bytes, gsize n)
{
  guint64 state = g_str_hash (name) | 1, mask = G_MAXUINT64, set = 0;
  guint width = MAX (qconv_dtype_bits (dtype) / 8, 1);

  for (guint i = 0; i < G_N_ELEMENTS (looks); i++)
    if (looks[i].dtype == dtype)
      {
        mask = looks[i].mask;
        set = looks[i].set;
      }
  width = MIN (width, sizeof state);
  for (gsize at = 0; at + width <= n; at += width)
    {
      guint64 item;

      state = state * 6364136223846793005 + 1442695040888963407;
      item = ((state >> 32 | state << 32) & mask) | set;
      memcpy (bytes + at, &item, width);
    }
}

/* Writes what the line says of the items: hexadecimal bytes, once or repeated, or a text */
static void
put_items (const char *said, guint8 *bytes, gsize n)
{
  gsize n_digits = strspn (said, "0123456789abcdef"), n_bytes = n_digits / 2;
  gboolean repeat = said[n_digits] == '*';

  if (said[n_digits + (repeat ? 1 : 0)] != '\0')
    {
      memset (bytes, 0, n);
      memcpy (bytes, said, MIN (n, strlen (said)));
      return;
    }
  for (gsize at = 0; at < (repeat && n_bytes > 0 ? n : MIN (n, n_bytes)); at++)
    bytes[at] = (guint8) (g_ascii_xdigit_value (said[2 * (at % n_bytes)]) << 4
                          | g_ascii_xdigit_value (said[2 * (at % n_bytes) + 1]));
}

/* Reads "2x3x4". Dimensions behind which there could not be @most bytes become smaller */
static QconvShape
read_shape (const char *text, QconvDType dtype, guint64 most)
{
  g_auto (GStrv) axes = g_strsplit (text, "x", QCONV_MAX_RANK);
  QconvShape shape = QCONV_SHAPE0;
  guint64 n_bytes;

  for (guint i = 0; axes[i] != NULL && g_ascii_isdigit (axes[i][0]); i++)
    shape.dim[shape.rank++] = g_ascii_strtoull (axes[i], NULL, 10);
  if (!qconv_shape_bytes (&shape, dtype, &n_bytes) || n_bytes > most)
    for (guint i = 0; i < shape.rank; i++)
      shape.dim[i] = i < 2 ? shape.dim[i] % (MOST_DIM + 1) : 1;
  while (!qconv_shape_bytes (&shape, dtype, &n_bytes) || n_bytes > most)
    shape.dim[0] /= 2;
  return shape;
}

/* Adds the tensor that a line describes */
static void
add_tensor (Builder *b, const char *line)
{
  g_auto (GStrv) parts = g_strsplit (line, " ", 4);
  guint n_parts = g_strv_length (parts);
  const char *said = n_parts > 3 ? parts[3] : "";
  QconvDType dtype = QCONV_F32;
  QconvShape shape = QCONV_SHAPE1 (strlen (said));
  g_autofree char *name = n_parts > 0 ? g_uri_unescape_string (parts[0], NULL) : NULL;
  g_autofree char *axes = NULL;
  g_autofree guint8 *bytes = NULL;
  guint64 n;

  if (n_parts < 3)
    return;
  qconv_dtype_from_name (parts[1], &dtype);
  if (strcmp (parts[2], "*") != 0)
    shape = read_shape (parts[2], dtype, MOST_BYTES - MIN (MOST_BYTES - 8, b->data->len));
  if (!qconv_shape_bytes (&shape, dtype, &n))
    return;
  bytes = g_malloc0 (n + 1);
  make_items (parts[0], dtype, bytes, n);
  put_items (said, bytes, n);
  axes = qconv_shape_to_string (&shape);
  builder_add (b, name != NULL ? name : parts[0], qconv_dtype_name (dtype), axes, bytes, n);
}

/* Makes a .safetensors file of lines */
static GByteArray *
tensors_of (const guint8 *body, gsize size)
{
  g_autofree char *text = g_strndup ((const char *) body, size);
  g_auto (GStrv) lines = g_strsplit (text, "\n", MOST_TENSORS);
  g_autoptr (Builder) b = builder_new ();

  for (guint i = 0; lines[i] != NULL; i++)
    if (g_str_has_prefix (lines[i], "# "))
      {
        g_auto (GStrv) pair = g_strsplit (lines[i] + 2, " ", 2);

        if (pair[0] != NULL)
          builder_add_metadata (b, pair[0], pair[1] != NULL ? pair[1] : "");
      }
    else
      add_tensor (b, lines[i]);
  return builder_bytes (b);
}

GByteArray *
recipe_bytes (const RecipeFile *f)
{
  GByteArray *bytes;
  gboolean raw = f->size > 0 && f->body[0] == '!';

  if (!raw && g_str_has_suffix (f->name, ".safetensors"))
    return tensors_of (f->body, f->size);
  bytes = g_byte_array_new ();
  g_byte_array_append (bytes, f->body + raw, (guint) f->size - raw);
  return bytes;
}
