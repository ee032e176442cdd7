/* What a string with a format must look like. */
#ifndef TYPE_FORMAT_H
#define TYPE_FORMAT_H

#include <stdbool.h>

#include <weir/type.h>

bool format_fits(weir_text_format format, weir_str text);
/* "an email address", and one to copy. */
const char *format_name(weir_text_format format);
const char *format_example(weir_text_format format);

#endif
