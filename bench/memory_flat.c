/* Does memory stay flat? Starts and joins very many tasks, then opens, uses and closes
 * very many connections over a unix socket, and looks at what is resident at 1 %, 50 %
 * and 100 % of each. Ends with 1 when it has grown by more than 1 % between the first
 * look and the last.
 *
 *     memory_flat [TASKS CONNECTIONS]        100,000,000 and 10,000,000 unless given */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <weir/weir.h>

#define TASKS_AT_ONCE 1000
#define CONNECTIONS_AT_ONCE 64
#define LOOKS 3
/* What the allocator and the kernel's rounding may move by, at any size. */
#define SLACK_KIB 128

static const int percents[LOOKS] = { 1, 50, 100 };

struct flat {
    const char *what;
    uint64_t count;
    long kib[LOOKS];
};

static long resident_kib(void)
{
    long size = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "re");

    if (!file || fscanf(file, "%ld %ld", &size, &resident) != 2)
        exit(2);
    fclose(file);
    return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

/* done of them are over now, step more than at the last call. */
static void look(struct flat *flat, uint64_t done, uint64_t step)
{
    for (int i = 0; i < LOOKS; i++) {
        uint64_t at = flat->count / 100 * (uint64_t)percents[i];

        if (done >= at && done - step < at)
            flat->kib[i] = resident_kib();
    }
}

static bool told(const struct flat *flat)
{
    long grown = flat->kib[LOOKS - 1] - flat->kib[0];
    bool holds = grown <= flat->kib[0] / 100 + SLACK_KIB;

    printf("%llu %s: resident KiB at 1 %%, 50 %%, 100 %%: %ld, %ld, %ld%s\n",
           (unsigned long long)flat->count, flat->what, flat->kib[0], flat->kib[1], flat->kib[2],
           holds ? "" : ": grown by over 1 %");
    fflush(stdout);
    return holds;
}

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

static int many_tasks(struct flat *flat)
{
    for (uint64_t done = 0; done < flat->count;) {
        int rc = 0;

        WEIR_SCOPE(s) {
            for (int i = 0; i < TASKS_AT_ONCE; i++)
                weir_go(s, nothing, NULL);
            rc = weir_join(s);
        }
        if (rc < 0)
            return rc;
        done += TASKS_AT_ONCE;
        look(flat, done, TASKS_AT_ONCE);
    }
    return 0;
}

static int answer(void *arg)
{
    weir_stream *s = arg;
    weir_str data;
    ssize_t n = weir_stream_read(s, &data);

    if (n > 0)
        n = weir_stream_write(s, data);
    weir_stream_close(s);
    return n < 0 ? (int)n : 0;
}

static int serve(void *arg)
{
    WEIR_SCOPE(s) {
        for (;;) {
            weir_stream *stream;
            int rc = weir_accept(arg, &stream);

            if (rc < 0)
                return rc;
            weir_go(s, answer, stream);
        }
    }
    return 0;
}

static int ask(void *arg)
{
    weir_stream *stream;
    weir_str data;
    ssize_t n = weir_stream_connect(arg, &stream);

    if (n < 0)
        return (int)n;
    n = weir_stream_write(stream, WEIR_S("ping"));
    if (n > 0)
        n = weir_stream_read(stream, &data);
    weir_stream_close(stream);
    return n == 4 ? 0 : n < 0 ? (int)n : -EIO;
}

static int many_connections(struct flat *flat)
{
    char address[64];
    weir_listener *listener;
    int rc;

    snprintf(address, sizeof(address), "unix:@weir-memory-flat-%d", (int)getpid());
    rc = weir_listen(address, &listener);
    if (rc < 0)
        return rc;
    WEIR_SCOPE(server) {
        weir_go(server, serve, listener, .optional = true);
        for (uint64_t done = 0; done < flat->count && rc == 0;) {
            WEIR_SCOPE(s) {
                for (int i = 0; i < CONNECTIONS_AT_ONCE; i++)
                    weir_go(s, ask, address);
                rc = weir_join(s);
            }
            done += CONNECTIONS_AT_ONCE;
            look(flat, done, CONNECTIONS_AT_ONCE);
        }
        weir_cancel(server);
        WEIR_IGNORE(weir_join(server), "it ends by the cancel");
    }
    weir_listener_close(listener);
    return rc;
}

static int measure(void *arg)
{
    struct flat *flat = arg;
    bool holds = true;
    int rc = many_tasks(&flat[0]);

    if (rc == 0) {
        holds = told(&flat[0]);
        rc = many_connections(&flat[1]);
    }
    if (rc < 0)
        return rc;
    return told(&flat[1]) && holds ? 0 : 1;
}

int main(int argc, char **argv)
{
    struct flat flat[] = { { "tasks", 100000000, { 0 } }, { "connections", 10000000, { 0 } } };

    for (int i = 0; i < 2 && argc == 3; i++)
        flat[i].count = strtoull(argv[i + 1], NULL, 10);
    if ((argc != 1 && argc != 3) || flat[0].count < 100000 || flat[1].count < 10000) {
        fprintf(stderr, "usage: memory_flat [TASKS CONNECTIONS]\n");
        return 2;
    }
    return weir_run(measure, flat, .loops = 1) == 0 ? 0 : 1;
}
