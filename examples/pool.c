/* A library that computes for long and knows nothing of tasks. In a handler it
 * would hold up every request of its loop; in the blocking pool it holds up one
 * of the pool's threads, and the handler's task waits.
 *
 *     build/release/examples/pool --listen 127.0.0.1:8000
 *     curl http://127.0.0.1:8000/primes/5000000 */
#include <weir/weir.h>

#include <stdlib.h>

struct primes {
    int64_t below, count;
};

/* The library: how many primes are below a number. */
static int count_primes(void *arg)
{
    struct primes *p = arg;
    char *composite = calloc((size_t)p->below + 1, 1);

    if (!composite)
        return weir_fail(-ENOMEM, "a sieve of %lld bytes", (long long)p->below);
    for (int64_t i = 2; i < p->below; i++) {
        if (composite[i])
            continue;
        p->count++;
        for (int64_t j = i * i; j < p->below; j += i)
            composite[j] = 1;
    }
    free(composite);
    return 0;
}

static int primes(weir_exchange *x)
{
    struct primes p = { .below = weir_param_i64(x, "below") };
    int rc;

    if (p.below < 0 || p.below > 10000000)
        return weir_problem(x, 400, "a number from 0 to 10000000 is needed");
    rc = weir_block(count_primes, &p); /* 503 while the pool's queue is full */
    if (rc < 0)
        return rc;
    return weir_reply_object(x, 200, WEIR_KV("below", p.below), WEIR_KV("primes", p.count));
}

int main(int argc, char **argv)
{
    weir_app *app = weir_app_new(.title = "Primes");

    weir_get(app, "/primes/{below:i64}", primes);
    return weir_main(app, argc, argv);
}
