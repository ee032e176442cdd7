/* How long tasks live; see lives.h. */
#include "rt/lives.h"

#define WEIGHT 16 /* the mean moves by a sixteenth of what is new */

static uint32_t place_of(const char *site)
{
    uint64_t hash = (uint64_t)(uintptr_t)site * UINT64_C(0x9e3779b97f4a7c15);

    return (uint32_t)(hash >> 56) % LOOP_LIVES;
}

void lives_note(struct loop *loop, const char *site, int64_t life_ns)
{
    struct life *life = &loop->lives[place_of(site)];

    if (life->site != site)
        *life = (struct life){ .site = site };
    if (life->count < WEIGHT)
        life->count++;
    life->mean_ns += (life_ns - life->mean_ns) / life->count;
}

int64_t lives_usual_ns(const struct loop *loop, const char *site)
{
    const struct life *life = &loop->lives[place_of(site)];

    return life->site == site && life->count >= LIVES_KNOWN ? life->mean_ns : -1;
}
