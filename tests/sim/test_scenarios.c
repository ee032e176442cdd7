/* One set of scenarios, equal traces: each runs on epoll and on io_uring (where it
 * can be used), with real sockets and real time, and on the simulator under several
 * seeds, delays and buffers. */
#include "support/in_task.h"

#include "base/budget.h"
#include "rt/backend_choice.h"
#include "rt/sim.h"
#include "sim/scenarios.h"

#define SEEDS 12

static void options_for(struct sim_opts *opts, uint64_t seed)
{
    sim_opts_init(opts);
    opts->seed = seed;
    /* The scenarios' own times are ten times that and more. */
    opts->latency_ms = (uint32_t)(seed % 3);
    opts->jitter_ms = (uint32_t)(seed % 2);
    opts->buffer_bytes = 1000u << (seed % 8);
    opts->block_ms = (uint32_t)(seed % 5);
    /* What the kernel does as well, though rarely on one machine. */
    opts->short_read = opts->short_write = seed % 4 == 0 ? 100 : 0;
    opts->late = seed % 3 == 0 ? 500 : 0;
}

static void run_simulated(const struct scenario *scenario, uint64_t seed, const char *wanted)
{
    char text[SIM_OPTS_TEXT_BYTES];
    struct sim_opts opts;
    struct sim *sim;
    const char *got;
    int rc;

    options_for(&opts, seed);
    opts.loops = scenario->loops;
    sim_opts_print(&opts, text);
    sim = sim_new(&opts);
    assert_non_null(sim);
    rc = sim_run(sim, scenario->run, NULL, NULL);
    got = said();
    if (rc < 0) {
        weir_error_print(text, sizeof(text));
        fail_msg("%s on the simulator: %s: %s\n%s", scenario->name, weir_error_name(rc), text, got);
    }
    if (strcmp(got, wanted) != 0)
        fail_msg("%s: on epoll\n%sbut on the simulator (%s)\n%s", scenario->name, wanted, text,
                 got);
    if (sim_files(sim) != 0)
        fail_msg("%s: %u descriptors are left", scenario->name, sim_files(sim));
    sim_free(sim);
}

static void run_uring(const struct scenario *scenario, const char *wanted)
{
    const struct io_ops *ops;
    const char *got;

    if (backend_choose(WEIR_BACKEND_IO_URING, &ops) < 0)
        return; /* not built in, or the kernel refuses: test_backend says so */
    assert_int_equal(
        weir_run(scenario->run, NULL, .loops = scenario->loops, .backend = WEIR_BACKEND_IO_URING),
        0);
    got = said();
    if (strcmp(got, wanted) != 0)
        fail_msg("%s: on epoll\n%sbut on io_uring\n%s", scenario->name, wanted, got);
}

static void traces_are_equal(void **state)
{
    const struct scenario *scenario = *state;
    uint64_t used = budget_used();
    char *wanted;

    assert_int_equal(
        weir_run(scenario->run, NULL, .loops = scenario->loops, .backend = WEIR_BACKEND_EPOLL), 0);
    wanted = strdup(said());
    assert_true(*wanted != '\0');
    run_uring(scenario, wanted);
    if (getenv("WEIR_TEST_SHOW"))
        printf("%s", wanted);
    for (uint64_t seed = 0; seed < SEEDS; seed++)
        run_simulated(scenario, seed, wanted);
    assert_int_equal(budget_used(), used);
    free(wanted);
}

int main(void)
{
    struct CMUnitTest tests[64] = { 0 };

    for (int i = 0; i < scenario_count; i++)
        tests[i] = (struct CMUnitTest){ .name = scenarios[i].name,
                                        .test_func = traces_are_equal,
                                        .initial_state = (void *)&scenarios[i] };
    return _cmocka_run_group_tests("scenarios", tests, (size_t)scenario_count, NULL, NULL);
}
