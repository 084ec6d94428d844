/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests layers of GPTQ and AutoAWQ that are incomplete, contradict themselves or are packed for one kernel: each is
   refused with the layer and the reason, and never becomes another tensor. */
#include <string.h>

#include "packer.h"

/* One tensor. Its bytes are @n times @fill */
typedef struct {
  const char *name, *dtype, *shape;
  gsize n;
  guint8 fill;
} Member;

/* @json: (nullable): the JSON beside it */
typedef struct {
  const char *says;
  QconvError code;
  const char *json;
  Member members[6];
} Case;

/* 64 columns in 2 groups, 32 rows, 4 bits */
/* clang-format off */
#define QWEIGHT { "l.qweight", "I32", "[8,32]", 1024, 0x53 }
#define QZEROS { "l.qzeros", "I32", "[2,4]", 32, 0x77 }
#define SCALES { "l.scales", "F16", "[2,32]", 128, 0x24 }
#define G_IDX { "l.g_idx", "I32", "[64]", 256, 0 }
#define AWQ_WEIGHT { "l.qweight", "I32", "[64,4]", 1024, 0x53 }

static const Case broken[] = {
  { "layer \"l\": qweight is missing", QCONV_ERROR_INPUT, NULL, { QZEROS, SCALES } },
  { "layer \"l\": qweight is missing", QCONV_ERROR_INPUT, NULL, { QZEROS, SCALES, G_IDX } },
  { "layer \"l\": qzeros is missing", QCONV_ERROR_INPUT, NULL, { QWEIGHT, SCALES } },
  { "layer \"l\": qzeros is missing", QCONV_ERROR_INPUT, NULL, { QWEIGHT, SCALES, G_IDX } },
  { "layer \"l\": scales is missing", QCONV_ERROR_INPUT, NULL, { QWEIGHT, QZEROS, G_IDX } },
  { "layer \"l\": scales is missing", QCONV_ERROR_INPUT, NULL, { QWEIGHT, QZEROS } },
  { "layer \"l\": scales is missing", QCONV_ERROR_INPUT, "{\"quant_method\": \"awq\"}", { AWQ_WEIGHT, QZEROS } },
  { "qweight is F32 where a type of words (I32)", QCONV_ERROR_INPUT, NULL,
    { { "l.qweight", "F32", "[8,32]", 1024, 0 }, QZEROS, SCALES, G_IDX } },
  { "scales is I32 where F16, BF16 or F32", QCONV_ERROR_INPUT, NULL,
    { QWEIGHT, QZEROS, { "l.scales", "I32", "[2,32]", 256, 0 }, G_IDX } },
  { "qzeros is F16 where a type of words", QCONV_ERROR_INPUT, NULL,
    { QWEIGHT, { "l.qzeros", "F16", "[2,32]", 128, 0 }, SCALES, G_IDX } },
  { "qzeros is I16, but qweight is I32", QCONV_ERROR_INPUT, NULL,
    { QWEIGHT, { "l.qzeros", "I16", "[2,8]", 32, 0x77 }, SCALES, G_IDX } },
  { "g_idx is I64 where I32", QCONV_ERROR_INPUT, NULL,
    { QWEIGHT, QZEROS, SCALES, { "l.g_idx", "I64", "[64]", 512, 0 } } },
  { "g_idx is F32 where a type of words", QCONV_ERROR_INPUT, NULL,
    { QWEIGHT, QZEROS, SCALES, { "l.g_idx", "F32", "[64]", 256, 0 } } },
  { "g_idx is [8, 8] where a list", QCONV_ERROR_INPUT, NULL,
    { QWEIGHT, QZEROS, SCALES, { "l.g_idx", "I32", "[8,8]", 256, 0 } } },
  { "column 0 is of group 1145324612, but there are 2 groups", QCONV_ERROR_INPUT, NULL,
    { QWEIGHT, QZEROS, SCALES, { "l.g_idx", "I32", "[64]", 256, 0x44 } } },
  { "column 0 is of group -50529028, but there are 2 groups", QCONV_ERROR_INPUT, NULL,
    { QWEIGHT, QZEROS, SCALES, { "l.g_idx", "I32", "[64]", 256, 0xfc } } },
  { "qweight is [8, 2, 16] where a matrix", QCONV_ERROR_INPUT, NULL,
    { { "l.qweight", "I32", "[8,2,16]", 1024, 0 }, QZEROS, SCALES, G_IDX } },
  { "qweight is [0, 32] where a matrix", QCONV_ERROR_INPUT, NULL,
    { { "l.qweight", "I32", "[0,32]", 0, 0 }, QZEROS, SCALES, G_IDX } },
  { "scales is [64] where a matrix", QCONV_ERROR_INPUT, NULL,
    { QWEIGHT, QZEROS, { "l.scales", "F16", "[64]", 128, 0x24 }, G_IDX } },
  /* transposed members */
  { "qweight has 8 columns, but scales has 32", QCONV_ERROR_INPUT, NULL,
    { { "l.qweight", "I32", "[32,8]", 1024, 0x53 }, QZEROS, SCALES, G_IDX } },
  { "qzeros has 4 rows, but scales has 2", QCONV_ERROR_INPUT, NULL,
    { QWEIGHT, { "l.qzeros", "I32", "[4,2]", 32, 0x77 }, SCALES, G_IDX } },
  { "qweight has 32 columns, but scales has 2", QCONV_ERROR_INPUT, NULL,
    { QWEIGHT, QZEROS, { "l.scales", "F16", "[32,2]", 128, 0x24 }, G_IDX } },
  /* members that contradict each other */
  { "qweight [8, 32], qzeros [2, 5] and scales [2, 32] with g_idx fit no number of bits", QCONV_ERROR_INPUT, NULL,
    { QWEIGHT, { "l.qzeros", "I32", "[2,5]", 40, 0x77 }, SCALES, G_IDX } },
  { "fit no number of bits from 2 to 8", QCONV_ERROR_INPUT, NULL,
    { QWEIGHT, QZEROS, SCALES, { "l.g_idx", "I32", "[65]", 260, 0 } } },
  { "fit no number of bits from 2 to 8", QCONV_ERROR_INPUT, NULL,
    { { "l.qweight", "I32", "[2,32]", 256, 0 }, { "l.qzeros", "I32", "[2,1]", 8, 0 }, SCALES, G_IDX } },
  { "scales has 65 groups, which do not fit 64 columns", QCONV_ERROR_INPUT, NULL,
    { QWEIGHT, { "l.qzeros", "I32", "[65,4]", 1040, 0x77 }, { "l.scales", "F16", "[65,32]", 4160, 0x24 }, G_IDX } },
  { "scales has 63 groups, which do not fit 64 columns", QCONV_ERROR_INPUT, NULL,
    { QWEIGHT, { "l.qzeros", "I32", "[63,4]", 1008, 0x77 }, { "l.scales", "F16", "[63,32]", 4032, 0x24 } } },
  { "do not fit each other in AutoAWQ's packing GEMM", QCONV_ERROR_INPUT, NULL,
    { AWQ_WEIGHT, { "l.qzeros", "I32", "[3,4]", 48, 0 }, { "l.scales", "F16", "[3,32]", 192, 0x24 } } },
  { "do not fit each other in AutoAWQ's packing GEMV", QCONV_ERROR_INPUT, "{\"version\": \"gemv\"}",
    { { "l.qweight", "I32", "[32,8]", 1024, 0 }, { "l.qzeros", "I32", "[32,3]", 384, 0 },
      { "l.scales", "F16", "[32,24]", 1536, 0x24 } } },
  { "qweight is I16 where I32", QCONV_ERROR_INPUT, "{\"quant_method\": \"awq\"}",
    { { "l.qweight", "I16", "[64,4]", 512, 0 }, QZEROS, SCALES } },
  /* packed for one kernel */
  { "the form marlin, which only its own kernel reads", QCONV_ERROR_UNSUPPORTED, "{\"checkpoint_format\": \"marlin\"}",
    { QWEIGHT, QZEROS, SCALES, G_IDX } },
  { "the form marlin", QCONV_ERROR_UNSUPPORTED, "{\"is_marlin_format\": true}", { QWEIGHT, QZEROS, SCALES, G_IDX } },
  { "the form bitblas", QCONV_ERROR_UNSUPPORTED, "{\"checkpoint_format\": \"bitblas\"}", { QWEIGHT, SCALES } },
  { "the form exl3", QCONV_ERROR_UNSUPPORTED, "{\"quant_method\": \"exl3\"}", { QWEIGHT, SCALES } },
  { "the form marlin", QCONV_ERROR_UNSUPPORTED, "{\"quant_method\": \"awq\", \"version\": \"marlin\"}",
    { AWQ_WEIGHT, QZEROS, SCALES } },
  { "gemv_fast or of llm-awq", QCONV_ERROR_UNSUPPORTED, "{\"quant_method\": \"awq\", \"version\": \"gemv_fast\"}",
    { { "l.qweight", "I16", "[8,64]", 1024, 0 }, { "l.qzeros", "F16", "[8,32]", 512, 0 },
      { "l.scales", "F16", "[8,32]", 512, 0x24 } } },
  { "two layers are called \"l.weight\"", QCONV_ERROR_INPUT, NULL,
    { QWEIGHT, QZEROS, SCALES, G_IDX, { "l.weight", "F16", "[32,64]", 4096, 0x24 } } },
};
/* clang-format on */

static char *
write_members (const Member *members, guint n)
{
  g_autoptr (Builder) b = builder_new ();

  for (guint i = 0; i < n && members[i].name != NULL; i++)
    {
      g_autofree guint8 *bytes = g_malloc (members[i].n + 1);

      memset (bytes, members[i].fill, members[i].n);
      builder_add (b, members[i].name, members[i].dtype, members[i].shape, bytes, members[i].n);
    }
  return builder_write (b, "refused.safetensors");
}

static void
test_broken (gconstpointer data)
{
  const Case *c = &broken[GPOINTER_TO_UINT (data)];
  g_autofree char *path = write_members (c->members, G_N_ELEMENTS (c->members));
  QconvOpenOptions verify = { .for_verify = TRUE };
  g_autoptr (GError) error = NULL;
  g_autoptr (QconvModel) m = NULL, opened = NULL;
  g_autofree char *problems = NULL;

  gptq_write_config (c->json);
  m = qconv_model_open (path, NULL, &error);
  g_assert_null (m);
  g_assert_error (error, QCONV_ERROR, (gint) c->code);
  if (strstr (error->message, c->says) == NULL)
    g_error ("\"%s\" does not say \"%s\"", error->message, c->says);
  g_clear_error (&error);
  opened = qconv_model_open (path, &verify, &error);
  g_assert_no_error (error);
  problems = model_problems (opened);
  g_assert_cmpstr (problems, !=, "");
  gptq_write_config (NULL);
}

/* Tests scales that are no numbers: the reader says so when it is asked, and no target takes them. */
static void
test_scales (void)
{
  static const Member members[] = { QWEIGHT, QZEROS, { "l.scales", "F16", "[2,32]", 128, 0x7c }, G_IDX };
  g_autofree char *path = write_members (members, G_N_ELEMENTS (members)), *problems = NULL;
  g_autofree char *never = scratch_path ("never.safetensors");
  const QconvJob job = { .target = "f32-safetensors", .output = never };

  assert_job_refused (path, &job, QCONV_ERROR_NON_FINITE, "\"l\"");
  problems = problems_of (path);
  g_assert_nonnull (strstr (problems, "scale-value l"));
}

int
main (int argc, char **argv)
{
  int failed;

  g_test_init (&argc, &argv, NULL);
  scratch_begin ();
  for (guint i = 0; i < G_N_ELEMENTS (broken); i++)
    {
      g_autofree char *path = g_strdup_printf ("/gptq/refused/%u", i);

      g_test_add_data_func (path, GUINT_TO_POINTER (i), test_broken);
    }
  g_test_add_func ("/gptq/refused/scales", test_scales);
  failed = g_test_run ();
  scratch_end ();
  return failed;
}
