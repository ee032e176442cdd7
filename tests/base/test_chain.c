/* The error chain: order, limits, threads, memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include <weir/error.h>

#include "base/chain.h"
#include "base/poison.h"
#include "support/fault.h"

static char shown[4096];

static const char *print(void)
{
    size_t len = weir_error_print(shown, sizeof shown);

    assert_int_equal(len, strlen(shown));
    return shown;
}

static void outermost_first(void **state)
{
    const struct chain *chain;

    (void)state;
    assert_string_equal(print(), "");
    assert_null(chain_current());
    assert_int_equal(weir_fail(-ECONNREFUSED, "connect to %s: refused", "10.0.0.1:80"),
                     -ECONNREFUSED);
    assert_int_equal(weir_wrap(-ECONNREFUSED, "call of \"%s\"", "users"), -ECONNREFUSED);
    assert_int_equal(weir_wrap(-ECONNREFUSED, "GET /profile"), -ECONNREFUSED);
    assert_string_equal(print(),
                        "GET /profile: call of \"users\": connect to 10.0.0.1:80: refused");
    chain = chain_current();
    assert_int_equal(chain->count, 3);
    assert_non_null(strstr(chain->links[0].site, "test_chain.c:"));
    assert_true(weir_str_eq(chain_text(chain, 2), WEIR_S("GET /profile")));
    assert_null(chain_text(chain, 3).ptr);
    assert_null(chain_text(NULL, 0).ptr);
    weir_recover();
    assert_null(chain_current());
    assert_string_equal(print(), "");
    weir_recover();
}

static void a_new_failure_replaces_the_chain(void **state)
{
    (void)state;
    weir_fail(-EINVAL, "first");
    weir_wrap(-EINVAL, "around");
    weir_fail(-ENOENT, "second");
    assert_string_equal(print(), "second");
    /* Another code's chain is stale: the wrap starts afresh. */
    weir_wrap(-EPIPE, "third");
    assert_string_equal(print(), "third: Broken pipe");
    weir_wrap(-EPIPE, "fourth");
    assert_string_equal(print(), "fourth: third: Broken pipe");
    weir_recover();
}

static void a_wrap_that_starts_a_chain_says_what_the_code_means(void **state)
{
    char filler[CHAIN_LINK_BYTES + 10];

    (void)state;
    weir_wrap(-ENOENT, "loading %s", "a.yaml");
    assert_string_equal(print(), "loading a.yaml: No such file or directory");
    weir_recover();
    /* Once is enough. */
    weir_wrap(-ENOENT, "a.yaml: %s", weir_error_text(-ENOENT));
    assert_string_equal(print(), "a.yaml: No such file or directory");
    weir_recover();
    memset(filler, 'x', sizeof filler);
    for (int len = CHAIN_LINK_BYTES - 30; len < (int)sizeof filler; len++) {
        weir_wrap(WEIR_ECLOSED, "%.*s", len, filler);
        print();
        assert_int_equal(strlen(shown), len + 8 < CHAIN_LINK_BYTES ? len + 8 : CHAIN_LINK_BYTES);
        weir_recover();
    }
}

static void success_leaves_no_link(void **state)
{
    (void)state;
    assert_int_equal(weir_wrap(0, "nothing"), 0);
    assert_int_equal(weir_wrap(5, "nothing"), 5);
    assert_int_equal(weir_fail(0, "nothing"), 0);
    assert_null(chain_current());
}

static void arguments_may_lie_in_the_chain_itself(void **state)
{
    (void)state;
    weir_fail(-EINVAL, "inner text");
    weir_fail(-EIO, "was: %.*s", WEIR_ARG(chain_text(chain_current(), 0)));
    assert_string_equal(print(), "was: inner text");
    weir_recover();
}

static void errno_is_left_alone(void **state)
{
    (void)state;
    errno = ENOTTY;
    weir_fail(-EINVAL, "%s", "text");
    assert_int_equal(errno, ENOTTY);
    weir_recover();
}

static void the_first_and_the_last_of_many_stand(void **state)
{
    (void)state;
    weir_fail(-EIO, "link 0");
    for (int i = 1; i <= 20; i++) {
        char last[32];

        weir_wrap(-EIO, "link %d", i);
        snprintf(last, sizeof last, "link %d: ", i);
        assert_memory_equal(print(), last, strlen(last));
        assert_string_equal(shown + strlen(shown) - 8, ": link 0");
    }
    assert_int_equal(chain_current()->count, CHAIN_LINKS);
    assert_int_equal(chain_current()->dropped, 13);
    assert_string_equal(shown, "link 20: (13 left out): link 6: link 5: link 4: link 3: link 2: "
                               "link 1: link 0");
    weir_recover();
}

/* Links of every length: text is never over its bound, the ends stand, and what
 * is missing adds up. */
static void long_texts_push_out_the_middle(void **state)
{
    static char filler[CHAIN_LINK_BYTES + 1];

    (void)state;
    memset(filler, 'm', sizeof filler - 1);
    for (int len = 0; len < CHAIN_LINK_BYTES - 8; len += 7) {
        const struct chain *chain;
        unsigned missing = 0;

        weir_fail(-EIO, "first %.*s", len, filler);
        for (int i = 1; i < 12; i++)
            weir_wrap(-EIO, "%d %.*s", i, len, filler);
        chain = chain_current();
        assert_true(chain->used <= CHAIN_TEXT_BYTES);
        assert_memory_equal(chain_text(chain, 0).ptr, "first ", 6);
        assert_memory_equal(chain_text(chain, chain->count - 1u).ptr, "11 ", 3);
        for (unsigned i = 0; i < chain->count; i++)
            missing += chain->links[i].missing;
        assert_int_equal(missing, chain->dropped);
        assert_int_equal(missing + chain->count, 12);
    }
    weir_recover();
}

static void a_text_too_long_is_cut_between_characters(void **state)
{
    char text[CHAIN_LINK_BYTES * 2];
    weir_str kept;

    (void)state;
    for (size_t lead = 0; lead < 4; lead++) {
        size_t len = lead;

        memset(text, 'a', lead);
        for (; len + 3 < sizeof text; len += 3)
            memcpy(text + len, "\xe2\x82\xac", 3);
        text[len] = '\0';
        weir_fail(-EIO, "%s", text);
        kept = chain_text(chain_current(), 0);
        assert_true(kept.len <= CHAIN_LINK_BYTES && kept.len > CHAIN_LINK_BYTES - 6);
        assert_memory_equal(kept.ptr + kept.len - 3, "...", 3);
        assert_int_equal((kept.len - 3 - lead) % 3, 0);
    }
    weir_fail(-EIO, "%0*d", CHAIN_LINK_BYTES, 1);
    kept = chain_text(chain_current(), 0);
    assert_int_equal(kept.len, CHAIN_LINK_BYTES);
    assert_int_equal(kept.ptr[kept.len - 1], '1');
    weir_recover();
}

static void printing_into_any_room(void **state)
{
    char text[64];
    size_t whole;

    (void)state;
    weir_fail(-EIO, "inner");
    weir_wrap(-EIO, "outer");
    whole = strlen("outer: inner");
    for (size_t size = 0; size <= sizeof text; size++) {
        memset(text, '#', sizeof text);
        assert_int_equal(weir_error_print(size ? text : NULL, size), whole);
        if (size) {
            size_t kept = size - 1 < whole ? size - 1 : whole;

            assert_memory_equal(text, "outer: inner", kept);
            assert_int_equal(text[kept], '\0');
        }
        for (size_t at = size; at < sizeof text; at++)
            assert_int_equal(text[at], '#');
    }
    weir_recover();
}

static void a_slot_of_its_own(void **state)
{
    struct chain *slot = NULL;

    (void)state;
    weir_fail(-EIO, "the thread's");
    error_slot = &slot;
    assert_null(chain_current());
    weir_fail(-EPIPE, "the task's");
    assert_string_equal(print(), "the task's");
    assert_ptr_equal(chain_current(), slot);
    error_slot = NULL;
    assert_string_equal(print(), "the thread's");
    chain_print(slot, shown, sizeof shown);
    assert_string_equal(shown, "the task's");
    chain_free(slot);
    chain_free(NULL);
    weir_recover();
}

static void a_chain_can_be_put_back(void **state)
{
    struct chain *slot = NULL;

    (void)state;
    error_slot = &slot;
    weir_fail(-EPIPE, "the task's");
    error_slot = NULL;
    weir_fail(-EIO, "replaced");
    chain_set(slot);
    assert_string_equal(print(), "the task's");
    chain_set(slot);
    assert_string_equal(print(), "the task's");
    chain_set(NULL);
    assert_null(chain_current());
}

/* A thread whose only use of chains is that it was given one. */
static void *take_and_end(void *arg)
{
    chain_set(arg);
    return NULL;
}

static void a_thread_frees_the_chain_it_was_given(void **state)
{
    struct chain *slot = NULL;
    struct fault fault;
    pthread_t thread;

    (void)state;
    chain_thread_done();
    fault_begin(&fault);
    error_slot = &slot;
    weir_fail(-EPIPE, "moves");
    error_slot = NULL;
    assert_int_equal(fault.live, 1);
    assert_int_equal(pthread_create(&thread, NULL, take_and_end, slot), 0);
    pthread_join(thread, NULL);
    assert_int_equal(fault.live, 0);
    fault_end(&fault);
}

static void a_warm_failure_does_not_reach_the_heap(void **state)
{
    struct fault fault;

    (void)state;
    weir_fail(-EIO, "warm");
    weir_recover();
    fault_begin(&fault);
    for (int i = 0; i < 100; i++) {
        struct chain *slot = NULL;

        error_slot = &slot;
        weir_fail(-EIO, "failure %d", i);
        weir_wrap(-EIO, "around");
        assert_non_null(slot);
        weir_recover();
        error_slot = NULL;
    }
    assert_int_equal(fault.seen, 0);
    fault_end(&fault);
}

static void free_chains_are_poisoned(void **state)
{
    (void)state;
#if POISON_ON
    const struct chain *chain;

    weir_fail(-EIO, "gone soon");
    chain = chain_current();
    weir_recover();
    assert_true(__asan_address_is_poisoned(&chain->count));
    assert_true(__asan_address_is_poisoned(&chain->text[CHAIN_TEXT_BYTES - 1]));
#endif
}

/* A thread that ends with a chain standing and chains kept for reuse. */
static void *fail_and_end(void *arg)
{
    struct chain *slots[30] = { NULL };

    for (int i = 0; i < 30; i++) {
        error_slot = &slots[i];
        weir_fail(-EIO, "%d", i);
    }
    for (int i = 0; i < 29; i++)
        chain_free(slots[i]);
    *(struct chain **)arg = slots[29];
    error_slot = NULL;
    weir_fail(-EIO, "stands at the end");
    return NULL;
}

static void the_end_of_a_thread_frees_its_chains(void **state)
{
    struct fault fault;
    struct chain *moved = NULL;

    (void)state;
    chain_thread_done();
    fault_begin(&fault);
    for (int i = 0; i < 3; i++) {
        pthread_t thread;

        assert_int_equal(pthread_create(&thread, NULL, fail_and_end, &moved), 0);
        pthread_join(thread, NULL);
        assert_int_equal(fault.live, 1);
        chain_print(moved, shown, sizeof shown);
        assert_string_equal(shown, "29");
        chain_free(moved);
        chain_thread_done();
        assert_int_equal(fault.live, 0);
    }
    fault_end(&fault);
}

/* Without memory the code comes through all the same. */
static int fail_without_memory(void *arg)
{
    struct chain *slot = NULL;

    (void)arg;
    error_slot = &slot;
    assert_int_equal(weir_fail(-EIO, "text"), -EIO);
    assert_int_equal(weir_wrap(-EIO, "around"), -EIO);
    assert_true(strlen(print()) == 0 || strcmp(shown, "around: text") == 0 ||
                strcmp(shown, "around: Input/output error") == 0);
    weir_recover();
    error_slot = NULL;
    assert_int_equal(weir_wrap(-EIO, "the thread's"), -EIO);
    return 0;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    fault_sweep(fail_without_memory, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(outermost_first),
        cmocka_unit_test(a_new_failure_replaces_the_chain),
        cmocka_unit_test(a_wrap_that_starts_a_chain_says_what_the_code_means),
        cmocka_unit_test(success_leaves_no_link),
        cmocka_unit_test(arguments_may_lie_in_the_chain_itself),
        cmocka_unit_test(errno_is_left_alone),
        cmocka_unit_test(the_first_and_the_last_of_many_stand),
        cmocka_unit_test(long_texts_push_out_the_middle),
        cmocka_unit_test(a_text_too_long_is_cut_between_characters),
        cmocka_unit_test(printing_into_any_room),
        cmocka_unit_test(a_slot_of_its_own),
        cmocka_unit_test(a_chain_can_be_put_back),
        cmocka_unit_test(a_thread_frees_the_chain_it_was_given),
        cmocka_unit_test(a_warm_failure_does_not_reach_the_heap),
        cmocka_unit_test(free_chains_are_poisoned),
        cmocka_unit_test(the_end_of_a_thread_frees_its_chains),
        cmocka_unit_test(every_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
