/* Read-write lock, condition, latch and barrier: order and results, random runs
 * against a model, what a cancel at every wait leaves behind, and mistakes. */
#include "rt/sync_run.h"

#include <weir/chan.h>
#include <weir/sync.h>

#include "support/random.h"

/* ---- read-write lock ------------------------------------------------------- */

static weir_rwlock rwlock = { .shared = TEST_SHARED };
static char seen[64]; /* 'R' and 'W' where one goes in, in lower case where it leaves */
static size_t seen_len;

static void see(char what)
{
    CHECK(seen_len + 1 < sizeof(seen));
    seen[seen_len++] = what;
    seen[seen_len] = '\0';
}

static int read_a_while(void *arg)
{
    int rc = weir_read_lock(&rwlock);

    (void)arg;
    if (rc < 0)
        return rc;
    see('R');
    rc = weir_sleep_ms(2);
    see('r');
    weir_read_unlock(&rwlock);
    return rc;
}

static int write_a_while(void *arg)
{
    int rc = weir_write_lock(&rwlock);

    (void)arg;
    if (rc < 0)
        return rc;
    see('W');
    rc = weir_sleep_ms(2);
    see('w');
    weir_write_unlock(&rwlock);
    return rc;
}

TASK_TEST(readers_share_and_nobody_overtakes)
{
    (void)arg;
    seen_len = 0;
    WEIR_SCOPE(s) {
        for (const char *c = "RRWRRWW"; *c; c++)
            weir_go(s, *c == 'R' ? read_a_while : write_a_while, NULL);
        CHECK_INT(weir_join(s), 0);
    }
    CHECK_TEXT(seen, "RRrrWwRRrrWwWw");
    weir_rwlock_done(&rwlock);
    return 0;
}

TASK_TEST(taking_a_lock_again_is_refused)
{
    (void)arg;
    CHECK_INT(weir_read_lock(&rwlock), 0);
    CHECK_INT(weir_read_lock(&rwlock), -EDEADLK);
    CHECK_INT(weir_write_lock(&rwlock), -EDEADLK);
    CHECK_INT(weir_try_write_lock(&rwlock), -EBUSY);
    weir_read_unlock(&rwlock);
    CHECK_INT(weir_write_lock(&rwlock), 0);
    CHECK_INT(weir_read_lock(&rwlock), -EDEADLK);
    CHECK_INT(weir_write_lock(&rwlock), -EDEADLK);
    CHECK_INT(weir_try_read_lock(&rwlock), -EBUSY);
    weir_write_unlock(&rwlock);
    weir_recover();
    return 0;
}

TASK_TEST(a_writer_that_gives_up_lets_the_readers_behind_it_in)
{
    (void)arg;
    seen_len = 0;
    CHECK_INT(weir_read_lock(&rwlock), 0);
    WEIR_SCOPE(s) {
        WEIR_SCOPE(writer, .timeout_ms = 3) {
            weir_go(writer, write_a_while, NULL);
            settle();
            weir_go(s, read_a_while, NULL);
            weir_go(s, read_a_while, NULL);
            settle();
            CHECK_INT(weir_try_read_lock(&rwlock), -EBUSY); /* the writer came first */
            CHECK_INT(weir_join(writer), -ETIMEDOUT);
        }
        weir_recover();
        CHECK_INT(weir_join(s), 0);
    }
    CHECK_TEXT(seen, "RRrr");
    weir_read_unlock(&rwlock);
    weir_rwlock_done(&rwlock);
    return 0;
}

/* Many more than are known by name. */
TASK_TEST(many_read_at_once)
{
    (void)arg;
    seen_len = 0;
    WEIR_SCOPE(s) {
        for (int i = 0; i < 20; i++)
            weir_go(s, read_a_while, NULL);
        weir_go(s, write_a_while, NULL);
        CHECK_INT(weir_join(s), 0);
    }
    CHECK_TEXT(seen, "RRRRRRRRRRRRRRRRRRRRrrrrrrrrrrrrrrrrrrrrWw");
    weir_rwlock_done(&rwlock);
    return 0;
}

/* ---- against a model --------------------------------------------------------- */

/* Workers do what they are told, one thing at a time; the model says after each
 * who reads, writes and waits. */
enum { WORKERS = 12, STEPS = 4000 };
enum state { IDLE, WAITS_TO_READ, WAITS_TO_WRITE, READS, WRITES };
enum order { READ, WRITE, TRY_READ, TRY_WRITE, LEAVE, END };

struct command {
    enum order order;
    int cancel; /* whom to cancel in the same turn, or -1 */
};

typedef WEIR_CHAN(struct command) command_chan;

static struct worker {
    command_chan commands;
    weir_scope scope; /* around its wait */
    enum state state;
} workers[WORKERS];

static struct model {
    enum state states[WORKERS];
    int queue[WORKERS], waiting;
} model;

static bool model_may(bool writes)
{
    for (int i = 0; i < WORKERS; i++)
        if (model.states[i] == WRITES || (writes && model.states[i] == READS))
            return false;
    return true;
}

static void model_serve(void)
{
    while (model.waiting > 0) {
        int first = model.queue[0];
        bool writes = model.states[first] == WAITS_TO_WRITE;

        if (!model_may(writes))
            return;
        model.states[first] = writes ? WRITES : READS;
        memmove(model.queue, model.queue + 1, sizeof(int) * (size_t)--model.waiting);
    }
}

static void model_cancel(int who)
{
    for (int i = 0; i < model.waiting; i++) {
        if (model.queue[i] != who)
            continue;
        model.states[who] = IDLE;
        model.waiting--;
        memmove(model.queue + i, model.queue + i + 1, sizeof(int) * (size_t)(model.waiting - i));
        model_serve();
        return;
    }
}

static void model_do(int who, const struct command *command)
{
    bool writes = command->order == WRITE || command->order == TRY_WRITE;

    if (command->order == LEAVE) {
        model.states[who] = IDLE;
    } else if (command->order == READ || command->order == WRITE) {
        model.states[who] = writes ? WAITS_TO_WRITE : WAITS_TO_READ;
        model.queue[model.waiting++] = who;
    } else if (model.waiting == 0 && model_may(writes)) {
        model.states[who] = writes ? WRITES : READS;
    }
    model_serve();
    if (command->cancel >= 0)
        model_cancel(command->cancel);
}

static void worker_lock(struct worker *w, bool writes)
{
    int rc = 0;

    w->state = writes ? WAITS_TO_WRITE : WAITS_TO_READ;
    WEIR_SCOPE(s, .keeps_locks = true) {
        w->scope = s;
        rc = writes ? weir_write_lock(&rwlock) : weir_read_lock(&rwlock);
    }
    CHECK(rc == 0 || rc == -ECANCELED);
    w->state = rc < 0 ? IDLE : writes ? WRITES : READS;
}

static void worker_try(struct worker *w, bool writes)
{
    int rc = writes ? weir_try_write_lock(&rwlock) : weir_try_read_lock(&rwlock);

    CHECK(rc == 0 || rc == -EBUSY);
    w->state = rc < 0 ? IDLE : writes ? WRITES : READS;
}

static int worker_run(void *arg)
{
    struct worker *w = arg;
    struct command command;

    while (weir_recv(w->commands, &command) == 1 && command.order != END) {
        if (command.order == LEAVE) {
            if (w->state == WRITES)
                weir_write_unlock(&rwlock);
            else
                weir_read_unlock(&rwlock);
            w->state = IDLE;
            /* Who has just been given the lock keeps it: a result beats a cancel. */
            if (command.cancel >= 0)
                weir_cancel(workers[command.cancel].scope);
        } else if (command.order == READ || command.order == WRITE) {
            worker_lock(w, command.order == WRITE);
        } else {
            worker_try(w, command.order == TRY_WRITE);
        }
    }
    return 0;
}

static void model_compare(int step)
{
    for (int i = 0; i < WORKERS; i++) {
        if (workers[i].state == model.states[i])
            continue;
        fprintf(stderr, "step %d: worker %d is %d, the model says %d\n", step, i,
                (int)workers[i].state, (int)model.states[i]);
        abort();
    }
}

static void model_step(struct random *random)
{
    int who = (int)random_below(random, WORKERS), other = (int)random_below(random, WORKERS);
    struct command command = { .order = random_below(random, 8) == 0 ? TRY_READ : READ,
                               .cancel = -1 };

    if (random_below(random, 3) == 0)
        command.order++; /* for writing */
    if (model.states[who] == READS || model.states[who] == WRITES) {
        command.order = LEAVE;
        if (model.states[other] == WAITS_TO_READ || model.states[other] == WAITS_TO_WRITE)
            command.cancel = random_below(random, 2) ? other : -1;
    } else if (model.states[who] != IDLE) { /* it waits: now and then it gives up */
        if (random_below(random, 2)) {
            model_cancel(who);
            weir_cancel(workers[who].scope);
        }
        return;
    }
    model_do(who, &command);
    CHECK_INT(weir_send(workers[who].commands, &command), 1);
}

TASK_TEST(a_read_write_lock_does_what_the_model_says)
{
    struct random random;

    (void)arg;
    random_begin(&random);
    model = (struct model){ .waiting = 0 };
    WEIR_SCOPE(s) {
        for (int i = 0; i < WORKERS; i++) {
            CHECK_INT(weir_chan_open(&workers[i].commands, .capacity = 1), 0);
            weir_go(s, worker_run, &workers[i]);
        }
        for (int step = 0; step < STEPS; step++) {
            model_step(&random);
            settle();
            model_compare(step);
        }
        for (int left = 1; left > 0;) { /* whoever holds it leaves, until nobody does */
            left = 0;
            for (int i = 0; i < WORKERS; i++) {
                struct command leave = { LEAVE, -1 };

                if (model.states[i] != READS && model.states[i] != WRITES)
                    continue;
                left++;
                model_do(i, &leave);
                CHECK_INT(weir_send(workers[i].commands, &leave), 1);
                settle();
                model_compare(STEPS);
            }
        }
        for (int i = 0; i < WORKERS; i++)
            CHECK_INT(weir_send(workers[i].commands, &(struct command){ END, -1 }), 1);
        CHECK_INT(weir_join(s), 0);
    }
    for (int i = 0; i < WORKERS; i++)
        weir_chan_free(workers[i].commands);
    weir_rwlock_done(&rwlock);
    return 0;
}

/* ---- condition --------------------------------------------------------------- */

static struct counter {
    weir_mutex mutex;
    weir_condition changed;
    int items, order[8], taken, rc;
} counter;

static int take_item(void *arg)
{
    int rc = weir_lock(&counter.mutex);

    if (rc < 0)
        return rc;
    while (rc == 0 && counter.items == 0)
        rc = weir_condition_wait(&counter.changed, &counter.mutex);
    CHECK_INT(weir_try_lock(&counter.mutex), -EBUSY); /* it is held, whatever rc is */
    if (rc == 0) {
        counter.items--;
        counter.order[counter.taken++] = *(int *)arg;
    }
    counter.rc = rc;
    weir_unlock(&counter.mutex);
    return rc;
}

static void add_item(bool to_all)
{
    CHECK_INT(weir_lock(&counter.mutex), 0);
    counter.items++;
    if (to_all)
        weir_condition_broadcast(&counter.changed);
    else
        weir_condition_signal(&counter.changed);
    weir_unlock(&counter.mutex);
}

TASK_TEST(signals_go_to_those_who_came_first)
{
    int ids[4] = { 0, 1, 2, 3 };

    (void)arg;
    counter = (struct counter){ .mutex.shared = TEST_SHARED, .changed.shared = TEST_SHARED };
    weir_condition_signal(&counter.changed); /* nobody waits: it is gone */
    WEIR_SCOPE(s) {
        for (int i = 0; i < 4; i++)
            weir_go(s, take_item, &ids[i]);
        settle();
        CHECK_INT(counter.taken, 0);
        add_item(false);
        add_item(false);
        settle();
        CHECK_INT(counter.taken, 2);
        add_item(true);
        settle();
        CHECK_INT(counter.taken, 3);
        add_item(true);
        CHECK_INT(weir_join(s), 0);
    }
    for (int i = 0; i < 4; i++)
        CHECK_INT(counter.order[i], i);
    weir_condition_done(&counter.changed);
    return 0;
}

TASK_TEST(a_cancelled_wait_comes_back_with_the_mutex)
{
    int id = 0;

    (void)arg;
    counter = (struct counter){ .mutex.shared = TEST_SHARED, .changed.shared = TEST_SHARED };
    WEIR_SCOPE(s, .timeout_ms = 5) {
        weir_go(s, take_item, &id);
        settle();
        CHECK_INT(weir_join(s), -ETIMEDOUT);
    }
    weir_recover();
    CHECK_INT(weir_lock(&counter.mutex), 0);
    WEIR_SCOPE(s) { /* cancelled while another holds the mutex: it waits for that */
        weir_unlock(&counter.mutex);
        weir_go(s, take_item, &id);
        settle();
        CHECK_INT(weir_try_lock(&counter.mutex), 0);
        weir_cancel(s);
        counter.rc = 1;
        WEIR_SCOPE(still, .shield = true) {
            settle();
            CHECK_INT(counter.rc, 1);
            weir_unlock(&counter.mutex);
            settle();
        }
        CHECK_INT(counter.rc, -ECANCELED);
        CHECK_INT(weir_join(s), -ECANCELED);
    }
    weir_recover();
    weir_condition_done(&counter.changed);
    return 0;
}

TASK_TEST(a_signal_beats_a_cancel)
{
    int id = 0;

    (void)arg;
    counter = (struct counter){ .mutex.shared = TEST_SHARED, .changed.shared = TEST_SHARED };
    WEIR_SCOPE(s) {
        weir_go(s, take_item, &id);
        settle();
        add_item(false);
        weir_cancel(s);
        WEIR_IGNORE(weir_join(s), "0, or the scope's code");
    }
    weir_recover();
    CHECK_INT(counter.taken, 1);
    CHECK_INT(counter.rc, 0);
    return 0;
}

/* ---- latch and barrier --------------------------------------------------------- */

static weir_latch latch;
static weir_barrier barrier;
static int passed, last;

static int wait_for_latch(void *arg)
{
    int rc = weir_latch_wait(&latch);

    (void)arg;
    passed += rc == 0;
    return rc;
}

static int meet(void *arg)
{
    int rc = weir_barrier_wait(&barrier);

    (void)arg;
    passed += rc >= 0;
    last += rc > 0;
    return rc;
}

TASK_TEST(a_latch_opens_for_good)
{
    (void)arg;
    passed = 0;
    weir_latch_init(&latch, 2, .shared = TEST_SHARED);
    WEIR_SCOPE(s) {
        for (int i = 0; i < 3; i++)
            weir_go(s, wait_for_latch, NULL);
        WEIR_SCOPE(late, .timeout_ms = 2)
            CHECK_INT(weir_latch_wait(&latch), -ETIMEDOUT);
        weir_latch_count_down(&latch);
        settle();
        CHECK_INT(passed, 0);
        weir_latch_count_down(&latch);
        CHECK_INT(weir_join(s), 0);
    }
    CHECK_INT(passed, 3);
    CHECK_INT(weir_latch_wait(&latch), 0);
    weir_latch_done(&latch);
    return 0;
}

TASK_TEST(a_barrier_lets_groups_through)
{
    (void)arg;
    passed = last = 0;
    CHECK_INT(weir_barrier_init(&barrier, 0), -EINVAL);
    weir_recover();
    CHECK_INT(weir_barrier_init(&barrier, 3, .shared = TEST_SHARED), 0);
    WEIR_SCOPE(s) {
        for (int i = 0; i < 8; i++)
            weir_go(s, meet, NULL);
        settle();
        CHECK_INT(passed, 6);
        /* One comes and gives up: its arrival does not count. */
        WEIR_SCOPE(gone, .timeout_ms = 5) {
            weir_cancel(gone);
            CHECK_INT(weir_barrier_wait(&barrier), -ECANCELED);
        }
        CHECK_INT(weir_barrier_wait(&barrier), 1);
        CHECK_INT(weir_join(s), 0);
        WEIR_SCOPE(gone, .timeout_ms = 2)
            CHECK_INT(weir_barrier_wait(&barrier), -ETIMEDOUT);
        weir_go(s, meet, NULL);
        weir_go(s, meet, NULL);
        settle();
        CHECK_INT(passed, 8);
        CHECK_INT(weir_barrier_wait(&barrier), 1);
        CHECK_INT(weir_join(s), 0);
    }
    CHECK_INT(passed, 10);
    CHECK_INT(last, 2);
    weir_barrier_done(&barrier);
    return 0;
}

/* ---- a cancel at every wait ----------------------------------------------- */

static int swept_rwlock(void *arg)
{
    int rc;

    (void)arg;
    seen_len = 0;
    WEIR_SCOPE(outer) {
        WEIR_SCOPE(s) {
            sweep_at(s);
            weir_go(s, read_a_while, NULL);
            weir_go(s, write_a_while, NULL);
            weir_go(outer, read_a_while, NULL);
            weir_go(s, write_a_while, NULL);
            weir_go(outer, write_a_while, NULL);
            weir_go(s, read_a_while, NULL);
            rc = weir_join(s);
            sweep_over();
            CHECK(rc == 0 || gave_up(rc));
        }
        weir_recover();
        CHECK_INT(weir_join(outer), 0); /* those that nobody cancelled have had their turn */
    }
    CHECK_INT(weir_try_write_lock(&rwlock), 0);
    weir_write_unlock(&rwlock);
    weir_rwlock_done(&rwlock);
    return 0;
}

static int swept_condition(void *arg)
{
    int ids[4] = { 0, 1, 2, 3 }, rc;

    (void)arg;
    counter = (struct counter){ .mutex.shared = TEST_SHARED, .changed.shared = TEST_SHARED };
    WEIR_SCOPE(outer) {
        WEIR_SCOPE(s) {
            sweep_at(s);
            for (int i = 0; i < 4; i++)
                weir_go(i < 2 ? s : outer, take_item, &ids[i]);
            weir_go(s, take_item, &ids[0]);
            WEIR_SCOPE(still, .shield = true, .grace_ms = 100000) {
                for (int i = 0; i < 5; i++) {
                    CHECK_INT(weir_sleep_ms(1), 0);
                    add_item(i & 1);
                }
            }
            rc = weir_join(s);
            sweep_over();
            CHECK(rc == 0 || gave_up(rc));
        }
        weir_recover();
        CHECK_INT(weir_join(outer), 0);
    }
    CHECK_INT(counter.items + counter.taken, 5);
    CHECK_INT(weir_try_lock(&counter.mutex), 0);
    weir_unlock(&counter.mutex);
    weir_condition_done(&counter.changed);
    return 0;
}

static int count_down_later(void *arg)
{
    int rc = weir_sleep_ms(2);

    (void)arg;
    weir_latch_count_down(&latch);
    return rc;
}

static int swept_latch_and_barrier(void *arg)
{
    int rc;

    (void)arg;
    passed = last = 0;
    weir_latch_init(&latch, 2, .shared = TEST_SHARED);
    CHECK_INT(weir_barrier_init(&barrier, 3, .shared = TEST_SHARED), 0);
    WEIR_SCOPE(outer) {
        WEIR_SCOPE(s) {
            sweep_at(s);
            for (int i = 0; i < 3; i++)
                weir_go(s, meet, NULL);
            weir_go(s, wait_for_latch, NULL);
            weir_go(outer, wait_for_latch, NULL);
            weir_go(outer, count_down_later, NULL);
            weir_go(outer, count_down_later, NULL);
            rc = weir_join(s);
            sweep_over();
            CHECK(rc == 0 || gave_up(rc));
        }
        weir_recover();
        CHECK_INT(weir_join(outer), 0);
        passed = last = 0;
        for (int i = 0; i < 6; i++) /* the barrier counts from 0 again */
            weir_go(outer, meet, NULL);
        CHECK_INT(weir_join(outer), 0);
        CHECK_INT(passed, 6);
        CHECK_INT(last, 2);
    }
    weir_latch_done(&latch);
    weir_barrier_done(&barrier);
    return 0;
}

static void every_wait(void **state)
{
    (void)state;
    sweep_everywhere(swept_rwlock, 8);
    sweep_everywhere(swept_condition, 10);
    sweep_everywhere(swept_latch_and_barrier, 5);
}

/* ---- mistakes ------------------------------------------------------------- */

static int end_a_read_of_another(void *arg)
{
    (void)arg;
    WEIR_SCOPE(s) {
        weir_go(s, read_a_while, NULL);
        settle();
        weir_read_unlock(&rwlock);
        CHECK_INT(weir_join(s), 0);
    }
    return 0;
}

static int end_a_write_of_another(void *arg)
{
    (void)arg;
    WEIR_SCOPE(s) {
        weir_go(s, write_a_while, NULL);
        settle();
        weir_write_unlock(&rwlock);
        CHECK_INT(weir_join(s), 0);
    }
    return 0;
}

static int free_a_held_lock(void *arg)
{
    (void)arg;
    CHECK_INT(weir_read_lock(&rwlock), 0);
    weir_rwlock_done(&rwlock);
    weir_read_unlock(&rwlock);
    return 0;
}

static int wait_without_the_mutex(void *arg)
{
    (void)arg;
    CHECK_INT(weir_condition_wait(&counter.changed, &counter.mutex), WEIR_EWRONGUSE);
    return 0;
}

static int free_a_condition(void *arg)
{
    int id = 0;

    (void)arg;
    WEIR_SCOPE(s) {
        weir_go(s, take_item, &id, .optional = true);
        settle();
        weir_condition_done(&counter.changed);
        CHECK_INT(weir_join(s), 0);
    }
    CHECK_INT(counter.rc, WEIR_ECLOSED);
    return 0;
}

static int free_a_latch(void *arg)
{
    (void)arg;
    weir_latch_init(&latch, 1, .shared = TEST_SHARED);
    WEIR_SCOPE(s) {
        weir_go(s, wait_for_latch, NULL);
        settle();
        weir_latch_done(&latch);
        CHECK_INT(weir_join(s), WEIR_ECLOSED);
    }
    weir_recover();
    return 0;
}

static int count_too_far(void *arg)
{
    (void)arg;
    weir_latch_init(&latch, 1, .shared = TEST_SHARED);
    weir_latch_count_down(&latch);
    weir_latch_count_down(&latch);
    return weir_latch_wait(&latch);
}

static int free_a_barrier(void *arg)
{
    (void)arg;
    CHECK_INT(weir_barrier_init(&barrier, 2, .shared = TEST_SHARED), 0);
    WEIR_SCOPE(s) {
        weir_go(s, meet, NULL);
        settle();
        weir_barrier_done(&barrier);
        CHECK_INT(weir_join(s), WEIR_ECLOSED);
    }
    weir_recover();
    return 0;
}

static int give_back(void *arg)
{
    weir_release(arg);
    return 0;
}

/* Its unit goes back at the child's end, too. */
static int give_back_what_the_child_needed(void *arg)
{
    weir_semaphore *semaphore;

    (void)arg;
    CHECK_INT(weir_semaphore_new(&semaphore, .units = 2, .name = "disk"), 0);
    WEIR_SCOPE(s) {
        weir_go(s, give_back, semaphore, .needs = semaphore);
        CHECK_INT(weir_join(s), 0);
    }
    CHECK_INT(weir_try_acquire(semaphore), 0);
    CHECK_INT(weir_try_acquire(semaphore), 0);
    CHECK_INT(weir_try_acquire(semaphore), -EAGAIN);
    weir_semaphore_free(semaphore);
    return 0;
}

static void mistakes_are_named(void **state)
{
    (void)state;
    expect_wrong_use(end_a_read_of_another, "that it does not read under");
    expect_wrong_use(end_a_write_of_another, "a write under a lock that it does not hold");
    expect_wrong_use(free_a_held_lock, "a read-write lock was freed while a task holds it");
    expect_wrong_use(wait_without_the_mutex, "a condition without its mutex");
    expect_wrong_use(free_a_condition, "a condition was freed while a task waits");
    expect_wrong_use(free_a_latch, "a latch was freed while a task waits");
    expect_wrong_use(count_too_far, "counted down below 0");
    expect_wrong_use(free_a_barrier, "a barrier was freed while a task waits");
    expect_wrong_use(give_back_what_the_child_needed, "all 2 units of \"disk\" are free already");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(readers_share_and_nobody_overtakes),
        cmocka_unit_test(taking_a_lock_again_is_refused),
        cmocka_unit_test(a_writer_that_gives_up_lets_the_readers_behind_it_in),
        cmocka_unit_test(many_read_at_once),
        cmocka_unit_test(a_read_write_lock_does_what_the_model_says),
        cmocka_unit_test(signals_go_to_those_who_came_first),
        cmocka_unit_test(a_cancelled_wait_comes_back_with_the_mutex),
        cmocka_unit_test(a_signal_beats_a_cancel),
        cmocka_unit_test(a_latch_opens_for_good),
        cmocka_unit_test(a_barrier_lets_groups_through),
        cmocka_unit_test(every_wait),
        cmocka_unit_test(mistakes_are_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
