/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The cases of test-families.c: every variant of every family file, and which part of the test runs it. */
#pragma once
#include <json-glib/json-glib.h>

/* One variant. @as: the variant that detection must report; @index of the @n variants of its family that are tested */
typedef struct {
  JsonObject *family;
  const char *id, *name, *as;
  guint index, n;
} FamilyCase;

/* Returns: (transfer full): #FamilyCase, in the order of file names and variants, which is the same on every machine */
GArray *family_cases_load (void);
/* Frees the cases and their families */
void family_cases_free (GArray *cases);

/* Returns whether @part, "K/N", runs case @i: every Nth from the Kth, where 0 is the first */
gboolean family_case_is_in_part (const char *part, guint i);
