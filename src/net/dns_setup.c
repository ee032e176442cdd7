/* How names are looked up: the options of the process.
 *
 * Loops copy them when the generation has changed, so that no lookup takes the
 * lock. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "net/dns.h"

#define DNS_TIMEOUT_MS 2000
#define DNS_TRIES 3
#define DNS_MIN_TTL_MS 1000
#define DNS_MAX_TTL_MS 3600000
#define DNS_NEGATIVE_TTL_MS 5000
#define DNS_FAILURE_TTL_MS 1000
#define DNS_STALE_MS 600000
#define DNS_NAMES 1024
#define DNS_QUERIES 256

static struct dns_process {
    pthread_mutex_t lock;
    atomic_uint generation;
    struct dns_setup setup;
} process = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void set_default(uint32_t *option, uint32_t value)
{
    if (*option == 0)
        *option = value;
}

static void fill(struct dns_setup *setup)
{
    weir_dns_opts *opts = &setup->opts;

    opts->servers = setup->servers;
    opts->resolv_conf = setup->resolv_conf;
    opts->hosts = setup->hosts;
    set_default(&opts->timeout_ms, DNS_TIMEOUT_MS);
    set_default(&opts->tries, DNS_TRIES);
    set_default(&opts->min_ttl_ms, DNS_MIN_TTL_MS);
    set_default(&opts->max_ttl_ms, DNS_MAX_TTL_MS);
    set_default(&opts->negative_ttl_ms, DNS_NEGATIVE_TTL_MS);
    set_default(&opts->failure_ttl_ms, DNS_FAILURE_TTL_MS);
    set_default(&opts->stale_ms, DNS_STALE_MS);
    set_default(&opts->max_names, DNS_NAMES);
    set_default(&opts->max_queries, DNS_QUERIES);
}

static int copy(char to[static DNS_TEXT_BYTES], const char *text, const char *unset)
{
    int len = snprintf(to, DNS_TEXT_BYTES, "%s", text ? text : unset);

    return len < DNS_TEXT_BYTES ? 0
                                : weir_fail(-EINVAL,
                                            "an option of weir_dns_setup() is longer "
                                            "than %d bytes",
                                            DNS_TEXT_BYTES - 1);
}

static int texts(struct dns_setup *setup, const weir_dns_opts *opts)
{
    int rc = copy(setup->servers, opts->servers, "");

    if (rc == 0)
        rc = copy(setup->resolv_conf, opts->resolv_conf, "/etc/resolv.conf");
    if (rc == 0)
        rc = copy(setup->hosts, opts->hosts, "/etc/hosts");
    return rc;
}

int weir_dns_setup_opt(const weir_dns_opts *opts)
{
    struct dns_setup setup = { .opts = *opts };
    int rc = texts(&setup, opts);

    if (rc < 0)
        return rc;
    pthread_mutex_lock(&process.lock);
    setup.generation = atomic_load(&process.generation) + 1;
    process.setup = setup;
    atomic_store(&process.generation, setup.generation);
    pthread_mutex_unlock(&process.lock);
    return 0;
}

uint32_t dns_setup_generation(void)
{
    return atomic_load_explicit(&process.generation, memory_order_acquire);
}

void dns_setup_get(struct dns_setup *ret_setup)
{
    static const weir_dns_opts unset = { .size = sizeof(unset) };

    pthread_mutex_lock(&process.lock);
    *ret_setup = process.setup;
    pthread_mutex_unlock(&process.lock);
    if (ret_setup->generation == 0)
        WEIR_IGNORE(texts(ret_setup, &unset), "the defaults fit");
    fill(ret_setup);
}

bool dns_file_changed(struct dns_file *file, const char *path, int64_t now_ns)
{
    struct stat now = { 0 };
    bool changed;

    if (file->looked_ns && now_ns - file->looked_ns < DNS_LOOK_NS)
        return false;
    changed = file->looked_ns == 0;
    file->looked_ns = now_ns;
    if (stat(path, &now) < 0)
        now = (struct stat){ 0 };
    changed |= now.st_ino != file->seen.st_ino || now.st_size != file->seen.st_size ||
               now.st_mtim.tv_sec != file->seen.st_mtim.tv_sec ||
               now.st_mtim.tv_nsec != file->seen.st_mtim.tv_nsec;
    file->seen = now;
    return changed;
}
