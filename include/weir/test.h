/* Tests of web applications that no clock or network can make flaky.
 *
 *     WEIR_TEST(profile, a_slow_optional_part_is_left_out)
 *     {
 *         weir_sim *sim = weir_sim_new(.seed = 7);
 *
 *         weir_sim_service(sim, "users", .json = "{\"name\":\"Ada\"}");
 *         weir_sim_service(sim, "offers", .latency_ms = 400);
 *
 *         const weir_response *r = weir_sim_get(sim, app(), "/profile/1");
 *
 *         WEIR_EXPECT_STATUS(r, 200);
 *         WEIR_EXPECT_JSON(r, "{ user: { name: 'Ada' }, offers: null }");
 *         WEIR_EXPECT_ELAPSED_MS(sim, 300);
 *     }
 *
 *     WEIR_TEST_MAIN
 *
 * Each test runs in a process of its own; what it leaves ends with that. A failed
 * expectation says where, what was wanted and what came, and ends the test. The
 * macros are C only. */
#ifndef WEIR_TEST_H
#define WEIR_TEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/app.h>
#include <weir/client.h>
#include <weir/export.h>
#include <weir/sim.h>

WEIR_BEGIN

/* ---- services and requests ---------------------------------------------- */

typedef struct weir_sim_service_opts {
    size_t size;         /* set by the macro */
    int status;          /* unset: 200 */
    const char *json;    /* the body; unset: "null" */
    uint32_t latency_ms; /* before it answers */
    bool silent;         /* it takes requests, and never answers */
    weir_app *app;       /* what answers instead; the caller's */
} weir_sim_service_opts;

#define weir_sim_service(sim, name, ...) \
    weir_sim_service_opt(sim, name,      \
                         &(weir_sim_service_opts){ .size = sizeof(weir_sim_service_opts), \
                                                   __VA_ARGS__ })

/* Let a simulation have a service: whatever the path, it answers at http://name/
 * (port 80), while a request of weir_sim_get() is made. Setting a name again changes
 * what it answers. When there is no memory, or an option is wrong, it says so on
 * standard error and ends the process by abort().
 *
 * Checkpoint: never.
 * Returns:    nothing.
 * Ownership:  the name is copied; json and app must outlive sim.
 * Thread:     that of sim, outside tasks.
 * Since:      0.1 */
WEIR_API WEIR_NONNULL(1, 2, 3)
void weir_sim_service_opt(weir_sim *sim, const char *name, const weir_sim_service_opts *opts);

#define weir_sim_get(sim, app, path) \
    weir_sim_fetch(sim, app, path, &(weir_fetch_opts){ .size = sizeof(weir_fetch_opts) })

/* Run the simulation with the application served in it, and the services, until it
 * has answered one request, and then end what was served: WEIR_EXPECT_ELAPSED_MS
 * tells how long the answer took. If it can't be made, or gets no answer, that is said on
 * standard error with the line that repeats it, and the process ends by abort().
 *
 * Checkpoint: never (it is called outside tasks).
 * Returns:    the answer.
 * Ownership:  the answer is sim's, until the next call or its end; app stays the
 *   caller's; opts->client is not looked at.
 * Thread:     that of sim, outside tasks.
 * Since:      0.1 */
WEIR_API WEIR_NONNULL(1, 2, 3, 4)
const weir_response *weir_sim_fetch(weir_sim *sim, weir_app *app, const char *path,
                                    const weir_fetch_opts *opts);

/* ---- expectations ------------------------------------------------------- */

#define WEIR_EXPECT(condition) weir_expect((condition), #condition, WEIR_HERE)
#define WEIR_EXPECT_INT(got, wanted) weir_expect_int((got), (wanted), #got, WEIR_HERE)
#define WEIR_EXPECT_TEXT(got, wanted) weir_expect_text((got), (wanted), #got, WEIR_HERE)
#define WEIR_EXPECT_STATUS(response, wanted) \
    weir_expect_int((response)->status, (wanted), "the status", WEIR_HERE)
/* The body is the same JSON: members in any order. What is wanted may leave out the
 * quotes around names, and take single ones around texts. */
#define WEIR_EXPECT_JSON(response, wanted) \
    weir_expect_json((response)->body, (wanted), WEIR_HERE)

/* Fail unless the condition holds.
 *
 * Checkpoint: never.
 * Returns:    nothing, and only when it holds; else it ends the process by abort().
 * Ownership:  takes nothing.
 * Thread:     any.
 * Since:      0.1 */
WEIR_API WEIR_NONNULL(2, 3) void weir_expect(bool holds, const char *what, const char *site);

/* Compare two numbers; codes are named.
 *
 * Checkpoint: never.
 * Returns:    nothing, and only when they are equal, as weir_expect().
 * Ownership:  takes nothing.
 * Thread:     any.
 * Since:      0.1 */
WEIR_API WEIR_NONNULL(3, 4)
void weir_expect_int(int64_t got, int64_t wanted, const char *what, const char *site);

/* Compare two texts.
 *
 * Checkpoint: never.
 * Returns:    nothing, and only when they are equal, as weir_expect().
 * Ownership:  takes nothing.
 * Thread:     any.
 * Since:      0.1 */
WEIR_API WEIR_NONNULL(2, 3, 4)
void weir_expect_text(weir_str got, const char *wanted, const char *what, const char *site);

/* Compare JSON by its meaning.
 *
 * Checkpoint: never.
 * Returns:    nothing, and only when they are equal, as weir_expect().
 * Ownership:  takes nothing.
 * Thread:     any.
 * Since:      0.1 */
WEIR_API WEIR_NONNULL(2, 3)
void weir_expect_json(weir_str got, const char *wanted, const char *site);

/* ---- the tests themselves ----------------------------------------------- */

typedef struct weir_test {
    const char *group, *name;
    void (*run)(void);
} weir_test;

/* A test; its name is a sentence. */
#define WEIR_TEST(group_, name_)                                                          \
    static void weir_test_##group_##_##name_(void);                                       \
    static const weir_test weir_test_entry_##group_##_##name_                             \
        __attribute__((used, section("weir_tests"), aligned(sizeof(void *)))) = {         \
            #group_, #name_, weir_test_##group_##_##name_                                 \
        };                                                                                \
    static void weir_test_##group_##_##name_(void)

/* main() for a program of tests: all of them, or those whose names contain the
 * argument. */
#define WEIR_TEST_MAIN                                                                    \
    extern const weir_test __start_weir_tests[], __stop_weir_tests[];                     \
    int main(int argc, char **argv)                                                       \
    {                                                                                     \
        return weir_test_main(__start_weir_tests, __stop_weir_tests, argc, argv);         \
    }

/* Run tests, each in a process of its own, and report them on standard output as
 * the Test Anything Protocol says.
 *
 * Checkpoint: never (it is called outside tasks).
 * Returns:    an exit code: 0 when all have passed, 1 when not, 2 when none was
 *   chosen.
 * Ownership:  takes nothing.
 * Thread:     the program's first.
 * Since:      0.1 */
WEIR_API WEIR_MUST_USE WEIR_NONNULL(1, 2, 4)
int weir_test_main(const weir_test *begin, const weir_test *end, int argc, char **argv);

WEIR_END

#endif
