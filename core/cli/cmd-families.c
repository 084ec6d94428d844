/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* `qconv families`: lists the families of models, or shows the variants and rules of one. */
#include <glib/gi18n.h>
#include <string.h>

#include "cli/command.h"
#include "cli/json.h"
#include "cli/table.h"
#include "cli/term.h"
#include "qconv.h"

/* Returns: (transfer full): "a, b", or "-" for none */
static char *
join (char **texts)
{
  return *texts != NULL ? g_strjoinv (", ", texts) : g_strdup ("-");
}

/* ---- For programs ---- */

static void
add_texts (JsonBuilder *b, const char *name, char **texts)
{
  json_builder_set_member_name (b, name);
  json_builder_begin_array (b);
  for (guint i = 0; texts[i] != NULL; i++)
    cli_json_string (b, NULL, texts[i]);
  json_builder_end_array (b);
}

/* Adds null if @count is 0, which means unknown */
static void
add_count (JsonBuilder *b, const char *name, guint64 count)
{
  if (count > 0)
    cli_json_int (b, name, count);
  else
    cli_json_string (b, name, NULL);
}

static void
add_variant (JsonBuilder *b, const QconvVariantInfo *v)
{
  json_builder_begin_object (b);
  cli_json_string (b, "name", v->name);
  cli_json_string (b, "detect_as", v->detect_as);
  add_texts (b, "aliases", v->aliases);
  add_count (b, "tensors", v->n_tensors);
  add_count (b, "params", v->n_params);
  json_builder_end_object (b);
}

static void
add_rule (JsonBuilder *b, const QconvFamilyRule *r)
{
  json_builder_begin_object (b);
  cli_json_string (b, "scheme", r->scheme != NULL ? r->scheme : "keep");
  cli_json_string (b, "match", r->pattern);
  cli_json_string (b, "blocks", r->blocks);
  if (r->blocks != NULL)
    {
      cli_json_int (b, "first", r->first);
      cli_json_int (b, "last", r->last);
    }
  add_texts (b, "classes", r->classes);
  add_texts (b, "peers", r->peers);
  json_builder_end_object (b);
}

static void
add_presets (JsonBuilder *b, const GPtrArray *presets)
{
  json_builder_set_member_name (b, "presets");
  json_builder_begin_array (b);
  for (guint i = 0; i < presets->len; i++)
    {
      const QconvPresetInfo *p = presets->pdata[i];

      json_builder_begin_object (b);
      add_texts (b, "schemes", p->schemes);
      json_builder_set_member_name (b, "rules");
      json_builder_begin_array (b);
      for (guint j = 0; j < p->rules->len; j++)
        add_rule (b, p->rules->pdata[j]);
      json_builder_end_array (b);
      json_builder_end_object (b);
    }
  json_builder_end_array (b);
}

static void
add_family (JsonBuilder *b, const QconvFamilyInfo *f)
{
  json_builder_begin_object (b);
  cli_json_string (b, "family", f->id);
  cli_json_string (b, "title", f->title);
  cli_json_string (b, "kind", f->kind);
  cli_json_string (b, "file", f->path);
  add_texts (b, "reads", f->reads);
  add_texts (b, "writes", f->writes);
  json_builder_set_member_name (b, "variants");
  json_builder_begin_array (b);
  for (guint i = 0; i < f->variants->len; i++)
    add_variant (b, f->variants->pdata[i]);
  json_builder_end_array (b);
  if (f->presets != NULL)
    add_presets (b, f->presets);
  add_texts (b, "never_packed", f->probed);
  json_builder_end_object (b);
}

static void
print_json (const GPtrArray *families, gboolean one)
{
  g_autoptr (JsonBuilder) b = json_builder_new ();

  if (!one)
    json_builder_begin_array (b);
  for (guint i = 0; i < families->len; i++)
    add_family (b, families->pdata[i]);
  if (!one)
    json_builder_end_array (b);
  cli_json_print (b);
}

/* ---- For people ---- */

static void
print_list (const GPtrArray *families)
{
  g_autoptr (CliTable) table = cli_table_new ("llll");

  cli_table_row (table, _ ("family"), _ ("kind"), _ ("title"), _ ("variants"));
  for (guint i = 0; i < families->len; i++)
    {
      const QconvFamilyInfo *f = families->pdata[i];
      g_autoptr (GPtrArray) names = g_ptr_array_new ();
      g_autofree char *variants = NULL;

      for (guint j = 0; j < f->variants->len; j++)
        g_ptr_array_add (names, ((const QconvVariantInfo *) f->variants->pdata[j])->name);
      g_ptr_array_add (names, NULL);
      variants = join ((char **) names->pdata);
      cli_table_row (table, f->id, f->kind, f->title, variants);
    }
  cli_table_print (table, "");
}

/* Returns: (transfer full): "11.9 B" */
static char *
params_text (guint64 n)
{
  return n >= 1000000000 ? g_strdup_printf ("%.1f B", (double) n / 1e9)
         : n > 0         ? g_strdup_printf ("%.0f M", (double) n / 1e6)
                         : g_strdup ("-");
}

static void
print_variants (const GPtrArray *variants)
{
  g_autoptr (CliTable) table = cli_table_new ("lrrll");

  cli_table_row (table, _ ("variant"), _ ("parameters"), _ ("tensors"), _ ("other names"), _ ("recognised as"));
  for (guint i = 0; i < variants->len; i++)
    {
      const QconvVariantInfo *v = variants->pdata[i];
      g_autofree char *params = params_text (v->n_params), *aliases = join (v->aliases);
      g_autofree char *tensors
          = v->n_tensors > 0 ? g_strdup_printf ("%" G_GUINT64_FORMAT, v->n_tensors) : g_strdup ("-");

      cli_table_row (table, v->name, params, tensors, aliases, v->detect_as != NULL ? v->detect_as : v->name);
    }
  cli_table_print (table, "  ");
}

/* Returns the translated purpose of the layers of @class, or @class itself if it is not in the list */
static const char *
class_text (const char *class)
{
  static const char *const words[][2] = { { "aux", N_ ("additional modules") },
                                          { "cond", N_ ("time, guidance and pooled conditions") },
                                          { "conv", N_ ("convolutions") },
                                          { "core", N_ ("attention and feed-forward") },
                                          { "embed", N_ ("embeddings") },
                                          { "expert", N_ ("experts") },
                                          { "final", N_ ("output") },
                                          { "io", N_ ("input") },
                                          { "mod", N_ ("modulation") },
                                          { "refiner", N_ ("refiners and connectors") },
                                          { "router", N_ ("routers of experts") },
                                          { "vision", N_ ("vision") } };

  for (guint i = 0; i < G_N_ELEMENTS (words); i++)
    if (strcmp (words[i][0], class) == 0)
      return _ (words[i][1]);
  return class;
}

/* Returns: (transfer full): why the rule exists: "modulation; also kept by NAME" */
static char *
reason_text (const QconvFamilyRule *r)
{
  GString *text = g_string_new (NULL);
  g_autofree char *peers = join (r->peers);

  for (guint i = 0; r->classes[i] != NULL; i++)
    g_string_append_printf (text, "%s%s", i > 0 ? ", " : "", class_text (r->classes[i]));
  if (*r->peers != NULL)
    {
      g_string_append (text, text->len > 0 ? "; " : "");
      g_string_append_printf (text, _ ("also kept by %s"), peers);
    }
  return g_string_free (text, FALSE);
}

static void
print_rules (const GPtrArray *rules)
{
  g_autoptr (CliTable) table = cli_table_new ("lll");

  for (guint i = 0; i < rules->len; i++)
    {
      const QconvFamilyRule *r = rules->pdata[i];
      g_autofree char *reason = reason_text (r), *blocks = NULL;

      if (r->blocks != NULL)
        blocks = g_strdup_printf (_ ("first %u and last %u of %s"), r->first, r->last, r->blocks);
      cli_table_row (table, r->scheme != NULL ? r->scheme : "keep", reason, blocks != NULL ? blocks : r->pattern);
    }
  cli_table_print (table, "    ");
}

static gboolean
same_rules (const QconvPresetInfo *a, const QconvPresetInfo *b)
{
  gboolean same = a->rules->len == b->rules->len;

  for (guint i = 0; same && i < a->rules->len; i++)
    {
      const QconvFamilyRule *x = a->rules->pdata[i], *y = b->rules->pdata[i];

      same = g_strcmp0 (x->scheme, y->scheme) == 0 && g_strcmp0 (x->pattern, y->pattern) == 0
             && g_strcmp0 (x->blocks, y->blocks) == 0 && x->first == y->first && x->last == y->last;
    }
  return same;
}

/* Prints one paragraph for all schemes that have the same rules */
static void
print_presets (const GPtrArray *presets)
{
  for (guint i = 0; i < presets->len; i++)
    {
      const QconvPresetInfo *p = presets->pdata[i];
      g_autoptr (GString) schemes = g_string_new (NULL);
      guint first = 0;

      while (!same_rules (presets->pdata[first], p))
        first++;
      if (first < i)
        continue;
      for (guint j = i; j < presets->len; j++)
        if (same_rules (presets->pdata[j], p))
          {
            g_autofree char *names = join (((const QconvPresetInfo *) presets->pdata[j])->schemes);

            g_string_append_printf (schemes, "%s%s", schemes->len > 0 ? ", " : "", names);
          }
      cli_print ("  %s:%s\n", schemes->str, p->rules->len == 0 ? _ (" all layers") : "");
      print_rules (p->rules);
    }
}

static void
print_family (const QconvFamilyInfo *f)
{
  g_autoptr (CliTable) head = cli_table_new ("ll");
  g_autofree char *reads = join (f->reads), *writes = join (f->writes), *probed = join (f->probed);

  cli_print ("%s: %s\n", f->id, f->title);
  cli_table_row (head, _ ("kind"), f->kind);
  cli_table_row (head, _ ("file"), f->path);
  cli_table_row (head, _ ("namings read"), reads);
  cli_table_row (head, _ ("namings written"), writes);
  cli_table_row (head, _ ("never packed"), probed);
  cli_table_print (head, "  ");
  cli_print ("\n");
  print_variants (f->variants);
  cli_print ("\n%s\n", _ ("Layers that do not take the target's scheme, unless an option decides otherwise:"));
  print_presets (f->presets);
}

static gboolean
fail_unknown_family (const char *family_file, const char *id, GError **error)
{
  g_autoptr (GPtrArray) families = qconv_families_describe (family_file, NULL, error);
  g_autoptr (GPtrArray) names = g_ptr_array_new ();

  if (families == NULL)
    return FALSE;
  for (guint i = 0; i < families->len; i++)
    g_ptr_array_add (names, ((const QconvFamilyInfo *) families->pdata[i])->id);
  g_ptr_array_add (names, NULL);
  return cli_fail_unknown (error, QCONV_ERROR_OPTION, g_strdup_printf (_ ("unknown family \"%s\""), id), id,
                           (const char *const *) names->pdata);
}

gboolean
cli_families (const CliSettings *s, const char *const *words, GError **error)
{
  g_autoptr (GPtrArray) families = qconv_families_describe (s->input.family_file, words[0], error);

  if (families == NULL)
    return FALSE;
  if (words[0] != NULL && families->len == 0)
    return fail_unknown_family (s->input.family_file, words[0], error);
  if (s->show.json)
    print_json (families, words[0] != NULL);
  else if (words[0] != NULL)
    print_family (families->pdata[0]);
  else
    print_list (families);
  return TRUE;
}
