/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Warns once about each thing in a finished plan that a user should know. qconv_plan_new() calls it. */
#include <glib/gi18n-lib.h>

#include "base/names.h"
#include "io/directory.h"
#include "plan/beside.h"
#include "plan/encoder.h"
#include "plan/output-name.h"
#include "plan/plan-warnings.h"

/* Warns once that re-encoding adds up the errors of both formats */
static void
warn_lossy (const QconvPlan *p)
{
  g_autoptr (GPtrArray) layers = g_ptr_array_new ();
  g_autofree char *names = NULL;

  for (guint i = 0; i < p->output.layers->len; i++)
    {
      const PlannedLayer *l = g_ptr_array_index (p->output.layers, i);

      if (l->how == HOW_ENCODE && qconv_source_layer_quantized (l->source) && qconv_encoder (l, 0)->from == NULL
          && l->source->bytes * 8 < l->layer->pub.rows * l->layer->pub.cols * 6)
        g_ptr_array_add (layers, l->source->name);
    }
  names = qconv_first_names (layers);
  if (layers->len > 0)
    qconv_warn (&p->warn, _ ("%u layers come from fewer than 6 bits a weight: the error of both formats adds up: %s"),
                layers->len, names);
}

/* Warns that the generic rules may keep other layers than the model's makers would */
static void
warn_unknown (const QconvPlan *p)
{
  if (p->mapping != NULL && p->target->quantizer != NULL && !qconv_identity_known (p->mapping->identity))
    qconv_warn (&p->warn, "%s", _ ("this model is of no known family: general rules decide which layers are kept"));
}

/* Warns if loaders tell the variant from its relatives by metadata that the output lacks */
static void
warn_unconfigured (const QconvPlan *p)
{
  const Identity *id = p->mapping != NULL ? p->mapping->identity : NULL;
  g_autofree char *config = id != NULL ? qconv_identity_config (id) : NULL;

  if (config != NULL && p->target->writer->spellings != NULL
      && qconv_directory_metadata (p->output.directory, "config") == NULL)
    qconv_warn (&p->warn,
                _ ("loaders take this for another variant without the metadata of its makers; add them with "
                   "qconv edit OUTPUT --metadata 'config={\"transformer\":%s}'"),
                config);
}

static void
warn_unscaled (const QconvPlan *p)
{
  for (guint i = 0; i < p->output.layers->len; i++)
    if (((const PlannedLayer *) g_ptr_array_index (p->output.layers, i))->has_input_scale)
      return;
  qconv_warn (&p->warn, "%s", _ ("--input-scale has no effect: no layer of this target takes an input scale"));
}

static void
warn_nothing (const QconvPlan *p)
{
  gboolean decoded = FALSE;

  if (p->target->quantizer == NULL)
    return;
  for (guint i = 0; i < p->output.layers->len; i++)
    {
      const PlannedLayer *l = g_ptr_array_index (p->output.layers, i);

      if (l->layer->quantizer != NULL && (l->how != HOW_MOVE || l->layer->quantizer == p->target->quantizer))
        return;
      decoded |= l->how == HOW_DECODE;
    }
  if (decoded)
    qconv_warn (&p->warn, _ ("no layer becomes %s: quantized layers are decoded"), p->target->quantizer->id);
  else
    qconv_warn (&p->warn, _ ("no layer becomes %s: the output is a copy"), p->target->quantizer->id);
}

/* Loaders tell the format of a file by the end of its name */
static void
warn_suffix (const QconvPlan *p)
{
  const char *suffix = qconv_output_foreign_suffix (p->target, p->path);

  if (suffix != NULL)
    qconv_warn (&p->warn, _ ("%s: %s writes %s files, but the name ends in %s: loaders may take it for another format"),
                p->path, p->target->name, p->target->writer->suffix, suffix);
}

void
qconv_plan_warn (const QconvPlan *p, gboolean scales)
{
  if (scales)
    warn_unscaled (p);
  warn_unknown (p);
  warn_unconfigured (p);
  warn_lossy (p);
  warn_nothing (p);
  warn_suffix (p);
}
