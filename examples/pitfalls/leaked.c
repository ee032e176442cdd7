/* Three workers take jobs from a channel until it is closed. Whoever orders the jobs returns
 * early when one of them is refused, and so never closes it: the workers wait for ever, and
 * with them whoever waits for the workers. In a service such tasks pile up for days.
 *
 * weir names the channel, where it was opened, who wait at it, and who sent to it last.
 * (Mend it with weir_go(s, order_jobs, NULL, .sends = jobs.chan): the channel then closes
 * with the end of the last task that was started to send.) */
#include <weir/weir.h>

typedef WEIR_CHAN(int) job_chan;

static job_chan jobs;

static int work(void *arg)
{
    int job, rc;

    (void)arg;
    while ((rc = weir_recv(jobs, &job)) > 0) /* waits here */
        weir_info("job %d is done", job);
    return rc;
}

static int order_jobs(void *arg)
{
    (void)arg;
    for (int job = 1; job <= 10; job++) {
        int rc = job == 3 ? -EAGAIN : weir_send(jobs, &job);

        if (rc < 0)
            return 0; /* tomorrow, then; and the channel stays open */
    }
    weir_close(jobs);
    return 0;
}

static int workshop(void *arg)
{
    int rc = 0;

    (void)arg;
    WEIR_SCOPE(s, .name = "workshop") {
        rc = weir_chan_open(&jobs, .capacity = 4, .name = "jobs"); /* opened here */
        if (rc < 0)
            break;
        for (int i = 0; i < 3; i++)
            weir_go(s, work, NULL);
        weir_go(s, order_jobs, NULL);
        rc = weir_join(s);
    }
    weir_chan_free(jobs);
    return rc;
}

/* Ends the day after three seconds, or this program would wait as well. */
static int day(void *arg)
{
    int rc = 0;

    (void)arg;
    WEIR_SCOPE(s, .name = "day") {
        weir_go(s, workshop, NULL);
        rc = weir_sleep_ms(3000);
        weir_cancel(s);
        if (weir_join(s) < 0)
            weir_recover();
    }
    return rc;
}

int main(void)
{
    int rc = weir_log_open();

    if (rc == 0)
        rc = weir_inspect_open();
    if (rc == 0)
        rc = weir_run(day, NULL, .loops = 1);
    weir_inspect_close();
    weir_log_close();
    return rc < 0;
}
