/* Signals, as something that a task waits for.
 *
 * A handler, not signalfd(2): that wants the signal blocked on every thread of the
 * process, which a library's threads don't know of. The handler notes the signal
 * in its taker's set, and writes to its taker's eventfd, which a task waits for.
 *
 * A handler may be running, on any thread, while its signal is given back. So the
 * takers are a few places that live as long as the process, and keep their
 * eventfds for the next who comes; a handler that is late marks a place that no one
 * has, or one whose owner finds a bit that is not in its set, and drops it. A child
 * that was forked and runs no other program yet shares the eventfd and not the set:
 * what it is sent wakes the parent, which finds nothing.
 *
 * The signals that end the program have a place of their own: a second of them must
 * end it in the handler.
 *
 * This is process-wide, as handlers are. */
#include "rt/signals.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "rt/foreign.h"
#include "rt/rt.h"

#define PLACES 8
#define SIGNALS_MAX 64

struct weir_signals {
    bool taken;
    atomic_bool waiting;
    int event; /* -1: not made yet; never closed */
    uint64_t set;
    _Atomic uint64_t came;
    void (*again)(int number); /* the last place's */
    atomic_bool seen;
    struct sigaction before[SIGNALS_MAX + 1];
};

static struct {
    pthread_mutex_t lock;
    bool made;
    weir_signals places[PLACES + 1]; /* the last is for the end of the program */
    _Atomic(weir_signals *) taker[SIGNALS_MAX + 1];
} signals = { .lock = PTHREAD_MUTEX_INITIALIZER };

static uint64_t bit_of(int number)
{
    return UINT64_C(1) << ((unsigned)(number - 1) % 64);
}

static void on_signal(int number)
{
    weir_signals *self = atomic_load(&signals.taker[number]);
    int saved = errno;
    uint64_t one = 1;

    if (!self)
        return;
    if (self->again && atomic_exchange(&self->seen, true))
        self->again(number);
    atomic_fetch_or(&self->came, bit_of(number));
    if (write(self->event, &one, sizeof(one)) < 0)
        errno = 0; /* it is full, and so readable */
    errno = saved;
}

/* ---- taking and giving back ----------------------------------------------------- */

static int may_take(const weir_signals *self, int number)
{
    struct sigaction now;

    switch (number) {
    case SIGKILL:
    case SIGSTOP:
    case SIGSEGV:
    case SIGBUS:
    case SIGFPE:
    case SIGILL:
    case SIGTRAP:
    case SIGABRT:
    case SIGSYS: return weir_fail(-EINVAL, "signal %d can't be waited for", number);
    }
    if (number < 1 || number > SIGNALS_MAX || sigaction(number, NULL, &now) < 0)
        return weir_fail(-EINVAL, "there is no signal %d", number);
    if (self->again)
        return 0;
    if ((now.sa_flags & SA_SIGINFO) || (now.sa_handler != SIG_DFL && now.sa_handler != SIG_IGN))
        return weir_fail(-EBUSY, "signal %d has a handler already", number);
    return 0;
}

/* With the lock held: the first free place of those from first up to end. NULL: there is
 * none, and the chain says why. */
static weir_signals *find_place(int first, int end, int *ret_code)
{
    for (int i = first; i < end; i++) {
        weir_signals *self = &signals.places[i];

        if (self->taken)
            continue;
        if (self->event < 0) {
            self->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
            if (self->event < 0) {
                *ret_code = weir_fail(-errno, "waiting for signals");
                return NULL;
            }
        }
        return self;
    }
    *ret_code = end > PLACES ? weir_fail(-EBUSY, "the program's end is waited for already")
                             : weir_fail(WEIR_EFULL, "signals are taken by %d already", PLACES);
    return NULL;
}

static void give_back(weir_signals *self)
{
    for (int number = 1; number <= SIGNALS_MAX; number++)
        if (self->set & bit_of(number)) {
            sigaction(number, &self->before[number], NULL);
            atomic_store(&signals.taker[number], NULL);
        }
    self->set = 0;
    self->taken = false;
}

/* With the lock held. */
static int take(weir_signals *self, const int *numbers, size_t count)
{
    struct sigaction tell = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
    int rc = 0;

    sigemptyset(&tell.sa_mask);
    self->taken = true;
    atomic_store(&self->waiting, false);
    atomic_store(&self->seen, false);
    atomic_store(&self->came, 0);
    for (size_t i = 0; i < count && rc == 0; i++) {
        int number = numbers[i];

        if (number >= 1 && number <= SIGNALS_MAX && (self->set & bit_of(number)))
            continue; /* named twice */
        rc = may_take(self, number);
        if (rc < 0)
            break;
        atomic_store(&signals.taker[number], self);
        if (sigaction(number, &tell, &self->before[number]) < 0) {
            rc = weir_fail(-errno, "taking signal %d", number);
            atomic_store(&signals.taker[number], NULL);
            break;
        }
        self->set |= bit_of(number);
    }
    if (rc < 0)
        give_back(self);
    return rc;
}

static int take_place(int first, int end, weir_signals **ret_signals, const int *numbers,
                      size_t count, void (*again)(int number))
{
    weir_signals *self;
    int rc = 0;

    pthread_mutex_lock(&signals.lock);
    if (!signals.made)
        for (int i = 0; i <= PLACES; i++)
            signals.places[i].event = -1;
    signals.made = true;
    self = find_place(first, end, &rc);
    if (self) {
        self->again = again;
        rc = take(self, numbers, count);
    }
    pthread_mutex_unlock(&signals.lock);
    if (rc == 0)
        *ret_signals = self;
    return rc;
}

int weir_signals_take(weir_signals **ret_signals, const int *numbers, size_t count)
{
    return take_place(0, PLACES, ret_signals, numbers, count, NULL);
}

int signals_take_last(weir_signals **ret_signals, const int *numbers, size_t count,
                      void (*again)(int number))
{
    return take_place(PLACES, PLACES + 1, ret_signals, numbers, count, again);
}

void weir_signals_close(weir_signals *self)
{
    if (!self)
        return;
    pthread_mutex_lock(&signals.lock);
    give_back(self);
    pthread_mutex_unlock(&signals.lock);
}

/* ---- waiting ---------------------------------------------------------------------- */

/* The next that came, or 0. */
static int next_number(weir_signals *self)
{
    uint64_t came = atomic_load(&self->came) & self->set;
    int number;

    if (!came)
        return 0;
    number = __builtin_ctzll(came) + 1;
    atomic_fetch_and(&self->came, ~bit_of(number));
    return number;
}

static int next(weir_signals *self, int *ret_number)
{
    for (;;) {
        uint64_t count;
        int rc = next_number(self);

        if (rc > 0) {
            *ret_number = rc;
            rt_spend();
            return 1;
        }
        if (weir_stopping())
            return 0;
        rc = foreign_wait(self->event, POLLIN, true, "signal", self);
        if (rc <= 0)
            return rc;
        if (read(self->event, &count, sizeof(count)) < 0 && errno != EAGAIN && errno != EINTR)
            return -errno;
    }
}

int weir_signals_next(weir_signals *self, int *ret_number)
{
    int rc = rt_check();

    if (rc == 0 && atomic_exchange(&self->waiting, true))
        return -EBUSY;
    if (rc < 0)
        return rc;
    rc = next(self, ret_number);
    atomic_store(&self->waiting, false);
    return rc;
}
