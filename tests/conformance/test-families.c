/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* usage: test-families K/N | parts K/N...
   Every published variant of every family, at its true size and without data: it must be recognised under every
   spelling, and its layers must become what the family file says. K/N runs every Nth variant from the Kth (0 is the
   first), so that meson can run parts side by side; "parts" checks that the named parts together run each variant
   once. */
#include <string.h>

#include "family-cases.h"
#include "sample.h"
#include "small.h"

/* One spelling of a model's names, and the generator's arguments for it */
typedef struct {
  char *arguments, *label;
} Spelling;

/* The decisions of a plan about the layers of a model. @misaligned: kept, because their columns would have to be
   padded */
typedef struct {
  guint quantized, fallback, misaligned;
} Counts;

static GArray *cases;
static guint n_probed, n_compared;
static const char *const targets[][2]
    = { { "nvfp4", "nvfp4-comfy" }, { "fp8", "fp8-comfy" }, { "int8", "int8-comfy" } };

/* Fails the test and goes on, so that one run shows every failure */
static void G_GNUC_PRINTF (1, 2) complain (const char *format, ...)
{
  va_list arguments;
  g_autofree char *text = NULL;

  va_start (arguments, format);
  text = g_strdup_vprintf (format, arguments);
  va_end (arguments);
  g_test_message ("%s", text);
  g_test_fail ();
}

/* Returns NULL if there is no such member */
static JsonArray *
list_of (JsonObject *o, const char *member)
{
  return json_object_has_member (o, member) ? json_object_get_array_member (o, member) : NULL;
}

static guint
length_of (JsonArray *list)
{
  return list != NULL ? json_array_get_length (list) : 0;
}

/* Returns NULL if there is no such member */
static JsonObject *
object_of (JsonObject *o, const char *member)
{
  return o != NULL && json_object_has_member (o, member) ? json_object_get_object_member (o, member) : NULL;
}

static QconvModel *
open_model (const FamilyCase *c, const char *path, const char *family_file)
{
  QconvOpenOptions options = { .family_file = family_file };
  g_autoptr (GError) error = NULL;
  QconvModel *m = qconv_model_open (path, &options, &error);

  if (m == NULL)
    complain ("%s %s: %s", c->id, c->name, error->message);
  return m;
}

/* Plans a conversion to @target; @like holds the job's other settings */
static QconvPlan *
make_plan (QconvModel *m, const char *target, const QconvJob *like, GError **error)
{
  g_autofree char *output = g_build_filename (sample_folder (), "none", NULL);
  QconvJob job = *like;

  job.target = target;
  job.output = output;
  job.run.n_threads = 1;
  job.run.memory = (guint64) 1 << 36;
  return qconv_plan_new (m, &job, error);
}

static Counts
count_layers (const QconvPlan *p, const char *scheme)
{
  g_autoptr (GArray) weights = qconv_plan_weights (p);
  Counts n = { 0 };

  for (guint i = 0; i < weights->len; i++)
    {
      const QconvPlannedInfo *w = &g_array_index (weights, QconvPlannedInfo, i);

      if (strcmp (w->rule, "fallback") == 0)
        n.fallback++;
      else if (strcmp (w->rule, "shape") == 0 && w->packable)
        n.misaligned++;
      else
        n.quantized += strcmp (w->scheme, scheme) == 0;
    }
  return n;
}

/* ---- Spellings ---- */

static void
free_spelling (gpointer data)
{
  Spelling *s = data;

  g_free (s->arguments);
  g_free (s->label);
  g_free (s);
}

static void
add_spelling (GPtrArray *list, const char *label, const char *more)
{
  Spelling *s = g_new (Spelling, 1);

  s->label = g_strdup (label);
  s->arguments = g_strdup (more);
  g_ptr_array_add (list, s);
}

static gboolean
lists (JsonObject *o, const char *member, const char *text)
{
  JsonArray *list = list_of (o, member);

  for (guint i = 0; i < length_of (list); i++)
    if (strcmp (json_array_get_string_element (list, i), text) == 0)
      return TRUE;
  return FALSE;
}

/* Returns whether the family file can detect files in @naming */
static gboolean
is_detected (const FamilyCase *c, const char *naming)
{
  JsonArray *namings = json_object_get_array_member (json_object_get_object_member (c->family, "detect"), "namings");

  for (guint i = 0; i < json_array_get_length (namings); i++)
    if (strcmp (json_object_get_string_member (json_array_get_object_element (namings, i), "naming"), naming) == 0)
      return TRUE;
  return FALSE;
}

/* Returns all spellings but those that detection cannot recognise */
static GPtrArray *
list_spellings (const FamilyCase *c)
{
  GPtrArray *list = g_ptr_array_new_with_free_func (free_spelling);
  JsonArray *prefixes = list_of (c->family, "prefixes"), *maps = list_of (c->family, "keymaps");

  add_spelling (list, "original", "");
  for (guint i = 0; i < length_of (prefixes); i++)
    {
      g_autofree char *more = g_strdup_printf (" --prefix %s", json_array_get_string_element (prefixes, i));

      add_spelling (list, json_array_get_string_element (prefixes, i), more);
    }
  for (guint i = 0; i < length_of (maps); i++)
    {
      JsonObject *map = json_array_get_object_element (maps, i);
      const char *naming = json_object_get_string_member (map, "b");
      gboolean gguf = strcmp (naming, "llama.cpp") == 0;
      g_autofree char *more = g_strdup_printf (" --naming %s%s", naming, gguf ? " --format gguf --type f16" : "");

      if (!lists (map, "except_variants", c->name) && is_detected (c, naming))
        add_spelling (list, naming, more);
    }
  add_spelling (list, "GGUF", " --format gguf --type f16");
  return list;
}

/* ---- One variant ---- */

static void
check_identity (const FamilyCase *c, const QconvModel *m, const char *label)
{
  if (g_strcmp0 (qconv_model_family (m), c->id) != 0 || g_strcmp0 (qconv_model_variant (m), c->as) != 0)
    complain ("%s %s, %s: detected as %s %s instead of %s", c->id, c->name, label, qconv_model_family (m),
              qconv_model_variant (m), c->as);
}

/* Compares with the counts that the family file states for its presets */
static void
check_counts (const FamilyCase *c, const char *scheme, Counts have)
{
  JsonObject *want = object_of (object_of (object_of (c->family, "preset_stats"), c->name), scheme);

  if (want == NULL)
    return;
  n_compared++;
  /* The family file would keep some of the misaligned layers as well */
  if (have.quantized > json_object_get_int_member (want, "quantized")
      || have.quantized + have.misaligned < json_object_get_int_member (want, "quantized")
      || have.fallback != json_object_get_int_member (want, "fallback_fp8"))
    complain ("%s %s, %s: %u layers quantized and %u by the fallback; the family file says %d and %d", c->id, c->name,
              scheme, have.quantized, have.fallback, (int) json_object_get_int_member (want, "quantized"),
              (int) json_object_get_int_member (want, "fallback_fp8"));
}

/* Plans the targets (unless @all, only the first). Returns the counts of the first */
static Counts
check_plans (const FamilyCase *c, QconvModel *m, const char *label, gboolean all)
{
  Counts first = { 0 };

  for (guint i = 0; i < (all ? G_N_ELEMENTS (targets) : 1); i++)
    {
      g_autoptr (GError) error = NULL;
      QconvJob job = { 0 };
      g_autoptr (QconvPlan) p = sample_has_target (targets[i][1]) ? make_plan (m, targets[i][1], &job, &error) : NULL;
      Counts n;

      if (error != NULL)
        complain ("%s %s, %s, %s: %s", c->id, c->name, label, targets[i][1], error->message);
      if (p == NULL)
        continue;
      n = count_layers (p, targets[i][0]);
      if (all)
        check_counts (c, targets[i][0], n);
      first = i == 0 ? n : first;
    }
  return first;
}

/* ---- Weights by which loaders tell models apart ---- */

/* Returns: (transfer full): path of a copy of the family file with an empty never_pack */
static char *
without_never_pack (const FamilyCase *c)
{
  g_autoptr (JsonGenerator) generator = json_generator_new ();
  g_autoptr (JsonNode) node = json_node_new (JSON_NODE_OBJECT);
  g_autoptr (GError) error = NULL;
  JsonArray *list = json_array_ref (json_object_get_array_member (c->family, "never_pack"));
  char *path = g_build_filename (sample_folder (), "family.json", NULL);

  json_object_set_array_member (c->family, "never_pack", json_array_new ());
  json_node_set_object (node, c->family);
  json_generator_set_root (generator, node);
  json_generator_to_file (generator, path, &error);
  g_assert_no_error (error);
  json_object_set_array_member (c->family, "never_pack", list);
  return path;
}

/* Returns whether the family file detects the model or its dimensions by this weight, as loaders do */
static gboolean
is_looked_at (const FamilyCase *c, const char *name)
{
  static const char *const members[] = { "dims", "detect" };
  g_autofree char *quoted = g_strdup_printf ("\"%s\"", name);
  gboolean found = FALSE;

  for (guint i = 0; i < G_N_ELEMENTS (members); i++)
    {
      g_autofree char *text = json_to_string (json_object_get_member (c->family, members[i]), FALSE);

      found |= strstr (text, quoted) != NULL;
    }
  return found;
}

/* Checks that packing @layer is refused without never_pack, too: loaders see a packed weight with half its columns.
   @unprotected: opened with without_never_pack() */
static void
check_refused (const FamilyCase *c, QconvModel *unprotected, const char *only, const char *layer)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (QconvPlan) p
      = make_plan (unprotected, "nvfp4-comfy", &(QconvJob) { .rules.only = QCONV_LIST (only) }, &error);

  if (p != NULL)
    complain ("%s %s: without never_pack, packing %s is not refused, although a loader would mistake the model", c->id,
              c->name, layer);
  else if (error != NULL && (qconv_error_exit_status (error) != 2 || strstr (error->message, "a loader would") == NULL))
    complain ("%s %s, %s: %s", c->id, c->name, layer, error->message);
}

/* Checks that the weight called @name stays as it is, even if the user asks for its layer alone */
static void
check_probed (const FamilyCase *c, QconvModel *m, QconvModel *unprotected, const char *name)
{
  g_autofree char *layer = g_strndup (name, strlen (name) - strlen (".weight"));
  g_autofree char *escaped = g_regex_escape_string (layer, -1), *only = g_strdup_printf ("^%s$", escaped);
  g_autoptr (GError) error = NULL;
  g_autoptr (QconvPlan) p = make_plan (m, "nvfp4-comfy", &(QconvJob) { .rules.only = QCONV_LIST (only) }, &error);
  g_autoptr (GArray) weights = p != NULL ? qconv_plan_weights (p) : NULL;

  /* A variant may lack the layer, or have one that NVFP4 cannot hold */
  if (p == NULL && strstr (error->message, "matches no layer") != NULL)
    return;
  if (p == NULL)
    {
      complain ("%s %s, %s: %s", c->id, c->name, layer, error->message);
      return;
    }
  for (guint i = 0; i < weights->len; i++)
    {
      const QconvPlannedInfo *w = &g_array_index (weights, QconvPlannedInfo, i);

      if (strcmp (w->name, layer) == 0 && (strcmp (w->rule, "probed") != 0 || strcmp (w->scheme, "plain") != 0))
        complain ("%s %s: %s becomes %s by the rule %s; never_pack should keep it plain", c->id, c->name, layer,
                  w->scheme, w->rule);
    }
  if (is_looked_at (c, name))
    check_refused (c, unprotected, only, layer);
  else
    g_test_message ("%s %s: loaders detect the model by %s, the family file does not", c->id, c->name, layer);
  n_probed++;
}

/* Checks that the model is recognised even if every other layer that the family keeps is packed */
static void
check_all_packed (const FamilyCase *c, QconvModel *m)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (QconvPlan) p = make_plan (m, "nvfp4-comfy", &(QconvJob) { .rules.fallback = "nvfp4" }, &error);

  if (p == NULL)
    complain ("%s %s, all packed: %s", c->id, c->name, error->message);
}

/* Checks the weights of never_pack. @m: the variant in its original spelling, from @path */
static void
check_never_pack (const FamilyCase *c, QconvModel *m, const char *path)
{
  JsonArray *list = list_of (c->family, "never_pack");
  g_autofree char *file = length_of (list) > 0 ? without_never_pack (c) : NULL;
  g_autoptr (QconvModel) unprotected = file != NULL ? open_model (c, path, file) : NULL;

  for (guint i = 0; unprotected != NULL && i < length_of (list); i++)
    check_probed (c, m, unprotected, json_array_get_string_element (list, i));
  /* Loaders of language models read config.json instead */
  if (strcmp (json_object_get_string_member (c->family, "kind"), "llm") != 0)
    check_all_packed (c, m);
}

/* ---- All ---- */

/* Checks one spelling. @as_original: the counts of the original spelling, which comes first */
static void
check_spelling (const FamilyCase *c, const Spelling *s, Counts *as_original)
{
  gboolean first = strcmp (s->label, "original") == 0;
  g_autofree char *arguments = g_strdup_printf ("--family %s --variant %s --sparse%s", c->id, c->name, s->arguments);
  g_autofree char *path = sample_generate (arguments, "model");
  g_autoptr (QconvModel) m = open_model (c, path, NULL);
  Counts n;

  if (m == NULL)
    return;
  check_identity (c, m, s->label);
  n = check_plans (c, m, s->label, first);
  if (first)
    *as_original = n;
  else if (n.quantized != as_original->quantized || n.fallback != as_original->fallback)
    complain ("%s %s, %s: %u layers quantized and %u by the fallback, but %u and %u in the original naming", c->id,
              c->name, s->label, n.quantized, n.fallback, as_original->quantized, as_original->fallback);
  /* The variants of a family have one list */
  if (first && sample_has_target ("nvfp4-comfy") && !test_skips (c->index, c->n, 0, c->n))
    check_never_pack (c, m, path);
}

static void
test_variant (gconstpointer data)
{
  const FamilyCase *c = &g_array_index (cases, FamilyCase, GPOINTER_TO_UINT (data));
  g_autoptr (GPtrArray) spellings = list_spellings (c);
  Counts as_original = { 0 };

  for (guint i = 0; i < spellings->len; i++)
    if (i == 0 || !test_skips (c->index, c->n, i - 1, spellings->len - 1))
      check_spelling (c, g_ptr_array_index (spellings, i), &as_original);
}

/* ---- Parts ---- */

/* Tests that the parts run each variant once. @data: the parts, a NULL-terminated list */
static void
test_parts (gconstpointer data)
{
  const char *const *parts = data;

  for (guint i = 0; i < cases->len; i++)
    {
      guint n = 0;

      for (guint k = 0; parts[k] != NULL; k++)
        n += family_case_is_in_part (parts[k], i);
      g_assert_cmpuint (n, ==, 1);
    }
}

static void
add_part (const char *part)
{
  guint n = 0;

  for (guint i = 0; i < cases->len; i++)
    if (family_case_is_in_part (part, i))
      {
        const FamilyCase *c = &g_array_index (cases, FamilyCase, i);
        g_autofree char *test = g_strdup_printf ("/families/%s/%s", c->id, c->name);

        g_test_add_data_func (test, GUINT_TO_POINTER (i), test_variant);
        n++;
      }
  g_assert_cmpuint (n, >, 0);
}

int
main (int argc, char **argv)
{
  gboolean listed;
  int status;

  g_test_init (&argc, &argv, NULL);
  cases = family_cases_load ();
  listed = argc > 2 && strcmp (argv[1], "parts") == 0;
  if (listed)
    g_test_add_data_func ("/families/parts", argv + 2, test_parts);
  else
    add_part (argc > 1 ? argv[1] : "0/1");
  status = g_test_run ();
  if (!listed && sample_has_target ("nvfp4-comfy"))
    {
      g_assert_cmpuint (n_probed, >, 0);
      g_assert_cmpuint (n_compared, >, 0);
    }
  family_cases_free (cases);
  sample_finish ();
  return status;
}
