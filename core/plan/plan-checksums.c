/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Checksums of a plan: those that the input states, and those that are laid out with the output. */
#include "plan/plan-checksums.h"

#include "base/checksum-map.h"
#include "io/source.h"
#include "plan/layout.h"

#define SEE_VERIFY "; `qconv verify` shows all damage"

gboolean
qconv_plan_check_stated (const QconvPlan *p, GError **error)
{
  const QconvDirectory *d = p->model->directory;
  g_autoptr (GError) damaged = NULL;
  g_autoptr (ChecksumMap) stated = qconv_checksum_map_new (d, &damaged);
  g_autoptr (GPtrArray) lines = NULL;

  if (damaged != NULL || (stated != NULL && !qconv_checksum_map_check_types (stated, d, &damaged)))
    return qconv_fail (error, QCONV_ERROR_INPUT, "%s" SEE_VERIFY, damaged->message);
  lines = stated != NULL ? qconv_checksum_map_changed_keys (stated, d) : NULL;
  for (guint i = 0; lines != NULL && i < lines->len; i++)
    qconv_warn (&p->warn, "%s: %s", qconv_source_name (p->model->source), (const char *) g_ptr_array_index (lines, i));
  return TRUE;
}

/* Fails with @refused (transfer full), and says so if the file could be laid out without checksums */
static gboolean
fail_layout (QconvPlan *p, const QconvContainer *c, GError *refused, GError **error)
{
  g_autoptr (GError) own = refused;
  Layout without = { 0 };
  gboolean fits;

  qconv_output_set_metadata (&p->output, QCONV_CHECKSUMS, NULL);
  fits = p->checksums && own->domain == QCONV_ERROR && qconv_layout_make (&without, c, p->output.directory, NULL);
  qconv_layout_clear (&without);
  if (!fits)
    {
      g_propagate_error (error, g_steal_pointer (&own));
      return FALSE;
    }
  return qconv_fail (error, own->code, "%s; --no-checksums makes it fit", own->message);
}

gboolean
qconv_plan_lay_out (QconvPlan *p, const Checksum *sums, Layout *layout, GError **error)
{
  GError *refused = NULL;
  const QconvContainer *c = qconv_registry_container (p->target->writer->container);
  g_autofree char *text = p->checksums ? qconv_checksum_map_text (p->output.directory, sums) : NULL;

  if (c->lay_out == NULL)
    return qconv_fail (error, QCONV_ERROR_BUG, "container %s cannot be written", c->id);
  qconv_output_set_metadata (&p->output, QCONV_CHECKSUMS, text);
  return qconv_layout_make (layout, c, p->output.directory, &refused) || fail_layout (p, c, refused, error);
}

gboolean
qconv_plan_set_checksums (QconvPlan *p, const Checksum *sums, GError **error)
{
  Layout with = { 0 };
  gboolean ok = !p->checksums || qconv_plan_lay_out (p, sums, &with, error);

  if (ok && p->checksums && (with.file_size != p->layout.file_size || with.header->len != p->layout.header->len))
    ok = qconv_fail (error, QCONV_ERROR_BUG, "container %s makes headers of two lengths from texts of one length",
                     p->target->writer->container);
  if (ok && p->checksums)
    {
      Layout without = p->layout;

      p->layout = with;
      with = without;
    }
  qconv_layout_clear (&with);
  return ok;
}
