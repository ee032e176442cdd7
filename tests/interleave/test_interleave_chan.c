/* Shared channels in every order of two threads with up to three preemptions, and of three
 * with up to two (an argument makes it another number): tasks of two or three loops that send, receive, close and give up, at
 * capacities that make them wait (a rendezvous, one, two). chan_shared.c, parked.c and
 * loop.c are built with shim.h.
 *
 * After each order: what was sent was received once or is left, each sender's items came
 * in order, what was refused came to nobody. A planted fault must be found. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <weir/weir.h>

#include "interleave/loops.h"

#define SENDERS 2
#define ITEMS 2 /* of each sender, at most */

typedef WEIR_CHAN(uint32_t) item_chan; /* a sender's number times 16, and the item's */

static struct {
    item_chan chan;
    uint32_t capacity;
    uint32_t items;   /* that each sender sends */
    uint32_t wanted;  /* that the receiver takes; 0: until the channel ends */
    uint32_t loops;
    bool closes;      /* the first sender does, after its last */
    int sent[SENDERS][ITEMS + 1]; /* results */
    uint32_t received[SENDERS][ITEMS + 1];
    uint32_t last[SENDERS];
    bool wrong;
} now;

static void begin(void *arg)
{
    (void)arg;
    loops_begin();
    memset(now.sent, 0, sizeof(now.sent));
    memset(now.received, 0, sizeof(now.received));
    memset(now.last, 0, sizeof(now.last));
    now.wrong = false;
    if (weir_chan_open(&now.chan, .capacity = now.capacity, .shared = true) < 0)
        _exit(9);
}

/* ---- tasks ------------------------------------------------------------------------- */

static int send_items(void *arg)
{
    uint32_t sender = (uint32_t)(uintptr_t)arg;

    for (uint32_t i = 1; i <= now.items; i++)
        now.sent[sender][i] = weir_send(now.chan, &(uint32_t){ sender * 16 + i });
    if (now.closes && sender == 0)
        weir_close(now.chan);
    return 0;
}

static void take(uint32_t item)
{
    uint32_t sender = item / 16, number = item % 16;

    if (sender >= SENDERS || number < 1 || number > now.items || number <= now.last[sender]) {
        now.wrong = true;
        return;
    }
    now.last[sender] = number;
    now.received[sender][number]++;
}

static int receive_items(void *arg)
{
    uint32_t item, count = 0;
    int rc = 1;

    (void)arg;
    while (rc > 0 && (now.wanted == 0 || count < now.wanted)) {
        rc = weir_recv(now.chan, &item);
        if (rc > 0) {
            take(item);
            count++;
        }
    }
    if (rc == 0 && !now.closes)
        now.wrong = true;
    return rc;
}

/* The receiver's scope is cancelled when it waits, or after that. */
static int receive_and_give_up(void *arg)
{
    WEIR_SCOPE(s) {
        weir_go(s, receive_items, arg);
        WEIR_IGNORE(weir_yield(), "it only lets the receiver begin");
        weir_cancel(s);
        WEIR_IGNORE(weir_join(s), "the items are what is looked at");
    }
    weir_recover();
    return 0;
}

static void receiver(void *arg)
{
    loops_run_task(0, receive_items, arg);
}

static void sender_0(void *arg)
{
    (void)arg;
    loops_run_task(1, send_items, NULL);
}

static void sender_1(void *arg)
{
    (void)arg;
    loops_run_task(2, send_items, (void *)1);
}

/* Closes while the others send and receive. */
static int close_chan(void *arg)
{
    (void)arg;
    weir_close(now.chan);
    return 0;
}

static void closer(void *arg)
{
    loops_run_task(2, close_chan, arg);
}

/* Somebody must take what the receiver that gave up has left to a sender that waits. */
static void receiver_then_another(void *arg)
{
    loops_run_task(0, receive_and_give_up, arg);
    loops_run_task(0, receive_items, arg);
}

/* ---- what must hold ---------------------------------------------------------------- */

static bool items_are_whole(void *arg)
{
    uint32_t item;

    (void)arg;
    loops_settle(now.loops);
    while (weir_try_recv(now.chan, &item) == 1)
        take(item);
    for (uint32_t sender = 0; sender < SENDERS; sender++)
        for (uint32_t i = 1; i <= now.items; i++) {
            int rc = now.sent[sender][i];

            if (now.received[sender][i] != (rc == 1) ||
                (rc < 0 && (rc != WEIR_ECLOSED || !now.closes)))
                now.wrong = true;
        }
    weir_chan_free(now.chan);
    return !now.wrong;
}

/* ---- tests ------------------------------------------------------------------------- */

static int preemptions_of_three = 2;

static struct explore two_threads(void)
{
    now.loops = 2;
    now.wanted = 0;
    now.closes = false;
    now.items = 2;
    return (struct explore){ .threads = 2,
                             .preemptions = 3,
                             .begin = begin,
                             .holds = items_are_whole,
                             .body = { receiver, sender_0 } };
}

static struct explore three_threads(void (*third)(void *arg))
{
    struct explore how = two_threads();

    now.loops = how.threads = 3;
    how.preemptions = preemptions_of_three;
    how.body[2] = third;
    return how;
}

static void at_each_capacity(struct explore how)
{
    for (now.capacity = 0; now.capacity <= 2; now.capacity++)
        assert_int_equal(loops_explore(&how, now.loops, true, NULL), 0);
}

/* No close comes that would wake who was forgotten. */
static void one_sends(void **state)
{
    struct explore how = two_threads();

    (void)state;
    now.wanted = 2;
    at_each_capacity(how);
}

static void one_sends_and_closes(void **state)
{
    struct explore how = two_threads();

    (void)state;
    now.closes = true;
    at_each_capacity(how);
}

static void a_receiver_gives_up(void **state)
{
    struct explore how = two_threads();

    (void)state;
    now.closes = true;
    how.body[0] = receiver_then_another;
    at_each_capacity(how);
}

static void two_send(void **state)
{
    struct explore how = three_threads(sender_1);

    (void)state;
    now.items = 1;
    now.wanted = 2;
    at_each_capacity(how);
}

static void another_closes(void **state)
{
    struct explore how = three_threads(closer);

    (void)state;
    now.closes = true;
    now.items = 1;
    at_each_capacity(how);
}

/* Who passes an item does not see that somebody waits. */
static void be_blind(void)
{
    explore_blind_words("&shared->waiting");
}

static void a_lost_wake_is_found(void **state)
{
    struct explore how = two_threads();

    (void)state;
    now.wanted = 2;
    now.capacity = 2;
    how.preemptions = 1;
    assert_int_equal(loops_explore(&how, now.loops, false, be_blind), 1);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_sends),           cmocka_unit_test(one_sends_and_closes),
        cmocka_unit_test(a_receiver_gives_up), cmocka_unit_test(two_send),
        cmocka_unit_test(another_closes),      cmocka_unit_test(a_lost_wake_is_found),
    };

    if (argc > 1)
        preemptions_of_three = (int)strtol(argv[1], NULL, 10);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
