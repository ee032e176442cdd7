/* A growing text on the heap, always terminated. For start-up, configuration,
 * logs and tests; the request path builds in arenas.
 *
 * After a failed allocation the builder is "bad": later additions do nothing,
 * and strbuf_str() gives a NULL pointer. So only the end needs a check. */
#ifndef BASE_STRBUF_H
#define BASE_STRBUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include <weir/str.h>

struct strbuf {
    char *ptr;
    size_t len, room;
    bool bad;
};

#define STRBUF_INIT { NULL, 0, 0, false }

void strbuf_done(struct strbuf *sb);
void strbuf_clear(struct strbuf *sb); /* keeps the memory; no longer bad */
/* What is added must not lie in the builder itself. */
void strbuf_add(struct strbuf *sb, weir_str s);
void strbuf_add_c(struct strbuf *sb, const char *text);
void strbuf_add_char(struct strbuf *sb, char c);
WEIR_PRINTF(2, 3)
void strbuf_addf(struct strbuf *sb, const char *fmt, ...);
void strbuf_vaddf(struct strbuf *sb, const char *fmt, va_list args);
/* A JSON string with its quotes (RFC 8259, section 7); invalid UTF-8 becomes
 * U+FFFD. */
void strbuf_add_json(struct strbuf *sb, weir_str s);
/* Valid until the next change; "" when nothing was added. */
weir_str strbuf_str(const struct strbuf *sb);
/* Hand the text over: the caller frees it with base_free(). NULL when bad. The
 * builder is empty and usable again. */
char *strbuf_take(struct strbuf *sb);

#endif
