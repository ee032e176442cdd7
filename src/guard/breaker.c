/* Circuit breakers, shared by all loops without a lock.
 *
 * The whole state is one word, changed by compare-and-swap only:
 *
 *     epoch (22 bits) | time in ms (40 bits) | state (2 bits)
 *
 * The time is when an OPEN breaker may be probed, or when a PROBING one's probe
 * is taken as failed; CLOSED has none. The epoch changes with every change of
 * the state, so that the end of a call that began in an earlier one is told and
 * ignored: a slow failure can't open a breaker that was closed since, and a
 * probe that was given up can't decide for its successor.
 *
 * States: CLOSED -> (failures in a row) OPEN -> (cooldown over) PROBING -> CLOSED
 * when the probe succeeds, OPEN when it fails, OPEN without a cooldown when it
 * says nothing. A probe that never ends is overtaken at its time, so no state
 * but CLOSED can last by itself. */
#include <stdatomic.h>

#include <weir/guard.h>

#include "base/alloc.h"

#define BREAKER_FAILURES 5
#define BREAKER_COOLDOWN_MS 5000
#define BREAKER_PROBE_MS 30000
#define BREAKER_NAME_BYTES 64

#define EPOCH_BITS 22
#define TIME_BITS 40
#define TIME_MAX ((UINT64_C(1) << TIME_BITS) - 1)

struct weir_breaker {
    _Atomic uint64_t word;
    atomic_uint failures; /* in a row */
    uint32_t max_failures, cooldown_ms, probe_ms;
    _Atomic uint64_t opened, refused, probes;
    char name[BREAKER_NAME_BYTES];
};

static weir_breaker_state state_of(uint64_t word)
{
    return (weir_breaker_state)(word & 3);
}

static int64_t time_of(uint64_t word)
{
    return (int64_t)(word >> 2 & TIME_MAX);
}

static uint64_t epoch_of(uint64_t word)
{
    return word >> (TIME_BITS + 2);
}

static int64_t now_ms(void)
{
    return weir_now().ns / 1000000;
}

/* The word of the next epoch. */
static uint64_t next_word(uint64_t word, weir_breaker_state state, int64_t at_ms)
{
    uint64_t epoch = (epoch_of(word) + 1) & ((UINT64_C(1) << EPOCH_BITS) - 1);

    return epoch << (TIME_BITS + 2) | ((uint64_t)at_ms & TIME_MAX) << 2 | (uint64_t)state;
}

/* True when this call made the change, and not another one before it. */
static bool change(weir_breaker *b, uint64_t *word, weir_breaker_state state, int64_t at_ms)
{
    uint64_t next = next_word(*word, state, at_ms);

    if (!atomic_compare_exchange_strong(&b->word, word, next))
        return false;
    *word = next;
    return true;
}

int weir_breaker_new_opt(weir_breaker **ret_breaker, const weir_breaker_opts *opts)
{
    weir_breaker *b = base_calloc(1, sizeof(*b));
    size_t len = opts->name ? strlen(opts->name) : 0;

    if (!b)
        return -ENOMEM;
    b->max_failures = opts->failures ? opts->failures : BREAKER_FAILURES;
    b->cooldown_ms = opts->cooldown_ms ? opts->cooldown_ms : BREAKER_COOLDOWN_MS;
    b->probe_ms = opts->probe_ms ? opts->probe_ms : BREAKER_PROBE_MS;
    if (len >= sizeof(b->name))
        len = sizeof(b->name) - 1;
    if (len > 0)
        memcpy(b->name, opts->name, len);
    *ret_breaker = b;
    return 0;
}

void weir_breaker_free(weir_breaker *b)
{
    base_free(b);
}

static int refuse(weir_breaker *b, int64_t left_ms)
{
    atomic_fetch_add_explicit(&b->refused, 1, memory_order_relaxed);
    return weir_fail(WEIR_EBREAKER,
                     "%s: the breaker is open after failures in a row, next try in %lld ms",
                     b->name, (long long)(left_ms > 0 ? left_ms : 0));
}

int weir_breaker_enter(weir_breaker *b, weir_ticket *ret_ticket)
{
    uint64_t word = atomic_load(&b->word);
    bool probe = false;

    while (state_of(word) != WEIR_BREAKER_CLOSED && !probe) {
        int64_t now = now_ms();

        if (now < time_of(word))
            return refuse(b, time_of(word) - now);
        probe = change(b, &word, WEIR_BREAKER_PROBING, now + b->probe_ms);
    }
    if (probe)
        atomic_fetch_add_explicit(&b->probes, 1, memory_order_relaxed);
    *ret_ticket = (weir_ticket){ .breaker_ = b, .epoch_ = epoch_of(word), .probe_ = probe };
    return 0;
}

/* What a result says about the service. */
enum verdict { SERVED, FAILED, SAYS_NOTHING };

static enum verdict verdict_of(int rc)
{
    if (rc >= 0)
        return SERVED;
    switch (weir_error_category(rc)) {
    case WEIR_CATEGORY_TIMEOUT:
    case WEIR_CATEGORY_PEER:
    case WEIR_CATEGORY_PROTOCOL:
    case WEIR_CATEGORY_OS: return FAILED;
    default: return SAYS_NOTHING;
    }
}

static void open_from(weir_breaker *b, uint64_t word)
{
    if (change(b, &word, WEIR_BREAKER_OPEN, now_ms() + b->cooldown_ms))
        atomic_fetch_add_explicit(&b->opened, 1, memory_order_relaxed);
}

static void leave_probe(weir_breaker *b, uint64_t word, enum verdict verdict)
{
    if (verdict == FAILED) {
        open_from(b, word);
    } else if (verdict == SERVED) {
        atomic_store(&b->failures, 0);
        change(b, &word, WEIR_BREAKER_CLOSED, 0);
    } else {
        change(b, &word, WEIR_BREAKER_OPEN, now_ms());
    }
}

static void leave_closed(weir_breaker *b, uint64_t word, enum verdict verdict)
{
    if (verdict == FAILED) {
        if (atomic_fetch_add(&b->failures, 1) + 1 >= b->max_failures)
            open_from(b, word);
    } else if (verdict == SERVED && atomic_load(&b->failures) != 0) {
        atomic_store(&b->failures, 0);
    }
}

void weir_breaker_leave(weir_ticket *ticket, int rc)
{
    weir_breaker *b = ticket->breaker_;
    uint64_t word;

    if (!b)
        return;
    ticket->breaker_ = NULL;
    word = atomic_load(&b->word);
    if (epoch_of(word) != ticket->epoch_)
        return;
    if (ticket->probe_)
        leave_probe(b, word, verdict_of(rc));
    else
        leave_closed(b, word, verdict_of(rc));
}

void weir_breaker_drop_(weir_ticket *ticket)
{
    weir_breaker_leave(ticket, -ECANCELED);
}

int weir_breaker_call(weir_breaker *b, weir_fn *fn, void *arg)
{
    WEIR_TICKET(ticket);
    int rc = weir_breaker_enter(b, &ticket);

    if (rc < 0)
        return rc;
    rc = fn(arg);
    weir_breaker_leave(&ticket, rc);
    return rc;
}

void weir_breaker_read(weir_breaker *b, weir_breaker_stats *ret_stats)
{
    uint64_t word = atomic_load(&b->word);
    int64_t left_ms = time_of(word) - now_ms();

    *ret_stats = (weir_breaker_stats){
        .state = state_of(word),
        .failures = atomic_load(&b->failures),
        .retry_ms = state_of(word) == WEIR_BREAKER_OPEN && left_ms > 0 ? left_ms : 0,
        .opened = atomic_load(&b->opened),
        .refused = atomic_load(&b->refused),
        .probes = atomic_load(&b->probes),
    };
}
