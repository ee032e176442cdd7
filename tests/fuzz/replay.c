/* Runs a fuzz target over files without a fuzzer: each file of the folders, and each file, that
 * are named on the command line. What a fuzzer once found stays found in every test run.
 *
 * A folder without files is an error: a corpus that went missing must not look like a pass. */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REPLAY_INPUT_MAX (64u << 20)

static int replay_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    struct stat st;
    uint8_t *data = NULL;
    int rc = -1;

    if (!file || fstat(fileno(file), &st) < 0 || st.st_size > REPLAY_INPUT_MAX)
        goto out;
    /* Exactly the size, so that a sanitizer sees a read behind the end. */
    data = malloc(st.st_size > 0 ? (size_t)st.st_size : 1);
    if (!data || fread(data, 1, (size_t)st.st_size, file) != (size_t)st.st_size)
        goto out;
    LLVMFuzzerTestOneInput(data, (size_t)st.st_size);
    rc = 1;
out:
    if (rc < 0)
        fprintf(stderr, "%s: can't be read whole: %s\n", path, strerror(errno));
    free(data);
    if (file)
        fclose(file);
    return rc;
}

/* The number of inputs that were run, or -1. */
static int replay_folder(const char *path)
{
    struct dirent **entries;
    int n = scandir(path, &entries, NULL, alphasort);
    int count = 0;

    if (n < 0) {
        fprintf(stderr, "%s: can't be listed: %s\n", path, strerror(errno));
        return -1;
    }
    for (int i = 0; i < n; i++) {
        char name[4096];

        if (count >= 0 && entries[i]->d_name[0] != '.') {
            snprintf(name, sizeof(name), "%s/%s", path, entries[i]->d_name);
            count = replay_file(name) < 0 ? -1 : count + 1;
        }
        free(entries[i]);
    }
    free(entries);
    if (count == 0) {
        fprintf(stderr, "%s: no input in it: a target needs at least one seed\n", path);
        return -1;
    }
    return count;
}

int main(int argc, char **argv)
{
    int total = 0;

    for (int i = 1; i < argc; i++) {
        struct stat st;
        int n = stat(argv[i], &st) == 0 && S_ISREG(st.st_mode) ? replay_file(argv[i])
                                                               : replay_folder(argv[i]);

        if (n < 0)
            return 1;
        total += n;
    }
    printf("%d inputs\n", total);
    return total > 0 ? 0 : 1;
}
