/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The accessors of buffers that the plugin API declares. Plugins and kernels call them; core reads the struct. */
#include "base/buffer.h"

gsize
qconv_buffer_size (const QconvBuffer *b)
{
  return b->size;
}

QconvDType
qconv_buffer_dtype (const QconvBuffer *b)
{
  return b->dtype;
}

void *
qconv_buffer_data (QconvBuffer *b)
{
  return b->data;
}

gpointer
qconv_buffer_address (const QconvBuffer *b)
{
  return b->data != NULL ? b->data : b->address;
}
