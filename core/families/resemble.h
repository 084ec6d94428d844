/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finds the family of a file that lacks the very tensors by which its family is recognised. graph/identify.c asks for
   plans and for verify. */
#pragma once
#include "families/identity.h"

/* Returns the tensors that @names lack of the family to which nearly all of them belong, and sets @family to it. @id:
   the generic family, as which the file was identified. Returns an empty list and leaves @family alone if there is no
   such family, or if so many tensors are missing that the file is rather of another architecture.
   (transfer full) (element-type utf8) */
GPtrArray *qconv_identity_resembles (const Families *families, const Names *names, const Identity *id,
                                     const Family **family);
