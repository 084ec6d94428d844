/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A plugin of the program's own that carries any scheme: its files hold the components of every quantizer as they are,
   so that a quantizer can be tested without a writer. Its probes call hooks without a place for an error. */
#pragma once
#include "plugin-check/check.h"

/* Ids of all features of the program's own plugin are this, or begin with it */
#define CARRIER "plugincheck"
#define PROBE CARRIER "_"
#define RANDOM PROBE "random_"

/* Offers the carrier with a target "SCHEME-plugincheck" for each encoder of @plugin, "plugincheck_random_SCHEME" for
   each scheme that it only decodes, and a probe "plugincheck_ID" of each container, reader and quantizer. Must be
   called before the registry is asked for anything */
void check_carrier_add (const QconvPlugin *plugin);

/* The container of the carrier */
extern const QconvContainer check_carrier_container;
/* Returns: (transfer full): the bytes before the tensors of a file of the carrier; sets the offsets of the @n @tensors.
   @planned: (nullable): holds the metadata */
GByteArray *check_carrier_header (const QconvDirectory *planned, QconvTensor **tensors, guint n);

/* Fills in a probe of a feature of the checked plugin */
void check_probe_container (QconvContainer *probe, const QconvContainer *real);
void check_probe_reader (QconvReader *probe, const QconvReader *real);
void check_probe_quantizer (QconvQuantizer *probe, const QconvQuantizer *real);
/* Fills in a quantizer that encodes anything into components of random numbers, for a @real one that only decodes */
void check_random_quantizer (QconvQuantizer *random, const QconvQuantizer *real);

/* Returns: (transfer none): the id of the feature that the probe or random quantizer @id stands for; else @id */
const char *check_scheme_of (const char *id);
/* Sets the scheme of a layer that the plan made for a probe, because a quantizer may expect its own. Returns the scheme
   before */
const char *check_replace_scheme (const QconvLayer *layer, const char *scheme);
/* Returns the bytes of one step along axis 0 of @c; of all of it if it has no axes */
guint64 check_bytes_of_step (const QconvComponent *c);
