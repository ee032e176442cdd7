/* The places that queues are opened at. */
#include "support/in_task.h"

#include <weir/chan.h>

#include "rt/queue.h"

typedef WEIR_CHAN(int) int_chan;

TASK_TEST(a_place_outlives_the_name_of_its_first_queue)
{
    char name[] = "orders";
    uint32_t before = queue_place_count();
    const struct queue_place *place;
    int_chan chan;

    (void)arg;
    CHECK_INT(weir_chan_open(&chan, .capacity = 2, .name = name), 0);
    CHECK_INT(queue_place_count(), before + 1);
    weir_chan_free(chan);
    memset(name, 'x', sizeof(name) - 1);
    place = queue_place_at(before);
    CHECK_INT(strcmp(place->name, "orders"), 0);
    CHECK_INT(atomic_load(&place->open), 0);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_place_outlives_the_name_of_its_first_queue),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
