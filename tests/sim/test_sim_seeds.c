/* Programs with a mistake each, under many seeds: what is reported, how small it
 * is made, and that the printed line repeats it. */
#include "support/in_task.h"

#include <sys/wait.h>
#include <unistd.h>

#include <weir/sim.h>
#include <weir/stream.h>

#include "rt/sim.h"

#define REPORT_BYTES (1 << 16)

/* ---- programs -------------------------------------------------------------------- */

static int answer(void *arg)
{
    weir_stream *stream = arg;
    weir_str data;
    size_t got = 0;
    ssize_t n;

    while (got < 8 && (n = weir_stream_read(stream, &data)) > 0)
        got += data.len;
    if (got == 8)
        WEIR_IGNORE(weir_stream_write(stream, WEIR_S("an answer")), "who asked sees what comes");
    WEIR_IGNORE(weir_stream_flush(stream), "as above");
    weir_stream_close(stream);
    weir_recover();
    return 0;
}

static int accept_all(void *arg)
{
    weir_stream *stream;
    int rc;

    while ((rc = weir_accept(arg, &stream)) != 0)
        if (rc == 1)
            weir_go(weir_app_scope(), answer, stream);
        else if (rc != -EMFILE || weir_sleep_ms(10) < 0)
            break;
    weir_recover();
    return 0;
}

typedef int ask_fn(weir_stream *stream);

/* One question; -EPROTO is what no network can be blamed for. */
static int ask_once(ask_fn *ask)
{
    weir_stream *stream;
    int rc = weir_stream_connect("127.0.0.1:7000", &stream);

    if (rc < 0)
        return rc;
    rc = (int)weir_stream_write(stream, WEIR_S("question"));
    if (rc > 0)
        rc = ask(stream);
    weir_stream_close(stream);
    return rc;
}

static int with_a_server(weir_fn *fn, void *arg)
{
    weir_listener *listener;
    int rc;

    while ((rc = weir_listen("127.0.0.1:7000", &listener)) == -EMFILE)
        weir_recover();
    if (rc < 0)
        return rc;
    weir_recover();
    WEIR_SCOPE(s) {
        weir_go(s, accept_all, listener);
        rc = fn(arg);
        weir_stop(s);
        WEIR_IGNORE(weir_join(s), "the server ends as it likes");
    }
    weir_listener_close(listener);
    return rc;
}

/* Reads until it has all. */
static int ask_well(weir_stream *stream)
{
    weir_str data;
    size_t got = 0;
    ssize_t n;

    while (got < 9 && (n = weir_stream_read(stream, &data)) > 0)
        got += data.len;
    return got == 9 ? 0 : -EAGAIN;
}

/* The same, and says what went wrong. */
static int ask_strictly(weir_stream *stream)
{
    weir_str data;
    size_t got = 0;
    ssize_t n = 1;

    while (got < 9 && (n = weir_stream_read(stream, &data)) > 0)
        got += data.len;
    return n < 0 ? (int)n : 0;
}

/* Takes what comes first for all there is. */
static int ask_badly(weir_stream *stream)
{
    weir_str data;
    ssize_t n = weir_stream_read(stream, &data);

    if (n <= 0)
        return -EAGAIN;
    return n == 9 ? 0 : weir_fail(-EPROTO, "an answer of %zd bytes", n);
}

static int ask_until_answered(ask_fn *ask)
{
    int rc = -EAGAIN, wait_ms = 10;

    for (int i = 0; rc < 0 && rc != -EPROTO; i++) {
        WEIR_SCOPE(s, .timeout_ms = 5000) {
            rc = ask_once(ask);
        }
        if (rc < 0 && rc != -EPROTO)
            WEIR_IGNORE(weir_sleep_ms((uint32_t)wait_ms), "then it tries again");
        weir_sim_trace("try %d: %s", i, weir_error_name(rc));
        wait_ms = wait_ms < 1000 ? wait_ms * 2 : wait_ms;
    }
    return rc;
}

static int ask_three_times(void *arg)
{
    int rc = 0;

    for (int i = 0; i < 3 && rc >= 0; i++)
        rc = ask_until_answered(*(ask_fn **)arg);
    return rc;
}

static int good_program(void *arg)
{
    ask_fn *ask = ask_well;

    (void)arg;
    return with_a_server(ask_three_times, &ask);
}

static int short_sighted_program(void *arg)
{
    ask_fn *ask = ask_badly;

    (void)arg;
    return with_a_server(ask_three_times, &ask);
}

/* Gives up for good at the second refusal in a row. */
static int ask_twice(void *arg)
{
    (void)arg;
    for (int i = 0; i < 40; i++) {
        int refused = 0;

        for (int try = 0; try < 2; try++) {
            weir_stream *stream;
            int rc = weir_stream_connect("127.0.0.1:7000", &stream);

            refused += rc == -ECONNREFUSED;
            if (rc == 0)
                weir_stream_close(stream);
            weir_recover();
        }
        if (refused == 2)
            return weir_fail(-EPROTO, "two refusals");
        WEIR_IGNORE(weir_sleep_ms(5), "a pause");
    }
    return 0;
}

static int impatient_program(void *arg)
{
    return with_a_server(ask_twice, arg);
}

/* Fails a check, where it should not, when a connection is reset. */
static int ask_and_check(void *arg)
{
    (void)arg;
    for (int i = 0; i < 20; i++) {
        int rc = -EAGAIN;

        WEIR_SCOPE(s, .timeout_ms = 5000) {
            rc = ask_once(ask_strictly);
        }
        weir_recover();
        CHECK(rc != -ECONNRESET && rc != -EPIPE);
    }
    return 0;
}

static int fragile_program(void *arg)
{
    return with_a_server(ask_and_check, arg);
}

/* Waits longer with each failure, and does not stop to: safe, and not live. */
static int wait_longer(void *arg)
{
    int64_t wait_ms = 1000;
    int rc = -1;

    (void)arg;
    for (int i = 0; i < 10; i++) {
        WEIR_SCOPE(s, .timeout_ms = 3000) {
            rc = ask_once(ask_well);
        }
        if (rc < 0)
            wait_ms *= 100;
        rc = weir_sleep_ms((uint32_t)wait_ms);
        if (rc < 0)
            return rc;
        weir_recover();
    }
    return 0;
}

static int sluggish_program(void *arg)
{
    return with_a_server(wait_longer, arg);
}

/* ---- what is said ---------------------------------------------------------------- */

struct outcome {
    int rc;
    char text[REPORT_BYTES];
};

/* In a process of its own, so that standard error can be read. */
static void seeds_of(weir_fn *fn, uint32_t count, const char *options, struct outcome *ret)
{
    size_t len = 0;
    ssize_t n;
    int ends[2], results[2], rc;
    pid_t pid;

    assert_int_equal(pipe(ends), 0);
    assert_int_equal(pipe(results), 0);
    fflush(NULL);
    pid = fork();
    if (pid == 0) {
        dup2(ends[1], 2);
        rc = weir_sim_seeds(fn, NULL, .count = count, .options = options);
        n = write(results[1], &rc, sizeof(rc));
        _exit(n == sizeof(rc) ? 0 : 1);
    }
    close(ends[1]);
    close(results[1]);
    while (len < sizeof(ret->text) - 1 &&
           (n = read(ends[0], ret->text + len, sizeof(ret->text) - 1 - len)) > 0)
        len += (size_t)n;
    ret->text[len] = '\0';
    assert_int_equal(read(results[0], &ret->rc, sizeof(ret->rc)), sizeof(ret->rc));
    close(ends[0]);
    close(results[0]);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    if (getenv("WEIR_TEST_SHOW"))
        printf("%s", ret->text);
}

/* The line behind these words, between quotes. */
static char *line_after(const char *text, const char *words)
{
    const char *at = strstr(text, words), *end;

    assert_non_null(at);
    at = strchr(at, '\'');
    assert_non_null(at);
    end = strchr(at + 1, '\'');
    assert_non_null(end);
    return strndup(at + 1, (size_t)(end - at - 1));
}

/* The smallest run, from its line, gives the same. */
static void repeats(weir_fn *fn, const struct outcome *first, int rc)
{
    struct outcome *again = calloc(1, sizeof(*again));
    char *line = line_after(first->text, "to repeat that: ");

    setenv("WEIR_SIM", line, 1);
    seeds_of(fn, 1, NULL, again);
    unsetenv("WEIR_SIM");
    assert_int_equal(again->rc, rc);
    free(line);
    free(again);
}

static uint32_t kinds_left(const char *text, uint32_t *ret_faults)
{
    char *line = line_after(text, "to repeat that: ");
    struct sim_opts opts;
    uint32_t kinds = 0;

    sim_opts_init(&opts);
    assert_int_equal(sim_opts_parse(&opts, line), 0);
    for (int i = 0; i < SIM_FAULT_KINDS; i++)
        kinds += opts.fault[i] > 0;
    *ret_faults = 0;
    for (uint32_t i = 0; i < opts.range_count; i++)
        if (opts.ranges[i].last > 0)
            *ret_faults += opts.ranges[i].last - opts.ranges[i].first + 1;
    free(line);
    return kinds;
}

static void a_good_program_passes(void **state)
{
    struct outcome *got = calloc(1, sizeof(*got));

    (void)state;
    seeds_of(good_program, 200, NULL, got);
    if (got->rc < 0)
        fail_msg("%s", got->text);
    assert_non_null(strstr(got->text, "weir: 200 seeds, "));
    assert_non_null(strstr(got->text, " hours of virtual time\n"));
    free(got);
}

static void one_fault_is_found(void **state)
{
    struct outcome *got = calloc(1, sizeof(*got));
    uint32_t faults;

    (void)state;
    seeds_of(short_sighted_program, 200, NULL, got);
    assert_int_equal(got->rc, -EPROTO);
    assert_non_null(strstr(got->text, "gave EPROTO: an answer of "));
    assert_int_equal(kinds_left(got->text, &faults), 1);
    assert_int_equal(faults, 1);
    /* Either of these makes an answer come in two. */
    assert_true(strstr(got->text, ", short_read: ") || strstr(got->text, ", short_write: "));
    repeats(short_sighted_program, got, -EPROTO);
    free(got);
}

static void two_faults_are_found(void **state)
{
    struct outcome *got = calloc(1, sizeof(*got));
    uint32_t faults;

    (void)state;
    seeds_of(impatient_program, 500, NULL, got);
    assert_int_equal(got->rc, -EPROTO);
    assert_int_equal(kinds_left(got->text, &faults), 1);
    assert_int_equal(faults, 2);
    assert_non_null(strstr(got->text, "made smaller in "));
    assert_non_null(strstr(got->text, "loop 0: fault ") ? got->text
                                                        : strstr(got->text, "network: fault "));
    repeats(impatient_program, got, -EPROTO);
    free(got);
}

static void a_failed_check_is_reported(void **state)
{
    struct outcome *got = calloc(1, sizeof(*got));
    uint32_t faults;

    (void)state;
    seeds_of(fragile_program, 500, NULL, got);
    assert_int_equal(got->rc, -ECHILD);
    assert_non_null(strstr(got->text, "check failed: rc != "));
    assert_non_null(strstr(got->text, "ended with signal 6"));
    assert_int_equal(kinds_left(got->text, &faults), 1);
    assert_int_equal(faults, 1);
    assert_non_null(strstr(got->text, "fault "));
    free(got);
}

static void a_program_that_does_not_end_is_named(void **state)
{
    struct outcome *got = calloc(1, sizeof(*got));

    (void)state;
    seeds_of(sluggish_program, 500, NULL, got);
    assert_int_equal(got->rc, -ETIME);
    assert_non_null(strstr(got->text, "it has not come to its end since the faults ended"));
    assert_non_null(strstr(got->text, "waits: sleep"));
    repeats(sluggish_program, got, -ETIME);
    free(got);
}

static void wrong_options_are_refused(void **state)
{
    struct outcome *told = calloc(1, sizeof(*told));

    (void)state;
    setenv("WEIR_SIM", "seed=8,lops=1", 1);
    seeds_of(good_program, 1, NULL, told);
    assert_int_equal(told->rc, -EINVAL);
    assert_non_null(strstr(told->text, "weir: reading WEIR_SIM from the environment: "));
    free(told);
    unsetenv("WEIR_SIM");
    assert_int_equal(weir_sim_seeds(good_program, NULL, .options = "colour=1"), -EINVAL);
    setenv("WEIR_SIM", "loss=1001", 1);
    assert_int_equal(weir_sim_seeds(good_program, NULL, .count = 1), -EINVAL);
    unsetenv("WEIR_SIM");
    weir_recover();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_program_passes),
        cmocka_unit_test(one_fault_is_found),
        cmocka_unit_test(two_faults_are_found),
        cmocka_unit_test(a_failed_check_is_reported),
        cmocka_unit_test(a_program_that_does_not_end_is_named),
        cmocka_unit_test(wrong_options_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
