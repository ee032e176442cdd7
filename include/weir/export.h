/* How weir's public functions are declared.
 *
 * Every function in these headers is visible in the library, has C linkage, and
 * is annotated where the compiler can check its use. Each is documented with
 * the same fields:
 *
 *   Checkpoint   whether it may park the task and looks for a cancel ("always",
 *                or "never"); a checkpoint that finds its scope cancelled or its
 *                deadline passed does nothing and returns the code
 *   Returns      the value, and every error it can give
 *   Ownership    who owns what goes in and what comes out, and for how long
 *   Thread       where it may be called
 *   Since        the first version that has it */
#ifndef WEIR_EXPORT_H
#define WEIR_EXPORT_H

#include <stdint.h>

#ifdef __cplusplus
#define WEIR_BEGIN extern "C" {
#define WEIR_END }
#else
#define WEIR_BEGIN
#define WEIR_END
#endif

#define WEIR_API __attribute__((visibility("default")))
#define WEIR_MUST_USE __attribute__((warn_unused_result))
#define WEIR_NONNULL(...) __attribute__((nonnull(__VA_ARGS__)))
#define WEIR_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

/* For an option that is a number, and whose 0 means its default: it is not to be done at all. */
#define WEIR_OFF UINT32_MAX

/* A must-use result that is dropped on purpose, and the reason. */
#define WEIR_IGNORE(expr, why)                                                 \
    do {                                                                       \
        _Static_assert(sizeof(why) > 1, "say why the result is dropped");      \
        __typeof__(expr) weir_ignored_ = (expr);                               \
        (void)weir_ignored_;                                                   \
    } while (0)

#define WEIR_TEXT_(x) #x
#define WEIR_TEXT(x) WEIR_TEXT_(x)

/* The place in the source where it stands, as "file.c:12". */
#define WEIR_HERE __FILE__ ":" WEIR_TEXT(__LINE__)

#endif
