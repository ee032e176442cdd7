/* An exchange on another loop, and one that has ended, stop a debug build with a sentence. */
#include <weir/weir.h>

#include "http/exchange.h"
#include "http/server_loop.h"
#include "rt/child_run.h"

static weir_exchange *an_exchange;
static struct server_loop home;

static void make(void)
{
    home.loop = loop_self();
    list_init(&home.exchanges);
    an_exchange = exchange_new(&home, NULL, NULL);
    CHECK(an_exchange != NULL);
}

static int use(void *arg)
{
    (void)arg;
    return weir_replied(an_exchange) ? 1 : 0;
}

static int used_at_home(void *arg)
{
    int rc;

    make();
    rc = use(arg);
    exchange_unref(an_exchange);
    return rc;
}

static int used_elsewhere(void *arg)
{
    int rc = 0;

    (void)arg;
    make();
    WEIR_SCOPE(s) {
        weir_go_on(s, 1, use, NULL);
        rc = weir_join(s);
    }
    exchange_unref(an_exchange);
    return rc;
}

static int used_too_late(void *arg)
{
    make();
    exchange_unref(an_exchange);
    return use(arg);
}

static void at_home_it_may_be_used(void **state)
{
    (void)state;
    no_mistake(used_at_home);
}

static void on_another_loop(void **state)
{
    (void)state;
#ifdef WEIR_DEBUG
    mistake(used_elsewhere, "an exchange is used on loop 1, but belongs to loop 0");
#else
    (void)used_elsewhere;
    skip();
#endif
}

static void after_its_end(void **state)
{
    (void)state;
#if defined(WEIR_DEBUG) && !POISON_ON
    mistake(used_too_late, "an exchange is used that has ended");
#else
    (void)used_too_late;
    skip(); /* AddressSanitizer tells it in its own way */
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(at_home_it_may_be_used),
        cmocka_unit_test(on_another_loop),
        cmocka_unit_test(after_its_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
