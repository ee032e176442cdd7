/* JSON of any bytes: checked, and decoded into a struct of every kind. What decodes
 * passed the check; what was decoded is encoded, and comes back the same. */
#include <stdint.h>
#include <stdlib.h>

#include <weir/error.h>
#include <weir/json.h>

#include "type/current.h"
#include "type/sample.h"

static struct arena arena;

static struct arena *the_arena(void)
{
    return &arena;
}

static void must(bool condition)
{
    if (!condition)
        abort();
}

static void round_trip(const struct sample *s)
{
    struct sample again;
    weir_str first, second;

    must(weir_json_encode(&sample_type, s, &first) == 0);
    must(weir_json_decode(first, &sample_type, &again, NULL) == 0);
    must(weir_json_encode(&sample_type, &again, &second) == 0);
    must(weir_str_eq(first, second));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    weir_str text = weir_str_from((const char *)data, size);
    weir_json_flaw flaw = { 0 };
    int checked = size ? weir_json_check(text, &flaw) : WEIR_EJSON;
    weir_faults faults;
    struct sample s;
    int rc;

    if (size == 0)
        return 0;
    must(checked == 0 || (checked == WEIR_EJSON && flaw.what && flaw.offset <= size));
    arena_init(&arena, NULL);
    type_arena = the_arena;
    rc = weir_json_decode(text, &sample_type, &s, &faults);
    must(rc == 0 || rc == WEIR_EJSON || rc == WEIR_EINPUT);
    must((rc == 0) == (faults.count == 0));
    must(checked == 0 || rc == WEIR_EJSON);
    for (size_t i = 0; i < faults.count; i++) {
        char line[1024];

        weir_fault_print(line, sizeof line, WEIR_S("fuzz"), &faults.list[i]);
    }
    if (rc == 0)
        round_trip(&s);
    type_arena = NULL;
    arena_reset(&arena);
    weir_recover();
    return 0;
}
