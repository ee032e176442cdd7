/* Intrusive doubly linked list. A node that is in no list points to itself, so
 * removing it twice is harmless. */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct node {
    struct node *next, *prev;
};

#define container_of(ptr, type, member) ((type *)((char *)(ptr) - offsetof(type, member)))

static inline void list_init(struct node *head)
{
    head->next = head->prev = head;
}

static inline bool list_empty(const struct node *head)
{
    return head->next == head;
}

static inline void list_insert_before(struct node *place, struct node *n)
{
    n->prev = place->prev;
    n->next = place;
    place->prev->next = n;
    place->prev = n;
}

static inline void list_push(struct node *head, struct node *n)
{
    list_insert_before(head, n);
}

static inline void list_push_front(struct node *head, struct node *n)
{
    list_insert_before(head->next, n);
}

static inline void list_remove(struct node *n)
{
    n->prev->next = n->next;
    n->next->prev = n->prev;
    n->next = n->prev = n;
}

/* Take out a node that is not used as one again before it is put into a list. */
static inline void list_unlink(struct node *n)
{
    n->prev->next = n->next;
    n->next->prev = n->prev;
}

static inline struct node *list_pop(struct node *head)
{
    struct node *n = head->next;

    if (n == head)
        return NULL;
    list_remove(n);
    return n;
}

/* Move all of from to the end of head; from is empty afterwards. */
static inline void list_splice(struct node *head, struct node *from)
{
    if (list_empty(from))
        return;
    from->next->prev = head->prev;
    head->prev->next = from->next;
    from->prev->next = head;
    head->prev = from->prev;
    list_init(from);
}

#define list_each(n, head) for (struct node *n = (head)->next; n != (head); n = n->next)

/* The body may remove n. */
#define list_each_safe(n, head)                                                \
    for (struct node *n = (head)->next, *n##_next = n->next; n != (head);      \
         n = n##_next, n##_next = n->next)

#endif
