/* `weir ps`: the tasks of a running program, as it tells them at its control socket.
 *
 * Tasks that were started at the same place and wait for the same are one line: a
 * program has thousands of tasks, but few kinds of them. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <weir/error.h>
#include <yyjson.h>

#include "asked.h"
#include "base/alloc.h"
#include "ops/control_path.h"
#include "ps/ps.h"

#define WAIT_COLUMNS_MAX 24
#define LINE_COLUMNS 120 /* of a process's arguments, those that are shown */

struct group {
    const char *name, *site, *path, *state, *waits_for, *task, *stack;
    const char *suspect; /* the last one's that is one; "": none is */
    double oldest_ms;
    size_t count, suspects;
};

static void print_text(const char *text, unsigned width)
{
    struct strbuf out = STRBUF_INIT;
    unsigned columns = asked_add_clean(&out, weir_str_c(text), UINT32_MAX);

    for (; columns < width; columns++)
        strbuf_add_char(&out, ' ');
    if (!out.bad)
        printf("%s", strbuf_str(&out).ptr);
    strbuf_done(&out);
}

static void print_ms(double ms)
{
    struct strbuf out = STRBUF_INIT;

    asked_add_time(&out, ms);
    printf("%s", out.bad ? "" : strbuf_str(&out).ptr);
    strbuf_done(&out);
}

/* ---- a process's tasks ------------------------------------------------------------------- */

static bool is_wanted(const struct ps_settings *settings, yyjson_val *task)
{
    return !settings->state || strcmp(settings->state, asked_text(task, "state")) == 0;
}

static bool is_same(const struct group *a, const struct group *b)
{
    return strcmp(a->site, b->site) == 0 && strcmp(a->waits_for, b->waits_for) == 0 &&
           strcmp(a->state, b->state) == 0 && strcmp(a->name, b->name) == 0 &&
           strcmp(a->path, b->path) == 0;
}

static int compare_kind(const void *pa, const void *pb)
{
    const struct group *a = pa, *b = pb;
    int rc = strcmp(a->site, b->site);

    rc = rc ? rc : strcmp(a->waits_for, b->waits_for);
    rc = rc ? rc : strcmp(a->state, b->state);
    rc = rc ? rc : strcmp(a->name, b->name);
    return rc ? rc : strcmp(a->path, b->path);
}

static int compare_oldest(const void *pa, const void *pb)
{
    const struct group *a = pa, *b = pb;

    return a->oldest_ms < b->oldest_ms ? 1 : a->oldest_ms > b->oldest_ms ? -1 : 0;
}

static size_t fold(struct group *groups, size_t count)
{
    size_t kept = 0;

    qsort(groups, count, sizeof(*groups), compare_kind);
    for (size_t i = 0; i < count; i++) {
        if (kept > 0 && is_same(&groups[kept - 1], &groups[i])) {
            struct group *group = &groups[kept - 1];

            group->count++;
            group->suspects += groups[i].suspects;
            if (groups[i].suspects)
                group->suspect = groups[i].suspect;
            if (groups[i].oldest_ms > group->oldest_ms) {
                group->oldest_ms = groups[i].oldest_ms;
                group->task = groups[i].task;
                group->stack = groups[i].stack;
            }
        } else {
            groups[kept++] = groups[i];
        }
    }
    qsort(groups, kept, sizeof(*groups), compare_oldest);
    return kept;
}

static size_t collect(const struct ps_settings *settings, yyjson_val *tasks, struct group *groups)
{
    const char *key = settings->by_wait ? "waited_ms" : "age_ms";
    size_t count = 0, index, max;
    yyjson_val *task;

    yyjson_arr_foreach(tasks, index, max, task)
    {
        if (!is_wanted(settings, task))
            continue;
        groups[count++] = (struct group){
            .name = asked_text(task, "name"),
            .site = asked_text(task, "site"),
            .path = asked_text(task, "path"),
            .state = asked_text(task, "state"),
            .waits_for = asked_text(task, "waits_for"),
            .task = asked_text(task, "task"),
            .stack = asked_text(task, "stack"),
            .suspect = asked_text(task, "suspect"),
            .suspects = *asked_text(task, "suspect") != '\0',
            .oldest_ms = asked_number(task, key),
            .count = 1,
        };
    }
    return count;
}

static void print_stack(struct control_client *client, const char *task)
{
    struct strbuf json = STRBUF_INIT;
    char request[64];
    yyjson_doc *doc = NULL;

    if (!asked_task_request(task, request, sizeof(request)))
        return;
    if (control_client_ask(client, request, ASKED_MS, &json) == 0)
        doc = yyjson_read(json.ptr, json.len, 0);
    weir_recover(); /* it may have ended: then there is no stack */
    if (doc)
        printf("%s\n", asked_text(yyjson_doc_get_root(doc), "stack"));
    yyjson_doc_free(doc);
    strbuf_done(&json);
}

static unsigned wait_columns(const struct group *groups, size_t count)
{
    size_t columns = 17;

    for (size_t i = 0; i < count; i++)
        if (strlen(groups[i].waits_for) > columns)
            columns = strlen(groups[i].waits_for);
    return columns < WAIT_COLUMNS_MAX ? (unsigned)columns : WAIT_COLUMNS_MAX;
}

static void print_groups(struct control_client *client, const struct ps_settings *settings,
                         const struct group *groups, size_t count)
{
    unsigned columns = wait_columns(groups, count);

    printf("  COUNT   %10s  OLDEST TASK  STATE    %-*s STARTED AT  NAME in SCOPES\n",
           settings->by_wait ? "WAITS" : "AGE", (int)columns, "WAITS FOR");
    for (size_t i = 0; i < count; i++) {
        const struct group *group = &groups[i];

        printf("%7zu %c ", group->count, group->suspects ? '!' : ' ');
        print_ms(group->oldest_ms);
        printf("  %-12s %-8s ", group->task, group->state);
        print_text(*group->waits_for ? group->waits_for : "-", columns);
        putchar(' ');
        print_text(group->site, 0);
        printf("  ");
        print_text(group->name, 0);
        printf("  in ");
        print_text(group->path, 0);
        putchar('\n');
        if (group->suspects) {
            printf("        ! %zu suspect%s: ", group->suspects, group->suspects > 1 ? "s" : "");
            print_text(group->suspect, 0);
            putchar('\n');
        }
        if (*group->stack)
            printf("%s\n", group->stack);
        else if (settings->stack && client)
            print_stack(client, group->task);
    }
}

static int print_loops(yyjson_val *loops)
{
    size_t index, max;
    yyjson_val *loop, *held;
    int rc = 0;

    yyjson_arr_foreach(loops, index, max, loop)
    {
        if (yyjson_get_bool(yyjson_obj_get(loop, "answered")))
            continue;
        rc = 1;
        held = yyjson_obj_get(loop, "held_by");
        printf("loop %zu has not answered: ", index);
        if (held) {
            printf("it is held up by the task ");
            print_text(asked_text(held, "name"), 0);
            printf(" (%s, started at ", asked_text(held, "task"));
            print_text(asked_text(held, "site"), 0);
            printf("); ");
        }
        printf("its tasks are shown by: weir ps --raw PID\n");
    }
    return rc;
}

static int print_tasks(struct control_client *client, const struct ps_settings *settings,
                       yyjson_val *root)
{
    yyjson_val *tasks = yyjson_obj_get(root, "tasks");
    unsigned long long left = asked_count(root, "left_out");
    size_t count = yyjson_arr_size(tasks);
    struct group *groups = base_calloc(count + 1, sizeof(*groups));

    if (!groups) {
        fprintf(stderr, "weir ps: out of memory\n");
        return 1;
    }
    count = collect(settings, tasks, groups);
    printf("%zu task%s%s\n", count, count == 1 ? "" : "s", left ? ", and more:" : "");
    if (left)
        printf("%llu are left out: ask a loop at a time (--loop)\n", left);
    print_groups(client, settings, groups, fold(groups, count));
    base_free(groups);
    return print_loops(yyjson_obj_get(root, "loops"));
}

/* What has been answered, rc and all, as it is wanted; frees it. An exit code. */
static int show(int rc, struct control_client *client, const struct ps_settings *settings,
                struct strbuf *json,
                int (*print)(struct control_client *client, const struct ps_settings *settings,
                             yyjson_val *root))
{
    yyjson_doc *doc = NULL;

    if (rc == 0 && !settings->json) {
        doc = yyjson_read(json->ptr, json->len, 0);
        if (!doc)
            rc = weir_fail(-EPROTO, "its answer is not understood: is it of another version?");
    }
    if (rc < 0)
        rc = asked_fail(&cmd_ps);
    else if (settings->json)
        rc = fputs(json->ptr, stdout) < 0;
    else
        rc = print(client, settings, yyjson_doc_get_root(doc));
    yyjson_doc_free(doc);
    strbuf_done(json);
    return rc;
}

/* Without the program's help. */
static int show_raw(const struct ps_settings *settings, pid_t pid)
{
    struct strbuf json = STRBUF_INIT;
    int rc = ps_raw_read(pid, settings, &json);

    return show(rc, NULL, settings, &json, print_tasks);
}

static int show_tasks(struct control_client *client, const struct ps_settings *settings)
{
    struct strbuf json = STRBUF_INIT;
    char request[32] = "tasks";
    int rc;

    if (settings->loop >= 0)
        snprintf(request, sizeof(request), "tasks %ld", settings->loop);
    rc = control_client_ask(client, request, ASKED_MS, &json);
    return show(rc, client, settings, &json, print_tasks);
}

/* ---- one task ----------------------------------------------------------------------------- */

static int print_task(struct control_client *client, const struct ps_settings *settings,
                      yyjson_val *root)
{
    struct strbuf text = STRBUF_INIT;
    size_t index, max;
    yyjson_val *key, *value;

    (void)client;
    (void)settings;
    yyjson_obj_foreach(root, index, max, key, value)
    {
        if (strcmp(yyjson_get_str(key), "stack") == 0)
            continue;
        print_text(yyjson_get_str(key), 17);
        putchar(' ');
        strbuf_clear(&text);
        asked_add_value(&text, value);
        print_text(text.bad ? "?" : strbuf_str(&text).ptr, 0);
        putchar('\n');
    }
    strbuf_done(&text);
    if (*asked_text(root, "stack"))
        printf("stack, innermost first:\n%s\n", asked_text(root, "stack"));
    return 0;
}

static int show_task(struct control_client *client, const struct ps_settings *settings,
                     const char *task)
{
    struct strbuf json = STRBUF_INIT;
    char request[64];
    int rc;

    if (!asked_task_request(task, request, sizeof(request)))
        return cli_mistake(&cmd_ps,
                           "`%s` is no task: it must be LOOP.SLOT.GENERATION, as in the "
                           "table",
                           task);
    rc = control_client_ask(client, request, ASKED_MS, &json);
    return show(rc, client, settings, &json, print_task);
}

/* ---- which processes there are --------------------------------------------------------------- */

/* With its arguments, which tell a gateway from the demo beside it. */
static void print_process(long pid, const char *note)
{
    char path[64], words[LINE_COLUMNS] = "";
    const char *folder;
    size_t len;
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%ld/cmdline", pid);
    file = fopen(path, "re");
    len = file ? fread(words, 1, sizeof(words) - 1, file) : 0;
    if (file)
        fclose(file);
    folder = strrchr(words, '/'); /* of the program: its arguments come behind a zero */
    for (size_t i = 0; i + 1 < len; i++)
        if (words[i] == '\0')
            words[i] = ' ';
    printf("%8ld  ", pid);
    print_text(folder ? folder + 1 : words, 0);
    printf("%s\n", note);
}

static int list_folder(const char *folder)
{
    DIR *dir = opendir(folder);
    struct dirent *entry;
    int count = 0;

    while (dir && (entry = readdir(dir)) != NULL) {
        struct control_client client;
        char *end;
        long pid = strtol(entry->d_name, &end, 10);
        int rc;

        if (pid <= 0 || strcmp(end, ".sock") != 0)
            continue;
        rc = control_client_open(&client, (pid_t)pid);
        if (rc == 0 || rc == -ETIMEDOUT) {
            print_process(pid, rc == 0 ? "" : "  (takes no connection)");
            count++;
        }
        control_client_close(&client);
        weir_recover();
    }
    if (dir)
        closedir(dir);
    return count;
}

static int list_processes(void)
{
    char folder[CONTROL_PATH_BYTES];
    int count = 0, rc;

    for (unsigned i = 0; (rc = control_folder_of(geteuid(), i, folder, sizeof(folder))) != -ENOENT;
         i++) {
        if (rc == 0)
            count += list_folder(folder);
    }
    if (count == 0)
        printf("no weir program of this user is running\n");
    return 0;
}

/* ---- the command ------------------------------------------------------------------------------ */

static bool read_json(void *to, const char *value)
{
    (void)value;
    return ((struct ps_settings *)to)->json = true;
}

static bool read_raw(void *to, const char *value)
{
    (void)value;
    return ((struct ps_settings *)to)->raw = true;
}

static bool read_stack(void *to, const char *value)
{
    (void)value;
    return ((struct ps_settings *)to)->stack = true;
}

static bool read_loop(void *to, const char *value)
{
    return cli_number(value, 0, 255, &((struct ps_settings *)to)->loop);
}

static bool read_state(void *to, const char *value)
{
    static const char *const names[] = { "queued", "ready", "running", "parked", "away", "ended" };

    ((struct ps_settings *)to)->state = value;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(value, names[i]) == 0)
            return true;
    }
    return false;
}

static bool read_sort(void *to, const char *value)
{
    ((struct ps_settings *)to)->by_wait = strcmp(value, "wait") == 0;
    return strcmp(value, "wait") == 0 || strcmp(value, "age") == 0;
}

static const struct cli_flag flags[] = {
    { "--json", NULL, read_json, NULL, "print what the program answers, for other programs" },
    { "--loop", "N", read_loop, "a number from 0 to 255", "tasks of one loop only" },
    { "--state", "STATE", read_state, "queued, ready, running, parked, away or ended",
      "only tasks that are queued, ready, running, parked, away or ended" },
    { "--sort", "KEY", read_sort, "age or wait",
      "age or wait: the oldest first, or the longest wait (age)" },
    { "--raw", NULL, read_raw, NULL,
      "read the program's memory, and ask it for nothing: also when it is stuck or stopped" },
    { "--stack", NULL, read_stack, NULL, "with the stack of each line's oldest task" },
    { NULL, NULL, NULL, NULL, NULL },
};

/* The first operand is the process, the second a task of it; the rest are flags. */
static int take_operands(const struct cli_command *command, int *argc, char **argv,
                         const char **ret_operands)
{
    int kept = 1, count = 0;

    for (int i = 1; i < *argc; i++) {
        bool takes_next = strcmp(argv[i], "--loop") == 0 || strcmp(argv[i], "--state") == 0 ||
                          strcmp(argv[i], "--sort") == 0;

        if (argv[i][0] != '-' && count == 2)
            return cli_mistake(command, "`%s` is one too many: a process and a task are taken",
                               argv[i]);
        if (argv[i][0] != '-') {
            ret_operands[count++] = argv[i];
            continue;
        }
        argv[kept++] = argv[i];
        if (takes_next && i + 1 < *argc)
            argv[kept++] = argv[++i];
    }
    *argc = kept;
    return CLI_GO_ON;
}

static int ask(const struct cli_command *command, const struct ps_settings *settings,
               const char *process, const char *task)
{
    struct control_client client;
    long pid;
    int rc;

    if (settings->raw && (task || !cli_number(process, 1, INT32_MAX, &pid)))
        return cli_mistake(command, "--raw takes the number of a process, and no more");
    if (settings->raw)
        return show_raw(settings, (pid_t)pid);
    if (settings->json && settings->stack && !task)
        return cli_mistake(command,
                           "--json has stacks with --raw, or of one task: weir ps --json "
                           "%s TASK",
                           process);
    rc = asked_open(command, process, &client);
    if (rc != CLI_GO_ON)
        return rc;
    rc = task ? show_task(&client, settings, task) : show_tasks(&client, settings);
    control_client_close(&client);
    return rc;
}

static int run(const struct cli_command *command, int argc, char **argv)
{
    struct ps_settings settings = { .loop = -1 };
    const char *operands[2] = { NULL, NULL };
    int rc = take_operands(command, &argc, argv, operands);

    if (rc == CLI_GO_ON)
        rc = cli_read(command, argc, argv, &settings, NULL);
    if (rc != CLI_GO_ON)
        return rc;
    if (!operands[0] && settings.raw)
        return cli_mistake(command, "--raw takes the number of a process, and none is given");
    if (!operands[0])
        return list_processes();
    return ask(command, &settings, operands[0], operands[1]);
}

const struct cli_command cmd_ps = {
    .name = "ps",
    .summary = "show what the tasks of a running program do",
    .text = "weir ps                the running programs that can be asked\n"
            "weir ps PID            all tasks of one; those alike are one line\n"
            "weir ps PID TASK       one task, with its stack; TASK as in the table\n"
            "\n"
            "Instead of PID the path of a control socket is taken too.\n",
    .flags = flags,
    .run = run,
};
