/* Waiting for descriptors that weir did not open: a library's socket, a pipe, a
 * pidfd.
 *
 * They may be registered with an epoll of the library's own, be a second number
 * of something the loop waits for itself, or be closed by the library at any
 * moment; so they stand in an epoll of their own, which is nested in the loop's.
 * It is made when it is first needed.
 *
 * One registration serves all operations on a descriptor: it asks for what any of
 * them waits for, once (EPOLLONESHOT); who is left after an event asks again.
 * With the last operation it goes.
 *
 * A library that closes a descriptor takes the registration away with it, and
 * the number may come back as another file: so each operation asks again, and
 * registers anew when the kernel knows nothing of it. If the old file lives on
 * under another number, its registration can't be reached any more: it speaks at
 * most once, with a generation that nobody has.
 *
 * Invariants: a descriptor in the table has at least one operation; an operation
 * is in its descriptor's list exactly while it is pending and not cancelled. */
#include "rt/foreign.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"

#define FOREIGN_BATCH 16
#define ALWAYS_TOLD (POLLERR | POLLHUP)

_Static_assert(EPOLLIN == POLLIN && EPOLLOUT == POLLOUT && EPOLLPRI == POLLPRI &&
                   EPOLLERR == POLLERR && EPOLLHUP == POLLHUP,
               "poll's events are epoll's");

struct foreign_fd {
    int fd;
    uint32_t generation;
    struct node ops;
};

int foreign_ready_now(int fd, short events)
{
    struct pollfd slot = { .fd = fd, .events = events };
    struct stat about;
    int n;

    if (fd < 0)
        return -EBADF; /* poll(2) would skip it */
    do
        n = poll(&slot, 1, 0);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    if (slot.revents & POLLNVAL)
        return -EBADF;
    /* poll calls these ready for ever, which nobody who waits for them can mean. */
    if (slot.revents && fstat(fd, &about) == 0 &&
        (S_ISREG(about.st_mode) || S_ISDIR(about.st_mode)))
        return -EPERM;
    return slot.revents;
}

void foreign_init(struct foreign *f)
{
    memset(f, 0, sizeof(*f));
    f->epoll = -1;
}

void foreign_done(struct foreign *f)
{
    for (uint32_t fd = 0; fd < f->room; fd++)
        base_free(f->table[fd]);
    base_free(f->table);
    if (f->epoll >= 0)
        close(f->epoll);
    foreign_init(f);
}

static struct foreign_fd *known(struct foreign *f, int fd)
{
    return (uint32_t)fd < f->room ? f->table[fd] : NULL;
}

static struct foreign_fd *get(struct foreign *f, int fd)
{
    struct foreign_fd *entry = known(f, fd);
    uint32_t room = f->room ? f->room : 64;

    if (entry)
        return entry;
    while (room <= (uint32_t)fd)
        room *= 2;
    if (room > f->room) {
        struct foreign_fd **table = base_realloc(f->table, room * sizeof(struct foreign_fd *));

        if (!table)
            return NULL;
        memset(table + f->room, 0, (room - f->room) * sizeof(struct foreign_fd *));
        f->table = table;
        f->room = room;
    }
    entry = base_calloc(1, sizeof(*entry));
    if (!entry)
        return NULL;
    entry->fd = fd;
    list_init(&entry->ops);
    f->table[fd] = entry;
    return entry;
}

static void forget_if_idle(struct foreign *f, struct foreign_fd *entry)
{
    if (!list_empty(&entry->ops))
        return;
    /* A descriptor that is closed already has taken its registration along. */
    epoll_ctl(f->epoll, EPOLL_CTL_DEL, entry->fd, NULL);
    f->table[entry->fd] = NULL;
    base_free(entry);
}

/* Ask for all that the operations wait for; 0 or -errno. */
static int ask(struct foreign *f, struct foreign_fd *entry)
{
    struct epoll_event event = { .events = EPOLLONESHOT };

    list_each(n, &entry->ops)
        event.events |= (uint32_t)container_of(n, struct io_op, link)->poll.events;
    event.data.u64 = (uint64_t)entry->generation << 32 | (uint32_t)entry->fd;
    if (entry->generation != 0 && epoll_ctl(f->epoll, EPOLL_CTL_MOD, entry->fd, &event) == 0)
        return 0;
    entry->generation = ++f->generation ? f->generation : ++f->generation;
    event.data.u64 = (uint64_t)entry->generation << 32 | (uint32_t)entry->fd;
    if (epoll_ctl(f->epoll, EPOLL_CTL_ADD, entry->fd, &event) == 0)
        return 0;
    /* An older registration of the same file under the same number: take it over. */
    if (errno == EEXIST && epoll_ctl(f->epoll, EPOLL_CTL_MOD, entry->fd, &event) == 0)
        return 0;
    return -errno;
}

bool foreign_submit(struct foreign *f, struct io_op *op)
{
    struct foreign_fd *entry;

    op->res = foreign_ready_now(op->poll.fd, op->poll.events);
    if (op->res != 0)
        return true;
    if (f->epoll < 0)
        f->epoll = epoll_create1(EPOLL_CLOEXEC);
    op->res = f->epoll < 0 ? -errno : 0;
    if (op->res < 0)
        return true;
    entry = get(f, op->poll.fd);
    if (!entry) {
        op->res = -ENOMEM;
        return true;
    }
    list_push(&entry->ops, &op->link);
    op->res = ask(f, entry);
    if (op->res == 0)
        return false;
    list_remove(&op->link);
    forget_if_idle(f, entry);
    return true;
}

void foreign_forget(struct foreign *f, struct io_op *op)
{
    struct foreign_fd *entry = known(f, op->poll.fd);

    list_remove(&op->link);
    forget_if_idle(f, entry);
}

static void deliver(struct foreign *f, struct foreign_fd *entry, uint32_t events,
                    struct node *ended)
{
    list_each_safe(n, &entry->ops) {
        struct io_op *op = container_of(n, struct io_op, link);
        uint32_t got = events & ((uint32_t)op->poll.events | ALWAYS_TOLD);

        if (!got)
            continue;
        op->res = (int)got;
        op->pending = false; /* a cancel comes too late from here on */
        list_remove(&op->link);
        list_push(ended, &op->link);
    }
    if (!list_empty(&entry->ops)) {
        int rc = ask(f, entry);

        if (rc == 0)
            return;
        list_each_safe(n, &entry->ops) {
            struct io_op *op = container_of(n, struct io_op, link);

            op->res = rc;
            op->pending = false;
            list_remove(&op->link);
            list_push(ended, &op->link);
        }
    }
    forget_if_idle(f, entry);
}

void foreign_collect(struct foreign *f, struct node *ended)
{
    struct epoll_event batch[FOREIGN_BATCH];
    int count = epoll_wait(f->epoll, batch, FOREIGN_BATCH, 0);

    for (int i = 0; i < count; i++) {
        struct foreign_fd *entry = known(f, (int)(uint32_t)batch[i].data.u64);

        if (entry && entry->generation == (uint32_t)(batch[i].data.u64 >> 32))
            deliver(f, entry, batch[i].events, ended);
    }
}
