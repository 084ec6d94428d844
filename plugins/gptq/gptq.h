/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Shared by the files of this plugin, which reads GPTQ. */
#pragma once
#include "fields.h"
#include "qconv-plugin.h"
#include "qweight.h"

/**
 * GptqConfig: what the JSON beside the weights says.
 *
 * @json: the description, which may be empty
 * @overrides: (element-type GptqOverride): the member "dynamic"
 * @v2: the format has zero points of version 2
 * @planar: the format is gptq_p
 * @packed_zeros: the program that wrote the file turns version 2 into version 1 by arithmetic on whole words
 */
typedef struct {
  QuantConfig *json;
  GPtrArray *overrides;
  gboolean v2, planar, packed_zeros;
} GptqConfig;
/* Reads the JSON. Adds what is wrong with it, and what cannot be read because of it, to @troubles. */
GptqConfig *gptq_config_read (const QconvDirectory *d, GPtrArray *troubles);
void gptq_config_free (GptqConfig *c);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (GptqConfig, gptq_config_free)

/* What the description says of one layer. @bits, @group: 0: nothing; @group: -1: one group; @sym: -1: nothing */
typedef struct {
  gint64 bits, group;
  gint sym;
} GptqSaid;
/* Looks up what the description says of the layer @name. */
GptqSaid gptq_config_layer (const GptqConfig *c, const char *name);

/* How the user wants stored zero points to be read */
typedef enum { GPTQ_ASK_AUTO, GPTQ_ASK_V1, GPTQ_ASK_V1_PACKED, GPTQ_ASK_V2 } GptqAsk;

/**
 * GptqShape: a layer as its load functions need it.
 *
 * @rows, @cols: of the weight; @groups, @group: their number, and the columns of each
 * @indexed: g_idx says which group a column belongs to
 * @centred: all columns are one group, and all zero points are 2^(bits - 1): the scheme int8 holds such codes
 */
typedef struct {
  GptqPacking packing;
  guint64 rows, cols, groups, group;
  gboolean indexed, centred;
  GptqZeros zeros;
} GptqShape;

/* One layer, its shape and its problems. @troubles: (element-type QconvTrouble) */
typedef struct {
  const QweightLayer *layer;
  GptqShape shape;
  GPtrArray *troubles;
} GptqLook;
/* Examines @layer. Numbers are read as far as the shape and the meaning of zero points depend on them. */
void gptq_look (GptqLook *look, const QweightLayer *layer, const GptqConfig *config, GptqAsk ask);
void gptq_look_clear (GptqLook *look);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (GptqLook, gptq_look_clear)
/* Finds out how the zero points of @look are meant. */
void gptq_look_at_zeros (GptqLook *look, const GptqConfig *config, const GptqSaid *said, GptqAsk ask);
/* Reads group @group of the stored zero points, columns [first, first + n) of the weight's rows, which must start at a
   multiple of GPTQ_RUN, as they are stored. @codes: room for @n, rounded up to GPTQ_RUN */
gboolean gptq_read_stored_zeros (const QconvTensor *qzeros, const GptqShape *s, guint64 group, guint64 first, gsize n,
                                 guint8 *codes, GError **error);

/* Load functions. Their data are a GptqShape. */
gboolean gptq_load_codes (const QconvLoad *load, GError **error);
gboolean gptq_load_zeros (const QconvLoad *load, GError **error);
gboolean gptq_load_index (const QconvLoad *load, GError **error);

extern const QconvQuantizer gptq_quantizer;
extern const QconvReader gptq_reader;
