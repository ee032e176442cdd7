/* Two errors that nobody looks at. A price list is refreshed in the background, until one
 * day the refresh fails: its task ends, nobody joins it, and the shop goes on selling at
 * yesterday's prices. And an order starts the mail to its customer, is finished without
 * waiting for it, and answers that all is well.
 *
 * weir tells of both: the task that failed, where it was started, the scopes that it ran in,
 * and the chain of the error with the place that each link came from. (Mend the first by
 * trying again after a failure, the second with weir_join(); or give the scope, or with
 * weir_on_failure() the application, a handler.) */
#include <weir/weir.h>

#include <errno.h>

static int fetch_prices(int round)
{
    if (round < 5)
        return 0;
    return weir_fail(-ECONNREFUSED, "connecting to prices.example"); /* begins here */
}

static int load_prices(int round)
{
    return weir_wrap(fetch_prices(round), "loading the price list"); /* and goes through here */
}

static int refresh(void *arg)
{
    int rc = 0;

    (void)arg;
    for (int round = 1; rc == 0; round++) {
        rc = load_prices(round);
        if (rc == 0)
            rc = weir_sleep_ms(100);
    }
    return rc; /* to nobody */
}

static int send_mail(void *arg)
{
    const char *address = arg;

    return weir_fail(-EINVAL, "\"%s\" is no address", address); /* the mail's failure */
}

static int order(void *arg)
{
    WEIR_SCOPE(s, .name = "order") {
        weir_go(s, send_mail, arg);
        if (weir_sleep_ms(200) < 0) /* the order itself; the mail's failure cuts it short */
            break;
        return weir_join(s);
    }
    return 0; /* all is well */
}

static int shop(void *arg)
{
    int rc = 0;

    (void)arg;
    weir_go(weir_app_scope(), refresh, NULL);
    WEIR_SCOPE(s, .name = "orders") {
        weir_go(s, order, "nobody at all");
        rc = weir_sleep_ms(1000);
        if (rc == 0)
            rc = weir_join(s);
    }
    return rc;
}

int main(void)
{
    int rc = weir_log_open();

    if (rc == 0)
        rc = weir_inspect_open();
    if (rc == 0)
        rc = weir_run(shop, NULL, .loops = 1);
    weir_inspect_close();
    weir_log_close();
    return rc < 0;
}
