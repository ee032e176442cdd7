/* Two transfers lock the same two accounts, each in its own order: every now and then each
 * has one of them and waits for the other. Nothing fails, nothing is logged, and the two
 * requests, and then all that want these accounts, wait for ever.
 *
 * weir names the circle: both tasks, where each took the lock that the other wants, and
 * where it waits. (Mend it by an order: the account with the lower number first.) */
#include <weir/weir.h>

struct account {
    weir_mutex lock;
    long balance;
};

struct transfer {
    struct account *from, *to;
    long amount;
};

static struct account savings = { .balance = 100 }, giro = { .balance = 100 };

static int transfer(void *arg)
{
    struct transfer *t = arg;
    int rc = weir_lock(&t->from->lock); /* took the first */

    if (rc < 0)
        return rc;
    rc = weir_sleep_ms(10); /* something that takes a while */
    if (rc == 0)
        rc = weir_lock(&t->to->lock); /* waits for the second */
    if (rc == 0) {
        t->from->balance -= t->amount;
        t->to->balance += t->amount;
        weir_unlock(&t->to->lock);
    }
    weir_unlock(&t->from->lock);
    return rc;
}

static int bank(void *arg)
{
    struct transfer there = { &savings, &giro, 10 }, back = { &giro, &savings, 20 };
    int rc = 0;

    (void)arg;
    WEIR_SCOPE(s, .name = "transfers", .timeout_ms = 3500) {
        weir_go(s, transfer, &there);
        weir_go(s, transfer, &back);
        rc = weir_join(s);
    }
    return rc == -ETIMEDOUT ? 0 : rc; /* as this program expects */
}

int main(void)
{
    int rc = weir_log_open();

    if (rc == 0)
        rc = weir_inspect_open();
    if (rc == 0)
        rc = weir_run(bank, NULL, .loops = 1);
    weir_inspect_close();
    weir_log_close();
    return rc < 0;
}
