/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The schemes that one run writes: the scheme of the target, and others that its writer can hold. */
#pragma once
#include "graph/model.h"

/**
 * Scheme: one scheme of a run.
 *
 * @parameters: (nullable): options that the target fixes
 * @role: (nullable): the row of the target that maps layers of a role to this scheme
 * @beside: as in #QconvTarget
 * @values: its options: those that the target fixes and those that the user set for all layers
 * @implied: the user did not name it; options reach it only as ID.KEY
 */
typedef struct {
  const QconvQuantizer *quantizer;
  const char *parameters;
  const QconvRoleScheme *role;
  gboolean beside;
  QconvValues *values;
  gboolean implied;
} Scheme;

typedef struct {
  const QconvTargetInfo *info;
  GPtrArray *list; /* Scheme */
} Schemes;

void qconv_schemes_init (Schemes *s, const QconvTargetInfo *info);
void qconv_schemes_clear (Schemes *s);
/* Returns: (transfer none): the target's own scheme; NULL for plain targets and edits */
const Scheme *qconv_schemes_main (const Schemes *s);
/* Returns: (transfer none): the scheme for layers of @role (nullable) in block @block of @n of a model of @kind: that
   to which the target maps the role, else the target's own; NULL for plain targets and edits */
const Scheme *qconv_schemes_for_role (const Schemes *s, const char *role, const char *kind, guint64 block, guint64 n);
/* Returns: (transfer none) (nullable): the scheme that the target has for layers whose shape @scheme does not take */
const Scheme *qconv_schemes_instead (const Schemes *s, const Scheme *scheme);
/* Returns: (transfer none): the scheme @id if it takes part, else NULL */
const Scheme *qconv_schemes_find (const Schemes *s, const char *id);
/* Adds a scheme that a family advises; must be called before options are handed out.
   Returns: (transfer none): NULL if the writer or the registry lacks it */
const Scheme *qconv_schemes_imply (Schemes *s, const char *id);
/* The same for the scheme @id of a source, if the writer's loader takes it beside the target's own */
void qconv_schemes_imply_beside (Schemes *s, const char *id);
/* Adds a scheme that the user named in @option. QCONV_ERROR_OPTION: the writer cannot hold it; the error lists what it
   can hold. Returns: (transfer none) */
const Scheme *qconv_schemes_add (Schemes *s, const char *id, const char *option, GError **error);
/* Gives --effort and -o to all schemes, @others (element-type Participant) and the writer. QCONV_ERROR_OPTION: no
   feature knows an option, or a target fixes it */
gboolean qconv_schemes_apply (Schemes *s, const QconvJob *job, const GArray *others, QconvValues *writer,
                              GError **error);
