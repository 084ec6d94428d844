/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The values that rows try for each option of a table. */
#pragma once
#include "plugin-check/check.h"

/* Tests one "ID.key=value". @good: the table allows it */
typedef gboolean (*CheckOptionFunc) (Check *c, const CheckRow *row, const char *option, gboolean good, GError **error);
/* Calls @test for every option of @table of the feature @id at its minimum, maximum, default and each choice, and
   beyond its range */
gboolean check_each_option (Check *c, const CheckRow *row, const char *id, const QconvOption *table,
                            CheckOptionFunc test, GError **error);
