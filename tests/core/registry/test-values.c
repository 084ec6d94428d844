/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests option values: defaults, parsing, refusals, and handing a run's options to its features. */
#include "qconv.h"
#include "registry/settings.h"
#include "registry/values.h"

static const char *const colours[] = { "red", "green", NULL };
static const QconvOption table[] = {
  { .name = "on", .type = QCONV_BOOLEAN, .value = "off", .help = "h" },
  { .name = "n", .type = QCONV_INT, .value = "3", .min = 1, .max = 9, .help = "h", .flags = QCONV_OPTION_PARAMETER },
  { .name = "x", .type = QCONV_DOUBLE, .value = "0.5", .min = 0, .max = 1, .help = "h" },
  { .name = "colour", .type = QCONV_CHOICE, .value = "red", .choices = colours, .help = "h" },
  { .name = "file", .type = QCONV_FILE, .help = "h" },
  { .name = NULL },
};

static void
test_defaults (void)
{
  g_autoptr (QconvValues) v = qconv_values_new (table);

  g_assert_null (qconv_option_table_problem (table));
  g_assert_false (qconv_values_boolean (v, "on"));
  g_assert_cmpint (qconv_values_int (v, "n"), ==, 3);
  g_assert_cmpfloat (qconv_values_double (v, "x"), ==, 0.5);
  g_assert_cmpstr (qconv_values_string (v, "colour"), ==, "red");
  g_assert_null (qconv_values_string (v, "file"));
  g_assert_false (qconv_values_is_set (v, "n"));
}

static void
test_parse (void)
{
  g_autoptr (QconvValues) v = qconv_values_new (table);
  g_autoptr (GError) error = NULL;

  g_assert_true (qconv_values_parse (v, "on=yes,n=9,x=1,colour=green,file=a b", &error));
  g_assert_no_error (error);
  g_assert_true (qconv_values_boolean (v, "on"));
  g_assert_cmpint (qconv_values_int (v, "n"), ==, 9);
  g_assert_cmpstr (qconv_values_string (v, "colour"), ==, "green");
  g_assert_cmpstr (qconv_values_string (v, "file"), ==, "a b");
  g_assert_true (qconv_values_is_set (v, "n"));
  g_assert_true (qconv_values_parse (v, "", &error));
  g_assert_true (qconv_values_parse (v, NULL, &error));
}

static void
test_refused (void)
{
  static const char *const bad[]
      = { "n=0", "n=10", "n=1x", "n=", "x=2", "x=", "x=nan", "colour=blue", "on=2", "size=1", "n", ",", "n=1,," };

  for (guint i = 0; i < G_N_ELEMENTS (bad); i++)
    {
      g_autoptr (QconvValues) v = qconv_values_new (table);
      g_autoptr (GError) error = NULL;

      g_assert_false (qconv_values_parse (v, bad[i], &error));
      g_assert_error (error, QCONV_ERROR, QCONV_ERROR_OPTION);
    }
}

static void
test_parameters (void)
{
  g_autoptr (QconvValues) a = qconv_values_new (table), b = qconv_values_new (table);

  g_assert_true (qconv_values_set (b, "on", "on", NULL));
  g_assert_true (qconv_values_same_parameters (a, b)); /* "on" is not a parameter */
  g_assert_true (qconv_values_set (b, "n", "5", NULL));
  g_assert_false (qconv_values_same_parameters (a, b));
  qconv_values_follow (a, b);
  g_assert_cmpint (qconv_values_int (a, "n"), ==, 5);
  g_assert_true (qconv_values_set (a, "n", "7", NULL));
  qconv_values_follow (a, b); /* the user's value stays */
  g_assert_cmpint (qconv_values_int (a, "n"), ==, 7);
}

static void
test_broken_tables (void)
{
  static const QconvOption out_of_range[]
      = { { .name = "n", .type = QCONV_INT, .value = "0", .min = 1, .max = 2, .help = "h" }, { .name = NULL } };
  static const QconvOption twice[] = { { .name = "s", .type = QCONV_STRING, .help = "h" },
                                       { .name = "s", .type = QCONV_STRING, .help = "h" },
                                       { .name = NULL } };
  static const QconvOption no_help[] = { { .name = "s", .type = QCONV_STRING }, { .name = NULL } };

  g_assert_nonnull (qconv_option_table_problem (out_of_range));
  g_assert_nonnull (qconv_option_table_problem (twice));
  g_assert_nonnull (qconv_option_table_problem (no_help));
  g_assert_null (qconv_option_table_problem (NULL));
}

static gboolean
apply (const char *option, gboolean complete, QconvValues *a, QconvValues *b, GError **error)
{
  const Participant all[] = { { "first", a }, { "second", b } };
  const char *const options[] = { option, NULL };

  return qconv_settings_apply (options, all, 2, complete, error);
}

static void
test_settings (void)
{
  static const QconvOption other[] = { { .name = "n", .type = QCONV_INT, .value = "1", .help = "h" },
                                       { .name = "own", .type = QCONV_INT, .value = "1", .help = "h" },
                                       { .name = NULL } };
  g_autoptr (QconvValues) a = qconv_values_new (table), b = qconv_values_new (other);
  g_autoptr (GError) error = NULL;

  g_assert_true (apply ("own=4", TRUE, a, b, &error));
  g_assert_cmpint (qconv_values_int (b, "own"), ==, 4);
  g_assert_true (apply ("second.n=8", TRUE, a, b, &error));
  g_assert_cmpint (qconv_values_int (b, "n"), ==, 8);
  g_assert_cmpint (qconv_values_int (a, "n"), ==, 3);
  g_assert_false (apply ("n=8", TRUE, a, b, &error)); /* both features know the key */
  g_assert_error (error, QCONV_ERROR, QCONV_ERROR_OPTION);
  g_clear_error (&error);
  g_assert_true (apply ("nobody=1", FALSE, a, b, &error));
  g_assert_false (apply ("nobody=1", TRUE, a, b, &error));
  g_assert_error (error, QCONV_ERROR, QCONV_ERROR_OPTION);
}

static void
test_bare (void)
{
  static const char *const modes[] = { "auto", "off", NULL };
  static const QconvOption rows[] = {
    { .name = "on", .type = QCONV_BOOLEAN, .value = "no", .help = "h", .flags = QCONV_OPTION_PARAMETER },
    { .name = "mode", .type = QCONV_CHOICE, .value = "off", .choices = modes, .help = "h" },
    { .name = "colour", .type = QCONV_CHOICE, .value = "red", .choices = colours, .help = "h" },
    { .name = NULL },
  };
  g_autoptr (QconvValues) v = qconv_values_new (rows), other = qconv_values_new (rows);
  g_autoptr (GError) error = NULL;

  g_assert_true (qconv_values_set_bare (v, "on", &error));
  g_assert_true (qconv_values_set_bare (v, "mode", &error));
  g_assert_no_error (error);
  g_assert_true (qconv_values_boolean (v, "on"));
  g_assert_cmpstr (qconv_values_string (v, "mode"), ==, "auto");
  g_assert_false (qconv_values_same_parameters (v, other));
  g_assert_true (qconv_values_set (other, "on", "true", &error));
  g_assert_true (qconv_values_same_parameters (v, other)); /* in any spelling */
  g_assert_false (qconv_values_set_bare (v, "colour", &error));
  g_assert_error (error, QCONV_ERROR, QCONV_ERROR_OPTION);
  g_clear_error (&error);
  g_assert_false (qconv_values_set_bare (v, "colours", &error));
  g_assert_error (error, QCONV_ERROR, QCONV_ERROR_OPTION);
}

static void
test_replace (void)
{
  g_autoptr (QconvValues) v = qconv_values_new (table);

  qconv_values_replace (v, "colour", "green");
  g_assert_cmpstr (qconv_values_string (v, "colour"), ==, "green");
  g_assert_false (qconv_values_is_set (v, "colour"));
  g_test_expect_message ("qconv", G_LOG_LEVEL_CRITICAL, "*colour*blue*");
  qconv_values_replace (v, "colour", "blue");
  g_test_assert_expected_messages ();
  g_assert_cmpstr (qconv_values_string (v, "colour"), ==, "green");
}

static void
test_nearest (void)
{
  static const char *const names[] = { "nf4-comfy", "nvfp4-comfy", "bf16-safetensors", NULL };

  g_assert_cmpstr (qconv_nearest ("nvpf4-comfy", names), ==, "nvfp4-comfy");
  g_assert_cmpstr (qconv_nearest ("bf16-safetensor", names), ==, "bf16-safetensors");
  g_assert_null (qconv_nearest ("something else", names));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/values/defaults", test_defaults);
  g_test_add_func ("/values/parse", test_parse);
  g_test_add_func ("/values/refused", test_refused);
  g_test_add_func ("/values/parameters", test_parameters);
  g_test_add_func ("/values/broken-tables", test_broken_tables);
  g_test_add_func ("/values/settings", test_settings);
  g_test_add_func ("/values/bare", test_bare);
  g_test_add_func ("/values/replace", test_replace);
  g_test_add_func ("/values/nearest", test_nearest);
  return g_test_run ();
}
