/* A sensor makes a reading every millisecond and drops those for which there is no room;
 * whoever stores them needs ten. Nothing fails: nine of ten readings are lost, silently,
 * and those that arrive are old.
 *
 * weir names the queue that stays full, where it was opened, who fills it, and what the
 * one who should empty it is doing instead. */
#include <weir/weir.h>

typedef WEIR_CHAN(int) reading_chan;

static reading_chan readings;

static int measure(void *arg)
{
    (void)arg;
    for (int i = 0; i < 2500; i++) {
        int rc = weir_try_send(readings, &i);

        if (rc < 0 && rc != -EAGAIN) /* ignored: there is no room */
            return rc;
        rc = weir_sleep_ms(1);
        if (rc < 0)
            return rc;
    }
    weir_close(readings);
    return 0;
}

static int store(void *arg)
{
    int reading, rc;

    (void)arg;
    while ((rc = weir_recv(readings, &reading)) > 0) {
        rc = weir_sleep_ms(10); /* a slow disk */
        if (rc < 0)
            break;
    }
    return rc;
}

static int station(void *arg)
{
    int rc = weir_chan_open(&readings, .capacity = 32, .name = "readings"); /* opened here */

    (void)arg;
    if (rc < 0)
        return rc;
    WEIR_SCOPE(s, .name = "station") {
        weir_go(s, measure, NULL);
        weir_go(s, store, NULL);
        rc = weir_join(s);
    }
    weir_chan_free(readings);
    return rc;
}

int main(void)
{
    int rc = weir_log_open();

    if (rc == 0)
        rc = weir_inspect_open();
    if (rc == 0)
        rc = weir_run(station, NULL, .loops = 1);
    weir_inspect_close();
    weir_log_close();
    return rc < 0;
}
