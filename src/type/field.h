/* What all readers of a description need of a field. */
#ifndef TYPE_FIELD_H
#define TYPE_FIELD_H

#include <weir/str.h>
#include <weir/type.h>

/* Its name in documents. */
static inline weir_str field_key(const weir_type_field *field)
{
    return weir_str_c(field->key ? field->key : field->name);
}

static inline void *field_at(const weir_type_field *field, void *object)
{
    return (char *)object + field->offset;
}

static inline const void *field_in(const weir_type_field *field, const void *object)
{
    return (const char *)object + field->offset;
}

#endif
