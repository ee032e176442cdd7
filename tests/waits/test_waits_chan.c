/* Channels in all their forms: an item whose send was given up is still the sender's,
 * and one whose receive was given up is still the channel's. */
#include "waits/waits.h"

#include <poll.h>
#include <unistd.h>

#include <weir/broadcast.h>
#include <weir/chan.h>
#include <weir/watch.h>

struct form {
    bool shared, oneshot;
    uint32_t capacity;
};

static struct form meeting = { 0 }, meeting_shared = { .shared = true };
static struct form queue = { .capacity = 1 }, queue_shared = { .capacity = 1, .shared = true };
static struct form oneshot = { .oneshot = true };
static struct form oneshot_shared = { .oneshot = true, .shared = true };

typedef WEIR_CHAN(int) int_chan;

struct ends {
    int_chan chan, other;
    int sent, got;
};

static void ends_open(struct ends *e, const struct form *form)
{
    *e = (struct ends){ 0 };
    CHECK_INT(weir_chan_open(&e->chan, .capacity = form->capacity, .shared = form->shared,
                             .oneshot = form->oneshot),
              0);
    CHECK_INT(weir_chan_open(&e->other, .capacity = 1, .shared = form->shared), 0);
}

/* Every item that was sent has been received. */
static void ends_close(struct ends *e)
{
    int item;

    weir_close(e->chan);
    while (weir_recv(e->chan, &item) > 0)
        e->got++;
    CHECK_INT(e->got, e->sent);
    weir_chan_free(e->chan);
    weir_chan_free(e->other);
}

static int send_later(void *arg)
{
    struct ends *e = arg;
    int item = 1, rc = weir_sleep_ms(1);

    CHECK_INT(rc, 0);
    rc = weir_send(e->chan, &item);
    if (rc == WEIR_ECLOSED)
        return 0;
    e->sent += rc == 1;
    return rc;
}

static int recv_later(void *arg)
{
    struct ends *e = arg;
    int item, rc = weir_sleep_ms(1);

    CHECK_INT(rc, 0);
    rc = weir_recv(e->chan, &item);
    e->got += rc == 1;
    return rc;
}

/* ---- send, receive, reserve ---------------------------------------------------------- */

static int recv_(void *arg)
{
    struct ends e;
    int item = 0;

    ends_open(&e, arg);
    WEIR_SCOPE(s) {
        weir_go(s, send_later, &e);
        if (!gave_up(SWEPT(weir_recv(e.chan, &item)))) {
            CHECK_INT(item, 1);
            e.got++;
        } else if (((struct form *)arg)->capacity == 0 && !((struct form *)arg)->oneshot) {
            CHECK_INT(weir_recv(e.chan, &item), 1); /* who sent is waiting still */
            e.got++;
        }
        CHECK_INT(weir_join(s), 0);
    }
    ends_close(&e);
    return 0;
}

static int send_(void *arg)
{
    struct form *form = arg;
    struct ends e;
    int item = 2;

    ends_open(&e, form);
    for (; e.sent < (int)form->capacity; e.sent++)
        CHECK_INT(weir_try_send(e.chan, &item), 1);
    WEIR_SCOPE(s) {
        weir_go(s, recv_later, &e);
        if (!gave_up(SWEPT(weir_send(e.chan, &item))))
            e.sent++;
        else
            weir_close(e.chan);
        CHECK_INT(weir_join(s), 0);
    }
    ends_close(&e);
    return 0;
}

static int reserve(void *arg)
{
    WEIR_PERMIT(int) permit;
    struct ends e;
    int item = 3;

    ends_open(&e, arg);
    CHECK_INT(weir_try_send(e.chan, &item), 1);
    e.sent++;
    WEIR_SCOPE(s) {
        weir_go(s, recv_later, &e);
        if (!gave_up(SWEPT(weir_reserve(e.chan, &permit)))) {
            weir_send_reserved(permit, &item);
            e.sent++;
        }
        CHECK_INT(weir_join(s), 0);
    }
    /* The room of a permit that was not given is nobody's. */
    if (e.sent == 1) {
        CHECK_INT(weir_try_send(e.chan, &item), 1);
        e.sent++;
    }
    CHECK_INT(weir_try_send(e.chan, &item), -EAGAIN);
    ends_close(&e);
    return 0;
}

/* ---- select -------------------------------------------------------------------------- */

static int nap(void *arg)
{
    (void)arg;
    return weir_sleep_ms(100000);
}

static void count_pick(struct ends *e, weir_pick pick, const int *item)
{
    if (pick.arm < 0) {
        CHECK(gave_up(pick.rc));
        return;
    }
    CHECK_INT(pick.arm, 1);
    CHECK_INT(pick.rc, 1);
    CHECK_INT(*item, 1);
    e->got++;
}

/* Arms of every kind, of which a receive becomes ready. */
static int select_all(void *arg)
{
    int item = 0, full = 5, idle = 0, files[2];
    struct ends e;
    weir_task task;

    CHECK_INT(pipe(files), 0);
    ends_open(&e, arg);
    CHECK_INT(weir_try_send(e.other, &full), 1);
    WEIR_SCOPE(outer) {
        task = weir_go(outer, nap, NULL, .hold = true);
        WEIR_SCOPE(s) {
            weir_go(s, send_later, &e);
            count_pick(&e,
                       SWEPT(weir_select(WEIR_SEND(e.other, &full), WEIR_RECV(e.chan, &item),
                                         WEIR_AFTER_MS(10000), WEIR_DONE(task), WEIR_STOP,
                                         WEIR_READABLE(files[0]))),
                       &item);
            if (e.got == 0)
                weir_close(e.chan);
            CHECK_INT(weir_join(s), 0);
        }
        weir_cancel(outer);
        CHECK_INT(weir_join(outer), -ECANCELED);
    }
    weir_recover();
    CHECK_INT(weir_try_recv(e.other, &idle), 1);
    CHECK_INT(idle, 5);
    ends_close(&e);
    close(files[0]);
    close(files[1]);
    return 0;
}

static int select_in_order(void *arg)
{
    int item = 0, none = 0;
    struct ends e;

    ends_open(&e, arg);
    WEIR_SCOPE(s) {
        weir_go(s, send_later, &e);
        count_pick(&e,
                   SWEPT(weir_select_in_order(WEIR_RECV(e.other, &none), WEIR_RECV(e.chan, &item))),
                   &item);
        if (e.got == 0)
            weir_close(e.chan);
        CHECK_INT(weir_join(s), 0);
    }
    ends_close(&e);
    return 0;
}

/* An arm that sends: given up, the item is not in any of the channels. */
static int select_send(void *arg)
{
    int item = 6, none = 0;
    struct ends e;
    weir_pick pick;

    ends_open(&e, arg);
    WEIR_SCOPE(s) {
        weir_go(s, recv_later, &e);
        pick = SWEPT(weir_select(WEIR_RECV(e.other, &none), WEIR_SEND(e.chan, &item)));
        if (pick.arm == 1) {
            CHECK_INT(pick.rc, 1);
            e.sent++;
        } else {
            CHECK(gave_up(pick.rc));
            weir_close(e.chan);
        }
        CHECK_INT(weir_join(s), 0);
    }
    ends_close(&e);
    return 0;
}

/* ---- broadcast ----------------------------------------------------------------------- */

typedef WEIR_BROADCAST(int) news;
typedef WEIR_SUBSCRIPTION(int) reader;

struct press {
    news news;
    reader quick, slow;
};

static void press_open(struct press *p, bool shared)
{
    CHECK_INT(weir_broadcast_open(&p->news, .capacity = 1, .shared = shared), 0);
    CHECK_INT(weir_subscribe(p->news, &p->quick, .slow = WEIR_DROP_OLDEST), 0);
    CHECK_INT(weir_subscribe(p->news, &p->slow, .slow = WEIR_SLOW_WAIT), 0);
}

static void press_close(struct press *p)
{
    weir_unsubscribe(p->quick);
    weir_unsubscribe(p->slow);
    weir_broadcast_close(p->news);
    weir_broadcast_free(p->news);
}

static int read_later(void *arg)
{
    struct press *p = arg;
    int item = 0;

    CHECK_INT(weir_sleep_ms(1), 0);
    CHECK_INT(weir_broadcast_recv(p->slow, &item), 1);
    CHECK_INT(item, 1);
    return 0;
}

static int broadcast(void *arg)
{
    struct press p;
    int item = 0;
    bool sent = false;

    press_open(&p, ((struct form *)arg)->shared);
    CHECK_INT(weir_broadcast(p.news, &(int){ 1 }), 0);
    WEIR_SCOPE(s) {
        weir_go(s, read_later, &p);
        sent = !gave_up(SWEPT(weir_broadcast(p.news, &(int){ 2 })));
        CHECK_INT(weir_join(s), 0);
    }
    /* All have it, or none. */
    CHECK_INT(weir_broadcast_try_recv(p.slow, &item), sent ? 1 : -EAGAIN);
    CHECK_INT(weir_broadcast_try_recv(p.quick, &item), 1);
    CHECK_INT(item, sent ? 2 : 1);
    CHECK_INT(weir_missed(p.quick), sent);
    press_close(&p);
    return 0;
}

static int publish_later(void *arg)
{
    struct press *p = arg;

    CHECK_INT(weir_sleep_ms(1), 0);
    CHECK_INT(weir_broadcast(p->news, &(int){ 3 }), 0);
    return 0;
}

static int broadcast_recv(void *arg)
{
    struct press p;
    int item = 0;
    bool got = false;

    press_open(&p, ((struct form *)arg)->shared);
    WEIR_SCOPE(s) {
        weir_go(s, publish_later, &p);
        got = !gave_up(SWEPT(weir_broadcast_recv(p.slow, &item)));
        CHECK_INT(weir_join(s), 0);
    }
    if (!got)
        CHECK_INT(weir_broadcast_try_recv(p.slow, &item), 1);
    CHECK_INT(item, 3);
    CHECK_INT(weir_broadcast_try_recv(p.slow, &item), -EAGAIN);
    press_close(&p);
    return 0;
}

/* ---- watch --------------------------------------------------------------------------- */

typedef WEIR_WATCH(int) setting;

static int update_later(void *arg)
{
    setting *level = arg;

    CHECK_INT(weir_sleep_ms(1), 0);
    CHECK(weir_update(*level, &(int){ 9 }) >= 0);
    return 0;
}

static int changed(void *arg)
{
    WEIR_WATCHER(int) watcher;
    setting level;
    int item = 0;
    bool got = false;

    CHECK_INT(weir_watch_open(&level, &(int){ 1 }, .shared = ((struct form *)arg)->shared), 0);
    weir_watch_from(level, &watcher);
    WEIR_SCOPE(s) {
        weir_go(s, update_later, &level);
        got = !gave_up(SWEPT(weir_changed(&watcher, &item)));
        CHECK_INT(watcher.seen, got ? 2 : 1);
        CHECK_INT(weir_join(s), 0);
    }
    if (!got)
        CHECK_INT(weir_changed(&watcher, &item), 1);
    CHECK_INT(item, 9);
    weir_watch_close(level);
    weir_watch_free(level);
    return 0;
}

static const struct waiting channels[] = {
    { "receive, rendezvous", recv_, &meeting, 1 },
    { "receive, rendezvous, shared", recv_, &meeting_shared, 1 },
    { "receive", recv_, &queue, 1 },
    { "receive, shared", recv_, &queue_shared, 1 },
    { "receive, one-shot", recv_, &oneshot, 1 },
    { "receive, one-shot, shared", recv_, &oneshot_shared, 1 },
    { "send, rendezvous", send_, &meeting, 1 },
    { "send, rendezvous, shared", send_, &meeting_shared, 1 },
    { "send", send_, &queue, 1 },
    { "send, shared", send_, &queue_shared, 1 },
    { "reserve", reserve, &queue, 1 },
    { "reserve, shared", reserve, &queue_shared, 1 },
    { "select", select_all, &meeting, 1 },
    { "select, shared", select_all, &meeting_shared, 1 },
    { "select, one-shot", select_all, &oneshot, 1 },
    { "select in order", select_in_order, &queue, 1 },
    { "select in order, shared", select_in_order, &queue_shared, 1 },
    { "select of a send", select_send, &meeting, 1 },
    { "select of a send, shared", select_send, &meeting_shared, 1 },
    { "broadcast", broadcast, &meeting, 1 },
    { "broadcast, shared", broadcast, &meeting_shared, 1 },
    { "broadcast's receive", broadcast_recv, &meeting, 1 },
    { "broadcast's receive, shared", broadcast_recv, &meeting_shared, 1 },
    { "watch", changed, &meeting, 1 },
    { "watch, shared", changed, &meeting_shared, 1 },
};

int main(void)
{
    return WAITS_RUN(channels);
}
