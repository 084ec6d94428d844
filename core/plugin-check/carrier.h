/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A plugin of the program's own that carries any scheme: its files hold the components of every quantizer as they are,
   so that a quantizer can be tested without a writer. Its probes call hooks without a place for an error. */
#pragma once
#include "plugin-check/check.h"

/* Ids of all features of the program's own plugin are this, or begin with it */
#define CARRIER "plugincheck"
#define PROBE CARRIER "_"

/* Offers the carrier with a target "SCHEME-plugincheck" for each encoder of @plugin, and a probe "plugincheck_ID" of
   each container, reader and quantizer. Must be called before the registry is asked for anything */
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
