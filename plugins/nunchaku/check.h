/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Checks a nunchaku file as its loaders would: metadata, modules and numbers. The reader calls it for verify, which
   also runs after a conversion; README.md lists all checks. */
#pragma once
#include "inventory.h"
#include "look.h"

/* ---- check-metadata.c ---- */

/* Warns about metadata that nunchaku needs: claim() reads files without them, because the tensors tell all. */
void nunchaku_warn_of_metadata (const QconvDirectory *d, const GPtrArray *looks, QconvClaims *claims);
/* Checks the values that loaders read, and compares them with the tensors. */
void nunchaku_check_metadata (const NunchakuFile *f, QconvProblems *problems);

/* ---- check-modules.c ---- */

/* Checks that every module of the model is there and of its kind, and that loaders know every tensor. */
void nunchaku_check_modules (const NunchakuFile *f, QconvProblems *problems);

/* ---- check-values.c ---- */

/* Returns whether all 16-bit numbers of @t are zeros of any sign. FALSE: they cannot be read. */
gboolean nunchaku_all_zero (const QconvTensor *t);
/* Checks the tensors that are in no layer of @looks, and biases. Core decodes all others. */
void nunchaku_check_numbers (const QconvDirectory *d, const GPtrArray *looks, QconvProblems *problems);
