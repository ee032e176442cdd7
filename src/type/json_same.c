/* Comparing JSON by its meaning: members in any order, numbers by their value. The
 * wanted text is written by hand, so it may be written with less ink: names without
 * quotes, texts in single ones. It is turned into plain JSON first. */
#include "type/json_same.h"

#include <ctype.h>
#include <errno.h>
#include <yyjson.h>

#include <weir/error.h>

#include "base/strbuf.h"

static bool in_name(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '$' || c == '-';
}

/* A text in either kind of quotes; returns what is behind it. */
static const char *copy_text(struct strbuf *to, const char *at)
{
    char quote = *at++;

    strbuf_add_char(to, '"');
    for (; *at && *at != quote; at++) {
        if (*at == '\\' && at[1] == '\'') {
            at++;
        } else if (*at == '\\' && at[1]) {
            strbuf_add_char(to, *at++);
        } else if (*at == '"') {
            strbuf_add_char(to, '\\');
        }
        strbuf_add_char(to, *at);
    }
    strbuf_add_char(to, '"');
    return *at ? at + 1 : at;
}

/* A word: a name when a colon follows, else true, false, null or a number. */
static const char *copy_word(struct strbuf *to, const char *at)
{
    const char *end = at, *behind;
    bool is_name;

    while (in_name(*end) || (*end == '.' && end > at) || (*end == '+' && end > at))
        end++;
    behind = end;
    while (isspace((unsigned char)*behind))
        behind++;
    is_name = *behind == ':';
    if (is_name)
        strbuf_add_char(to, '"');
    strbuf_add(to, weir_str_from(at, (size_t)(end - at)));
    if (is_name)
        strbuf_add_char(to, '"');
    return end;
}

static void make_plain(struct strbuf *to, const char *at)
{
    while (*at) {
        if (*at == '"' || *at == '\'')
            at = copy_text(to, at);
        else if (in_name(*at))
            at = copy_word(to, at);
        else
            strbuf_add_char(to, *at++);
    }
}

int json_same(weir_str got, const char *wanted)
{
    struct strbuf plain = STRBUF_INIT;
    yyjson_doc *one, *other;
    int rc;

    make_plain(&plain, wanted);
    one = yyjson_read(got.ptr ? got.ptr : "", got.len, 0);
    other = plain.bad ? NULL : yyjson_read(plain.ptr ? plain.ptr : "", plain.len, 0);
    if (!other)
        rc = weir_fail(WEIR_ECONFIG, "what is wanted is no JSON: %s", wanted);
    else if (!one)
        rc = weir_fail(-EINVAL, "it is no JSON");
    else
        rc = yyjson_equals(yyjson_doc_get_root(one), yyjson_doc_get_root(other));
    yyjson_doc_free(one);
    yyjson_doc_free(other);
    strbuf_done(&plain);
    return rc;
}
