/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which layers a target encodes, and the rule that decided. */
#pragma once
#include "model.h"

typedef struct {
  const Family *family;
  GRegex *keep, *only, *hp; /* (nullable) */
  gboolean quantized;     /* the source has quantized layers: only these are encoded */
  gboolean keep_matched, only_matched, hp_matched;
  GError *gave_up; /* (nullable): an expression that could not be applied to a name */
  gboolean only_unfit; /* --only matched a layer that the scheme cannot hold */
} Rules;

/* QCONV_ERROR_OPTION: a regular expression is broken */
gboolean qconv_rules_init (Rules *r, const QconvModel *model, const QconvJob *job, GError **error);
void qconv_rules_clear (Rules *r);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Rules, qconv_rules_clear)
/* Returns: whether @s becomes @q's scheme with the options @values; *rule says what decided */
gboolean qconv_rules_decide (Rules *r, const SourceLayer *s, const QconvQuantizer *q, const QconvValues *values,
                             const char **rule);
/* Returns: whether --only and --keep leave @s to an edit */
gboolean qconv_rules_select (Rules *r, const SourceLayer *s);
/* @encoded: what becomes of it. QCONV_ERROR_OPTION: --hp-filter wants it in high precision */
gboolean qconv_rules_check_precision (Rules *r, const SourceLayer *s, gboolean encoded, GError **error);
/* QCONV_ERROR_OPTION: an expression that matched nothing */
gboolean qconv_rules_check (const Rules *r, const QconvModel *model, const QconvJob *job, GError **error);
