/* The error chain; see chain.h and weir/error.h.
 *
 * A chain is a stack of links, the innermost at the bottom, over a stack of text.
 * What does not fit is made room for from the top, so the first link and the
 * newest always stand, and the newest knows how many are missing before it.
 *
 * Chains are kept for reuse by each thread, a few of them, so that a failure on
 * the request path does not reach the heap. A chain may be freed on another
 * thread than it was made on. Without memory a failure goes on without a chain:
 * the code is what counts.
 *
 * Invariants: 1 <= count <= CHAIN_LINKS once it is in a slot; each link's text is
 * at most CHAIN_LINK_BYTES; the links' texts lie in order and end at used;
 * dropped is the sum of missing. */
#include "base/chain.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <weir/error.h>

#include "base/alloc.h"
#include "base/poison.h"

#define CHAIN_FREE_MAX 16

union spare_chain {
    union spare_chain *next;
    struct chain chain;
};

_Thread_local struct chain **error_slot;

static _Thread_local struct chain_thread {
    struct chain *own;        /* the chain while error_slot is NULL */
    union spare_chain *spare; /* poisoned while they lie here */
    unsigned spare_count;
    bool will_end; /* chain_thread_end() is registered */
} thread;

static pthread_once_t end_once = PTHREAD_ONCE_INIT;
static pthread_key_t end_key;
static bool end_key_made;

static void chain_thread_end(void *unused)
{
    (void)unused;
    chain_thread_done();
}

static void end_key_make(void)
{
    end_key_made = pthread_key_create(&end_key, chain_thread_end) == 0;
}

/* Without a key (there are only so many) the thread keeps nothing for reuse. */
static bool thread_keeps(void)
{
    if (!thread.will_end) {
        pthread_once(&end_once, end_key_make);
        thread.will_end = end_key_made && pthread_setspecific(end_key, &thread) == 0;
    }
    return thread.will_end;
}

static struct chain *chain_new(void)
{
    union spare_chain *spare = thread.spare;

    if (spare) {
        unpoison_memory(spare, sizeof *spare);
        thread.spare = spare->next;
        thread.spare_count--;
    } else {
        spare = base_malloc(sizeof *spare);
        if (!spare)
            return NULL;
    }
    spare->chain.count = spare->chain.dropped = spare->chain.used = 0;
    spare->chain.unjoined = NULL;
    return &spare->chain;
}

void chain_free(struct chain *chain)
{
    union spare_chain *spare = (union spare_chain *)chain;

    if (!chain)
        return;
    if (thread.spare_count >= CHAIN_FREE_MAX || !thread_keeps()) {
        base_free(spare);
        return;
    }
    spare->next = thread.spare;
    thread.spare = spare;
    thread.spare_count++;
    poison_memory(spare, sizeof *spare);
}

void chain_thread_done(void)
{
    base_free(thread.own);
    thread.own = NULL;
    while (thread.spare) {
        union spare_chain *spare = thread.spare;

        unpoison_memory(spare, sizeof *spare);
        thread.spare = spare->next;
        base_free(spare);
    }
    thread.spare_count = 0;
    /* A later destructor that fails registers anew and is cleaned up after. */
    thread.will_end = false;
}

static struct chain **slot_now(void)
{
    return error_slot ? error_slot : &thread.own;
}

const struct chain *chain_current(void)
{
    return *slot_now();
}

void chain_set(struct chain *chain)
{
    struct chain **slot = slot_now();

    if (*slot == chain)
        return;
    if (slot == &thread.own)
        thread_keeps();
    chain_free(*slot);
    *slot = chain;
}

struct chain *chain_take(void)
{
    struct chain **slot = slot_now(), *chain = *slot;

    *slot = NULL;
    return chain;
}

weir_str chain_text(const struct chain *chain, unsigned link)
{
    if (!chain || link >= chain->count)
        return weir_str_from(NULL, 0);
    return weir_str_from(chain->text + chain->links[link].at, chain->links[link].len);
}

/* Cut a text that was too long where no UTF-8 sequence is torn apart, and show it. */
static size_t cut_text(char *text)
{
    size_t len = CHAIN_LINK_BYTES - 3;

    while (len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80)
        len--;
    memcpy(text + len, "...", 3);
    return len + 3;
}

static void chain_push(struct chain *chain, const char *site, int code, weir_str text)
{
    struct chain_link *link;
    uint16_t missing = 0;

    while (chain->count > 1 &&
           (chain->count == CHAIN_LINKS || chain->used + text.len > CHAIN_TEXT_BYTES)) {
        link = &chain->links[--chain->count];
        chain->used = link->at;
        chain->dropped++;
        missing += link->missing + 1;
    }
    link = &chain->links[chain->count++];
    *link = (struct chain_link){
        .site = site,
        .code = code,
        .at = chain->used,
        .len = (uint16_t)text.len,
        .missing = missing,
    };
    memcpy(chain->text + chain->used, text.ptr, text.len);
    chain->used += (uint16_t)text.len;
}

/* Where nobody has said what went wrong, what the code means says it; unless the text does. */
static int add_meaning(char *text, int len, int code)
{
    const char *meaning = weir_error_text(code);

    if (strstr(text, meaning))
        return len;
    return len + snprintf(text + len, CHAIN_LINK_BYTES + 1 - (size_t)len, ": %s", meaning);
}

/* The text is formatted aside: its arguments may lie in the chain it replaces. */
static void chain_add(bool start, const char *site, int code, const char *fmt, va_list args)
{
    struct chain **slot = slot_now();
    struct chain *chain = *slot;
    char text[CHAIN_LINK_BYTES + 1];
    int saved = errno, len;
    bool stale = chain && chain->links[chain->count - 1].code != code;

    len = vsnprintf(text, sizeof text, fmt, args);
    if (len < 0)
        len = 0;
    if (!start && (!chain || stale) && len < CHAIN_LINK_BYTES)
        len = add_meaning(text, len, code);
    if (len > CHAIN_LINK_BYTES)
        len = (int)cut_text(text);
    if (!chain) {
        if (slot == &thread.own)
            thread_keeps();
        chain = *slot = chain_new();
    } else if (start || stale) {
        chain->count = chain->dropped = chain->used = 0;
        chain->unjoined = NULL;
    }
    if (chain)
        chain_push(chain, site, code, weir_str_from(text, (size_t)len));
    errno = saved;
}

int weir_fail_at(const char *site, int code, const char *fmt, ...)
{
    va_list args;

    if (code >= 0)
        return code;
    va_start(args, fmt);
    chain_add(true, site, code, fmt, args);
    va_end(args);
    return code;
}

int weir_wrap_at(const char *site, int code, const char *fmt, ...)
{
    va_list args;

    if (code >= 0)
        return code;
    va_start(args, fmt);
    chain_add(false, site, code, fmt, args);
    va_end(args);
    return code;
}

void weir_recover(void)
{
    struct chain **slot = slot_now();

    chain_free(*slot);
    *slot = NULL;
}

/* Append what fits, and count what does not. */
static void print_piece(weir_str piece, char *text, size_t size, size_t *len)
{
    if (piece.len && *len < size) {
        size_t fits = size - *len < piece.len ? size - *len : piece.len;

        memcpy(text + *len, piece.ptr, fits);
    }
    *len += piece.len;
}

size_t chain_print(const struct chain *chain, char *text, size_t size)
{
    size_t room = size ? size - 1 : 0, len = 0;

    for (unsigned i = chain ? chain->count : 0; i-- > 0;) {
        char gap[32];
        int gap_len = 0;

        if (chain->links[i].missing)
            gap_len = snprintf(gap, sizeof gap, "(%u left out): ", chain->links[i].missing);
        print_piece(chain_text(chain, i), text, room, &len);
        if (i > 0)
            print_piece(WEIR_S(": "), text, room, &len);
        print_piece(weir_str_from(gap, (size_t)gap_len), text, room, &len);
    }
    if (size)
        text[len < room ? len : room] = '\0';
    return len;
}

size_t chain_print_links(const struct chain *chain, char *text, size_t size)
{
    size_t room = size ? size - 1 : 0, len = 0;

    for (unsigned i = chain ? chain->count : 0; i-- > 0;) {
        const struct chain_link *link = &chain->links[i];
        char gap[32];

        if (len)
            print_piece(WEIR_S("\n"), text, room, &len);
        print_piece(weir_str_c(link->site), text, room, &len);
        print_piece(WEIR_S(": "), text, room, &len);
        print_piece(chain_text(chain, i), text, room, &len);
        if (link->missing) {
            snprintf(gap, sizeof gap, "\n(%u left out)", link->missing);
            print_piece(weir_str_c(gap), text, room, &len);
        }
    }
    if (size)
        text[len < room ? len : room] = '\0';
    return len;
}

size_t weir_error_print(char *text, size_t size)
{
    return chain_print(chain_current(), text, size);
}
