/* One description of a C struct, used wherever the struct meets text: YAML
 * configuration, JSON that comes in, JSON that goes out.
 *
 *     struct user {
 *         int64_t id;
 *         weir_str name, email;
 *         int32_t age;
 *     };
 *
 *     WEIR_TYPE(user_type, struct user,
 *         WEIR_I64(id),
 *         WEIR_STR(name, WEIR_LENGTH(1, 80)),
 *         WEIR_STR(email, .format = WEIR_EMAIL),
 *         WEIR_I32(age, WEIR_RANGE(0, 150), .optional = true));
 *
 * A description is constant data: WEIR_TYPE defines one const object, which may
 * be static or declared in a header as `extern const weir_type user_type;`. The
 * compiler checks that each field macro fits its member.
 *
 * A field is required unless it is .optional or has a default. An optional field
 * that is absent, or null, is its default, else zero: a number 0, a string, array
 * or map without a pointer and with a length of 0. A WEIR_OBJECT that is absent
 * gets the defaults of its own fields (and is taken for absent when it is encoded,
 * if it lacks a text that it must have; WEIR_OBJECT_PTR leaves no doubt).
 *
 * Input that does not fit is not refused at its first fault: all faults are
 * collected (up to WEIR_FAULTS_MAX), each with its place, a sentence, and a hint
 * that says what to write instead. */
#ifndef WEIR_TYPE_H
#define WEIR_TYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/export.h>
#include <weir/str.h>

WEIR_BEGIN

#define WEIR_FIELDS_MAX 128    /* in one type */
#define WEIR_TYPE_DEPTH_MAX 64 /* arrays and objects inside each other */
#define WEIR_FAULTS_MAX 64     /* kept of one document; more are counted */

typedef enum weir_kind {
    WEIR_KIND_BOOL,
    WEIR_KIND_I32,
    WEIR_KIND_I64,
    WEIR_KIND_U16,
    WEIR_KIND_U32,
    WEIR_KIND_U64,
    WEIR_KIND_F64,
    WEIR_KIND_STR,
    WEIR_KIND_ENUM,
    WEIR_KIND_DURATION_MS,
    WEIR_KIND_BYTES,
    WEIR_KIND_OBJECT,
    WEIR_KIND_OBJECT_PTR,
    WEIR_KIND_ARRAY,
    WEIR_KIND_MAP,
    WEIR_KIND_JSON,
    WEIR_KIND_CHECK, /* not a field: a rule over several */
    WEIR_KIND_END    /* not a field: behind the last one */
} weir_kind;

/* What a string must look like. */
typedef enum weir_text_format {
    WEIR_ANY_TEXT,
    WEIR_EMAIL,     /* one @, a local part and a domain of RFC 5321's sizes */
    WEIR_URL,       /* absolute, http or https, with a host and no white space */
    WEIR_HOST_PORT, /* "127.0.0.1:8080", "[::1]:8080", "localhost:8080", ":8080",
                       "unix:/run/x.sock" */
    WEIR_UUID,      /* RFC 9562's text form */
    WEIR_DATE_TIME  /* RFC 3339, with a zone */
} weir_text_format;

typedef struct weir_enum_name {
    const char *name;
    int value;
} weir_enum_name;

/* The names of an enum's values; made by WEIR_NAMES. */
typedef struct weir_enum {
    const weir_enum_name *names;
    size_t count;
} weir_enum;

typedef struct weir_type weir_type;
typedef struct weir_type_field weir_type_field;
typedef struct weir_checker weir_checker;

/* A rule over a whole struct: looks at the decoded value and reports with
 * weir_check_fault(). It runs only on values whose fields are all in order. */
typedef void weir_check_fn(const void *value, weir_checker *checker);

/* One field. The upper members are set by the field macros, the lower ones are
 * options that may follow in the macro's arguments. */
struct weir_type_field {
    const char *name; /* the member's name; NULL in an item */
    weir_kind kind;
    size_t offset;
    size_t count_offset;     /* array, map: of the count member */
    size_t size;             /* object: of the struct; array, map: of one element */
    size_t value_offset;     /* map: of the value in an entry */
    const weir_type *type;   /* object */
    const weir_enum *names;  /* enum */
    const weir_type_field *item;  /* array, map: what each element is */
    weir_check_fn *check;    /* a rule */

    const char *key;  /* its name in documents, when it is not the member's */
    const char *help; /* what to write, for hints: "an address such as 127.0.0.1:80" */
    bool optional;
    bool read_only;  /* the server's to set: not required, and left out of input bodies */
    bool omit_empty; /* not encoded when it is zero or empty */
    bool secret;     /* its value never appears in a fault's text */
    weir_text_format format;
    bool has_range, has_length; /* set by WEIR_RANGE and WEIR_LENGTH */
    long double min, max;
    size_t min_length, max_length;
    int64_t default_i64; /* integers, booleans, enums, durations, bytes */
    double default_f64;
    const char *default_text; /* strings, JSON */
};

struct weir_type {
    const char *name; /* the C type's, for messages to the programmer */
    size_t size;
    const weir_type_field *fields; /* and rules, up to one of kind WEIR_KIND_END */
};

/* ---- faults -------------------------------------------------------------- */

/* One thing that does not fit. */
typedef struct weir_fault {
    weir_str path;         /* JSON pointer (RFC 6901) to it; "" is the whole document */
    weir_str message;      /* "`age` must be between 0 and 150, not 200" */
    weir_str hint;         /* "did you mean `timeout`?"; may be empty */
    uint32_t line, column; /* from 1; 0 where they are not known (JSON values) */
} weir_fault;

typedef struct weir_faults {
    const weir_fault *list; /* in the document's order, as far as it goes */
    size_t count;
    size_t left_out; /* found beyond WEIR_FAULTS_MAX */
} weir_faults;

/* Write a fault as "name:line:column: message (hint)"; where there is no line, as
 * "name: pointer: message (hint)". The text is always terminated.
 *
 * Checkpoint: never.
 * Returns:    the length it would have had (as snprintf).
 * Ownership:  fills the caller's text.
 * Thread:     any.
 * Since:      0.1 */
WEIR_API WEIR_NONNULL(4) size_t weir_fault_print(char *text, size_t size, weir_str name,
                                                 const weir_fault *fault);

/* Report, from a rule, a fault at a part of the struct that is checked.
 *
 *     weir_check_fault(c, "min", "make it at most `max`", "`min` is above `max`");
 *
 * where is the JSON pointer below the struct, without its first slash; "" is the
 * struct itself. hint may be NULL.
 *
 * Checkpoint: never.
 * Returns:    nothing; a fault beyond the bound is counted.
 * Ownership:  the texts are copied.
 * Thread:     the one that decodes.
 * Since:      0.1 */
WEIR_API WEIR_PRINTF(4, 5) WEIR_NONNULL(1, 2, 4)
void weir_check_fault(weir_checker *checker, const char *where, const char *hint, const char *fmt,
                      ...);

/* ---- documents ----------------------------------------------------------- */

/* A decoded document: owns all that was decoded from it, its faults, and for
 * YAML the place of each value. For configuration, and wherever no task runs. */
typedef struct weir_document weir_document;

typedef struct weir_document_opts {
    size_t size;      /* set by the macro */
    size_t max_bytes; /* of text; unset: 4 MiB */
} weir_document_opts;

/* A document to decode into; name is the file's, for faults. Options may follow:
 * weir_document_new("gateway.yaml", .max_bytes = 65536). */
#define weir_document_new(name, ...)                                           \
    weir_document_new_opt(                                                     \
        name, &(weir_document_opts){ .size = sizeof(weir_document_opts), __VA_ARGS__ })

/* The function under weir_document_new(); opts may be NULL.
 *
 * Checkpoint: never.
 * Returns:    a document, or NULL without memory.
 * Ownership:  the caller's, until weir_document_free(); name is copied.
 * Thread:     any; a document belongs to one thread at a time.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1)
weir_document *weir_document_new_opt(const char *name, const weir_document_opts *opts);

/* Free a document and all that was decoded from it; NULL is fine.
 *
 * Checkpoint: never.
 * Returns:    nothing.
 * Ownership:  takes doc; strings, arrays and nested structs decoded from it are gone.
 * Thread:     the document's.
 * Since:      0.1 */
WEIR_API void weir_document_free(weir_document *doc);

/* Decode YAML text by a type: weir_document_yaml(doc, text, &type, &value). */
#define weir_document_yaml(doc, text, type, ret_value)                         \
    weir_document_yaml_sized(doc, text, type, ret_value, sizeof *(ret_value))

/* The function under weir_document_yaml(). YAML 1.2's core schema, made strict:
 * one document, no anchors, aliases, tags or merge keys; a key twice, a key that
 * is not known, and a value of another type are faults.
 *
 * Checkpoint: never.
 * Returns:    0, or
 *   WEIR_ECONFIG    the document has faults: weir_document_faults()
 *   WEIR_EWRONGUSE  size is not the type's, or the document was used before
 *   -ENOMEM         no memory, or no byte budget
 * Ownership:  what *ret_value points to is doc's; text is not kept.
 * Thread:     the document's.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1, 3, 4)
int weir_document_yaml_sized(weir_document *doc, weir_str text, const weir_type *type,
                             void *ret_value, size_t size);

/* Decode JSON text by a type: weir_document_json(doc, text, &type, &value). */
#define weir_document_json(doc, text, type, ret_value)                         \
    weir_document_json_sized(doc, text, type, ret_value, sizeof *(ret_value))

/* The function under weir_document_json().
 *
 * Checkpoint: never.
 * Returns:    0, or
 *   WEIR_EJSON      not JSON: the one fault has line and column
 *   WEIR_EINPUT     JSON that does not fit the type: weir_document_faults()
 *   WEIR_EWRONGUSE  size is not the type's, or the document was used before
 *   -ENOMEM         no memory, or no byte budget
 * Ownership:  what *ret_value points to is doc's; text is not kept.
 * Thread:     the document's.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1, 3, 4)
int weir_document_json_sized(weir_document *doc, weir_str text, const weir_type *type,
                             void *ret_value, size_t size);

/* Add a fault that only the program can see (a service that is not there) at a
 * place of the document; path is its JSON pointer. The place of a value that is
 * not in the document is that of the nearest one around it. hint may be NULL.
 *
 *     weir_document_fault(doc, "/routes/0/proxy/service", NULL,
 *                         "there is no service `%.*s`", WEIR_ARG(name));
 *
 * Checkpoint: never.
 * Returns:    nothing; a fault beyond the bound is counted.
 * Ownership:  the texts are copied.
 * Thread:     the document's.
 * Since:      0.1 */
WEIR_API WEIR_PRINTF(4, 5) WEIR_NONNULL(1, 2, 4)
void weir_document_fault(weir_document *doc, const char *path, const char *hint, const char *fmt,
                         ...);

/* The faults found so far.
 *
 * Checkpoint: never.
 * Returns:    the faults; count is 0 when there are none.
 * Ownership:  doc's; valid until the next fault is added.
 * Thread:     the document's.
 * Since:      0.1 */
WEIR_API WEIR_NONNULL(1) weir_faults weir_document_faults(const weir_document *doc);

/* Where the value at a JSON pointer stands in a YAML document, or the nearest
 * value around it that is there.
 *
 * Checkpoint: never.
 * Returns:    true when the value itself is there.
 * Ownership:  sets *ret_line and *ret_column, to 0 where nothing is known.
 * Thread:     the document's.
 * Since:      0.1 */
WEIR_API WEIR_NONNULL(1, 2, 3, 4)
bool weir_document_place(const weir_document *doc, const char *path, uint32_t *ret_line,
                         uint32_t *ret_column);

/* All faults, a line each, as weir_fault_print() writes them, and how many more
 * there were. The text is always terminated.
 *
 * Checkpoint: never.
 * Returns:    the length it would have had (as snprintf).
 * Ownership:  fills the caller's text.
 * Thread:     the document's.
 * Since:      0.1 */
WEIR_API WEIR_NONNULL(1) size_t weir_document_print(const weir_document *doc, char *text,
                                                    size_t size);

WEIR_END

#ifndef __cplusplus
#include <weir/type_macros.h>
#endif

#endif
