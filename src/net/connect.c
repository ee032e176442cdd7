/* Connections to names: Happy Eyeballs, version 2 (RFC 8305).
 *
 * IPv6 and IPv4 are looked up at once. Attempts begin as soon as there is an IPv6
 * address, or an IPv4 one and 50 ms have passed in which IPv6 said nothing (section
 * 3); they go to both families in turn, the one of the best address first (section 4,
 * RFC 6724), one after the other with 250 ms between, or at once when the last one has
 * failed (section 5). Addresses that come later join in. The first that is connected
 * wins; the others are cancelled, awaited and closed.
 *
 * States of an attempt: FREE -> PENDING -> FREE, or WON. Invariant: the race ends
 * only when none is pending, for operations point into it. */
#include "net/connect.h"

#include "base/alloc.h"
#include "net/dns.h"
#include "net/tcp.h"

#define RACE_DELAY_NS 250000000 /* RFC 8305, section 8 */
#define RACE_ATTEMPTS 8         /* at once */

struct race;

struct attempt {
    struct race *race;
    struct io_file file;
    struct io_op op;
    struct addr addr;
    bool pending;
};

struct race {
    struct dns_name *name;
    struct dns_watch watch;
    struct timer timer;
    struct wait *waiter;
    uint16_t port;
    uint32_t tried[DNS_FAMILIES]; /* how many of each half's addresses */
    int next_family;
    uint32_t pending;
    int64_t next_ns;              /* when the next attempt may begin */
    int rc;                       /* the first failure that the kernel told */
    struct attempt *winner;
    struct attempt attempts[RACE_ATTEMPTS];
};

static void race_wake(struct race *race)
{
    struct wait *wait = race->waiter;

    race->waiter = NULL;
    if (wait)
        wait_wake(wait, 0);
}

static void race_changed(struct dns_watch *watch)
{
    race_wake(container_of(watch, struct race, watch));
}

static void race_timer(struct timer *timer)
{
    race_wake(container_of(timer, struct race, timer));
}

/* ---- attempts ---------------------------------------------------------------------- */

static void attempt_close(struct attempt *a)
{
    io_detach(loop_self(), &a->file, false);
}

static void attempt_ended(struct attempt *a)
{
    struct race *race = a->race;
    int rc = a->op.res;

    if (rc == 0 && tcp_is_own_peer(&a->file))
        rc = -ECONNREFUSED;
    if (rc == 0 && !race->winner && !a->op.cancelled) {
        race->winner = a;
        return;
    }
    attempt_close(a);
    if (rc < 0 && race->rc == 0 && !a->op.cancelled)
        race->rc = rc == -ETIMEDOUT ? WEIR_EPEERTIMEOUT : rc;
    race->next_ns = 0; /* the next one need not wait */
}

static void attempt_done(struct io_op *op)
{
    struct attempt *a = container_of(op, struct attempt, op);

    a->pending = false;
    a->race->pending--;
    attempt_ended(a);
    race_wake(a->race);
}

static int attempt_open(struct attempt *a)
{
    struct loop *loop = loop_self();
    int fd = loop_io(loop)->socket(loop, a->addr.storage.ss_family), rc;

    if (fd < 0)
        return fd;
    rc = io_attach(loop, &a->file, fd, false);
    if (rc < 0)
        tcp_close_fd(fd);
    return rc;
}

static void attempt_begin(struct race *race, struct attempt *a)
{
    int rc;

    a->race = race;
    a->file.fd = -1;
    a->op = (struct io_op){ .file = &a->file,
                            .kind = IO_CONNECT,
                            .done = attempt_done,
                            .connect = { addr_sockaddr(&a->addr), a->addr.len } };
    race->next_ns = loop_now_ns(loop_self()) + RACE_DELAY_NS;
    rc = attempt_open(a);
    if (rc < 0) {
        race->rc = race->rc ? race->rc : rc;
        race->next_ns = 0;
    } else if (io_submit(loop_self(), &a->op)) {
        attempt_ended(a);
    } else {
        a->pending = true;
        race->pending++;
    }
}

/* ---- the race ------------------------------------------------------------------------ */

static bool race_has_more(const struct race *race, int family)
{
    const struct dns_half *half = &race->name->half[family];

    return !dns_half_pending(half) && race->tried[family] < half->count;
}

static struct attempt *free_attempt(struct race *race)
{
    for (int i = 0; i < RACE_ATTEMPTS; i++)
        if (!race->attempts[i].pending)
            return &race->attempts[i];
    return NULL;
}

/* Begin the next attempt if it is time; false: there is none to begin now. */
static bool race_begin_next(struct race *race)
{
    struct attempt *a = free_attempt(race);
    int64_t now_ns = loop_now_ns(loop_self());
    bool first = race->tried[DNS_V6] + race->tried[DNS_V4] == 0;
    int family = first ? dns_name_first(race->name) : race->next_family;

    if (!a || (race->pending > 0 && now_ns < race->next_ns))
        return false;
    if (first && now_ns < dns_name_ready_ns(race->name))
        return false;
    if (!race_has_more(race, family))
        family = !family;
    if (!race_has_more(race, family))
        return false;
    dns_half_addr(&race->name->half[family], family, race->tried[family]++, race->port, &a->addr);
    race->next_family = !family;
    attempt_begin(race, a);
    return true;
}

static bool race_is_lost(const struct race *race)
{
    return race->pending == 0 && !dns_half_pending(&race->name->half[DNS_V6]) &&
           !dns_half_pending(&race->name->half[DNS_V4]) && !race_has_more(race, DNS_V6) &&
           !race_has_more(race, DNS_V4);
}

/* When time alone makes a difference. */
static int64_t race_until_ns(const struct race *race)
{
    bool more = race_has_more(race, DNS_V6) || race_has_more(race, DNS_V4);

    if (race->tried[DNS_V6] + race->tried[DNS_V4] == 0)
        return dns_name_ready_ns(race->name);
    return more ? race->next_ns : WEIR_NEVER_NS;
}

struct race_wait {
    struct wait wait;
    struct race *race;
};

static void race_abandon(struct wait *wait, int code)
{
    container_of(wait, struct race_wait, wait)->race->waiter = NULL;
    wait_wake(wait, code);
}

static int race_wait(struct race *race)
{
    struct race_wait self = {
        .wait = { .abandon = race_abandon, .what = "connect", .object = race->name->text },
        .race = race
    };
    int64_t until_ns = race_until_ns(race);
    int rc = rt_check();

    if (rc < 0)
        return rc;
    if (until_ns != WEIR_NEVER_NS)
        timer_set(loop_self(), &race->timer, until_ns);
    race->waiter = &self.wait;
    rc = rt_park(&self.wait);
    timer_clear(loop_self(), &race->timer);
    return rc;
}

static int race_run(struct race *race)
{
    int rc = 0;

    while (!race->winner && rc == 0) {
        if (race_begin_next(race))
            continue;
        if (race_is_lost(race))
            return race->rc ? race->rc : dns_name_fail(race->name);
        rc = race_wait(race);
    }
    return race->winner ? 0 : rc;
}

/* Cancel those that are under way and wait for their ends. */
static void race_end(struct race *race)
{
    for (int i = 0; i < RACE_ATTEMPTS; i++)
        if (race->attempts[i].pending)
            io_cancel(loop_self(), &race->attempts[i].op);
    while (race->pending > 0) {
        struct wait wait = { .what = "connect", .object = race->name->text };

        race->waiter = &wait;
        rt_park_shielded(&wait);
    }
}

/* The winner's descriptor becomes the caller's. */
static int race_hand_over(struct race *race, struct io_file *file, struct addr *ret_addr)
{
    const struct io_ops *io = loop_io(loop_self());
    int fd = race->winner->file.fd, rc;

    io->detach(loop_self(), &race->winner->file, true);
    rc = io->attach(loop_self(), file, fd, false);
    if (rc < 0)
        tcp_close_fd(fd);
    else
        *ret_addr = race->winner->addr;
    return rc;
}

static int race_connect(struct dns_name *name, struct io_file *file, uint16_t port,
                        struct addr *ret_addr)
{
    struct race *race = base_calloc(1, sizeof(*race));
    int rc;

    if (!race)
        return -ENOMEM;
    race->name = name;
    race->port = port;
    race->watch.changed = race_changed;
    timer_init(&race->timer, race_timer);
    dns_name_watch(name, &race->watch);
    rc = race_run(race);
    race_end(race);
    dns_name_unwatch(&race->watch);
    if (race->winner) /* also when it came with a cancel: a result beats it */
        rc = race_hand_over(race, file, ret_addr);
    base_free(race);
    return rc;
}

int connect_host(struct io_file *file, weir_str host, uint16_t port, struct addr *ret_addr)
{
    struct dns_name *name;
    struct addr addr;
    int rc = rt_check();

    if (rc < 0)
        return rc;
    if (addr_from_literal(host, port, &addr)) {
        rc = tcp_connect(file, addr_sockaddr(&addr), addr.len);
        if (rc == 0)
            *ret_addr = addr;
        return rc;
    }
    rc = dns_name_get(host, &name);
    if (rc < 0)
        return rc;
    rc = race_connect(name, file, port, ret_addr);
    dns_name_release(name);
    return rc;
}
