/* The program's state as one JSON document; see status.h.
 *
 * It is made on a thread that may wait: who holds the budget is asked of the loops. */
#include "ops/status.h"

#include <errno.h>
#include <stdatomic.h>
#include <unistd.h>

#include <weir/block.h>
#include <weir/error.h>
#include <weir/export.h>
#include <weir/run.h>

#include "base/clock.h"
#include "ops/admin.h"
#include "ops/holders.h"
#include "rt/rt.h"

static struct {
    void (*add)(struct strbuf *out, void *arg);
    void *arg;
} more;

struct making {
    struct strbuf text;
    enum admin_state state;
    int64_t started_ns;
    uint32_t loops;
};

void status_add(void (*add)(struct strbuf *out, void *arg), void *arg)
{
    more.add = add;
    more.arg = arg;
}

static int make(void *arg)
{
    static const char *const states[] = { "starting", "ready", "draining" };
    struct making *m = arg;

    strbuf_addf(&m->text, "{\"version\":\"%s\",\"pid\":%ld,\"state\":\"%s\"", WEIR_VERSION,
                (long)getpid(), states[m->state]);
    strbuf_addf(&m->text, ",\"uptime_s\":%.3f,\"loops\":%u,\"wrong_uses\":%u",
                (double)(clock_monotonic_ns() - m->started_ns) / 1e9, m->loops, rt_wrong_uses());
    if (more.add)
        more.add(&m->text, more.arg);
    strbuf_add_c(&m->text, ",\"budget\":");
    holders_print(&m->text);
    strbuf_add_c(&m->text, "}\n");
    return m->text.bad ? weir_fail(-ENOMEM, "there is no memory for the status") : 0;
}

int status_handle(weir_exchange *x)
{
    const struct admin *admin = weir_route_data(x);
    struct making m = { .text = STRBUF_INIT,
                        .state = (enum admin_state)atomic_load(&admin->state),
                        .started_ns = admin->started_ns,
                        .loops = weir_loops() };
    int rc = weir_block(make, &m);

    if (rc == 0)
        rc = weir_reply(x, 200, "application/json", strbuf_str(&m.text));
    strbuf_done(&m.text);
    return rc;
}
