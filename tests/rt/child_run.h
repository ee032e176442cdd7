/* A mistake of the program, made in a child process: it stops a debug build, and is
 * counted by a release build. */
#ifndef RT_CHILD_RUN_H
#define RT_CHILD_RUN_H

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rt/rt.h"
#include "support/in_task.h"

#define CHILD_TEXT_BYTES 4000
#define CHILD_COUNTED 40 /* and so many more: how a release build's child ends */

struct child {
    int status;
    char text[CHILD_TEXT_BYTES]; /* what it wrote to standard error */
};

static inline void child_main(weir_fn *fn, int err)
{
    uint32_t counted;

    setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
    dup2(err, 2);
    signal(SIGABRT, SIG_DFL);
    if (weir_run(fn, NULL, .loops = 2, .grace_ms = 200) < 0)
        _exit(1);
    counted = rt_wrong_uses();
    _exit(counted ? CHILD_COUNTED + (int)counted : 0);
}

static inline struct child child_run(weir_fn *fn)
{
    struct child child;
    size_t len = 0;
    int ends[2];
    ssize_t n;
    pid_t pid;

    assert_int_equal(pipe(ends), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        child_main(fn, ends[1]);
    close(ends[1]);
    while (len + 1 < sizeof(child.text) &&
           (n = read(ends[0], child.text + len, sizeof(child.text) - 1 - len)) > 0)
        len += (size_t)n;
    child.text[len] = '\0';
    close(ends[0]);
    waitpid(pid, &child.status, 0);
    return child;
}

static inline void child_stopped(const struct child *child, const char *words)
{
    if (!strstr(child->text, words) || !WIFSIGNALED(child->status) ||
        WTERMSIG(child->status) != SIGABRT)
        fail_msg("status %#x, said: %s\nnot: %s", (unsigned)child->status, child->text, words);
}

/* The mistake is told with these words in both, and a release build goes on. */
static inline void mistake(weir_fn *fn, const char *words)
{
    struct child child = child_run(fn);

#ifdef WEIR_DEBUG
    child_stopped(&child, words);
#else
    if (!strstr(child.text, words) || !WIFEXITED(child.status) ||
        WEXITSTATUS(child.status) <= CHILD_COUNTED)
        fail_msg("status %#x, said: %s\nnot: %s", (unsigned)child.status, child.text, words);
#endif
}

static inline void no_mistake(weir_fn *fn)
{
    struct child child = child_run(fn);

    if (child.status != 0)
        fail_msg("status %#x, said: %s", (unsigned)child.status, child.text);
}

#endif
