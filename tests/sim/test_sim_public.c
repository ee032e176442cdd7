/* The simulator as users have it, with streams on its network. */
#include "support/in_task.h"

#include <sys/wait.h>
#include <unistd.h>

#include <weir/sim.h>
#include <weir/stream.h>

static weir_sim *sim;

static int serve_slowly(void *arg)
{
    weir_stream *stream = NULL;
    weir_str data;

    CHECK_INT(weir_accept(arg, &stream), 1);
    CHECK(weir_stream_read(stream, &data) > 0);
    CHECK_INT(weir_sleep_ms(400), 0);
    CHECK_INT(weir_stream_write(stream, WEIR_S("late")), 4);
    CHECK_INT(weir_stream_flush(stream), 0);
    weir_stream_close(stream);
    return 0;
}

static int ask(void *arg)
{
    weir_listener *listener;
    weir_stream *stream;
    weir_str data;

    (void)arg;
    CHECK_INT(weir_listen("127.0.0.1:7000", &listener), 0);
    weir_sim_link(sim, 7000, 20, 0);
    WEIR_SCOPE(s) {
        weir_go(s, serve_slowly, listener);
        CHECK_INT(weir_stream_connect("127.0.0.1:7000", &stream), 0);
        weir_sim_trace("connected");
        CHECK_INT(weir_stream_write(stream, WEIR_S("question")), 8);
        WEIR_SCOPE(patience, .timeout_ms = 260) {
            ssize_t n = weir_stream_read(stream, &data);

            weir_sim_trace("read: %s", weir_error_name((int)n));
        }
        CHECK_INT(weir_stream_read(stream, &data), 4);
        weir_sim_trace("read: %.*s", (int)data.len, data.ptr);
        CHECK_INT(weir_join(s), 0);
    }
    weir_stream_close(stream);
    weir_listener_close(listener);
    return 5;
}

static void a_program_on_streams(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++) {
        sim = weir_sim_new(.seed = seed);
        assert_int_equal(weir_sim_run(sim, ask, NULL), 5);
        WEIR_EXPECT_TRACE(sim, "[    40] connected\n"
                               "[   300] read: ETIMEDOUT\n"
                               "[   480] read: late\n");
        WEIR_EXPECT_ELAPSED_MS(sim, 480);
        weir_sim_free(sim);
    }
    weir_sim_trace("outside: nothing happens");
    weir_sim_free(NULL);
}

/* ---- faults, by streams ---------------------------------------------------------- */

static int echo(void *arg)
{
    weir_stream *stream = arg;
    weir_str data;

    while (weir_stream_read(stream, &data) > 0)
        if (weir_stream_write(stream, data) < (ssize_t)data.len)
            break;
    weir_stream_close(stream);
    weir_recover();
    return 0;
}

static int accept_all(void *arg)
{
    weir_stream *stream;
    int rc;

    while ((rc = weir_accept(arg, &stream)) == 1)
        weir_go(weir_app_scope(), echo, stream);
    return 0;
}

/* 20,000 bytes there and back: how many came back. */
static size_t talk_over(void)
{
    static char text[20000];
    weir_stream *stream;
    weir_str data;
    size_t got = 0;
    ssize_t n;
    int rc = weir_stream_connect("127.0.0.1:7000", &stream);

    if (rc < 0)
        return 0;
    for (size_t at = 0; at < sizeof(text); at++)
        text[at] = (char)(at % 251);
    for (size_t at = 0; at < sizeof(text); at += 2500) {
        size_t sent = got;

        n = weir_stream_write(stream, weir_str_from(text + at, 2500));
        while (n > 0 && got < sent + 2500 && (n = weir_stream_read(stream, &data)) > 0) {
            CHECK(memcmp(data.ptr, text + got, data.len) == 0);
            got += data.len;
        }
        if (n <= 0)
            break;
    }
    weir_stream_close(stream);
    return got;
}

/* The network may forget a connection, and nothing tells its ends. */
static size_t talk(void)
{
    size_t n = 0;

    WEIR_SCOPE(patience, .timeout_ms = 60000) {
        n = talk_over();
    }
    return n;
}

static int failures;

static int talk_in_bad_weather(void *arg)
{
    weir_listener *listener;
    int rc;

    (void)arg;
    while ((rc = weir_listen("127.0.0.1:7000", &listener)) == -EMFILE)
        weir_recover();
    CHECK_INT(rc, 0);
    WEIR_SCOPE(s) {
        weir_go(s, accept_all, listener);
        for (int i = 0; i < 10; i++) {
            size_t n = talk();

            weir_recover();
            weir_sim_trace("%zu", n);
            failures += n < 20000;
        }
        weir_sim_calm(sim);
        CHECK_INT(talk(), 20000);
        weir_stop(s);
        CHECK_INT(weir_join(s), 0);
    }
    weir_listener_close(listener);
    return 0;
}

static void streams_on_a_bad_network(void **state)
{
    char first[1 << 10];

    (void)state;
    for (uint64_t seed = 1; seed <= 100; seed++) {
        for (int again = 0; again < 2; again++) {
            sim = weir_sim_new(.seed = seed, .loops = 1, .faults = true);
            assert_non_null(sim);
            if (weir_sim_run(sim, talk_in_bad_weather, NULL) != 0)
                fail_msg("WEIR_SIM=\"%s\"", weir_sim_options(sim));
            if (again)
                WEIR_EXPECT_TRACE(sim, first);
            snprintf(first, sizeof(first), "%s", weir_sim_text(sim));
            weir_sim_free(sim);
        }
    }
    assert_in_range(failures, 100, 1500); /* of 2,000 */
}

/* ---- options and expectations ---------------------------------------------------- */

static void a_printed_line_takes_the_place_of_options(void **state)
{
    (void)state;
    setenv("WEIR_SIM", "seed=77 loops=3 loss=5", 1);
    sim = weir_sim_new(.seed = 1, .loops = 2);
    assert_non_null(strstr(weir_sim_options(sim), "seed=77,loops=3,"));
    assert_non_null(strstr(weir_sim_options(sim), ",loss=5"));
    weir_sim_free(sim);
    setenv("WEIR_SIM", "seed=77 lops=3", 1);
    assert_null(weir_sim_new(.seed = 1));
    weir_recover();
    unsetenv("WEIR_SIM");
    assert_null(weir_sim_new(.loops = 65));
    weir_recover();
}

/* In a process of its own: how does it end, and what does it say? */
static int said_by(void (*fn)(void), char *text, size_t size)
{
    int ends[2], status;
    size_t len = 0;
    ssize_t n;
    pid_t pid;

    assert_int_equal(pipe(ends), 0);
    pid = fork();
    if (pid == 0) {
        dup2(ends[1], 2);
        signal(SIGABRT, SIG_DFL);
        fn();
        _exit(0);
    }
    close(ends[1]);
    while ((n = read(ends[0], text + len, size - 1 - len)) > 0)
        len += (size_t)n;
    text[len] = '\0';
    close(ends[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static int trace_one(void *arg)
{
    (void)arg;
    weir_sim_trace("one");
    return weir_sleep_ms(12);
}

static void expect_another_trace(void)
{
    sim = weir_sim_new(.seed = 9);
    if (weir_sim_run(sim, trace_one, NULL) == 0)
        WEIR_EXPECT_TRACE(sim, "[     0] two\n");
}

static void expect_another_time(void)
{
    sim = weir_sim_new(.seed = 9);
    if (weir_sim_run(sim, trace_one, NULL) == 0)
        WEIR_EXPECT_ELAPSED_MS(sim, 13);
}

static void what_differs_is_said(void **state)
{
    char text[1000];

    (void)state;
    assert_int_equal(said_by(expect_another_trace, text, sizeof(text)), SIGABRT);
    assert_non_null(strstr(text, "the trace is\n[     0] one\nand not\n[     0] two\n"));
    assert_non_null(strstr(text, "to repeat: WEIR_SIM='seed=9,"));
    assert_int_equal(said_by(expect_another_time, text, sizeof(text)), SIGABRT);
    assert_non_null(strstr(text, "12 ms have passed, and not 13\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_program_on_streams),
        cmocka_unit_test(streams_on_a_bad_network),
        cmocka_unit_test(a_printed_line_takes_the_place_of_options),
        cmocka_unit_test(what_differs_is_said),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
