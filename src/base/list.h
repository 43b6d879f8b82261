/* Intrusive doubly linked list. An item is in one list at a time; a zeroed item is in none. */
#ifndef WARREN_BASE_LIST_H
#define WARREN_BASE_LIST_H

#include "base/base.h"

struct list {
	struct list *next, *prev;
};

void list_init(struct list *head);
bool list_is_empty(const struct list *head);
/* Whether this item is in a list. */
bool list_is_linked(const struct list *item);
void list_push(struct list *head, struct list *item); /* at the end */
void list_push_front(struct list *head, struct list *item);
/* Takes the item out of its list; no-op when it is in none. */
void list_unlink(struct list *item);
/* First item taken out, or NULL. */
struct list *list_pop(struct list *head);
size_t list_count(const struct list *head);

/* for (item...) where the current item may be unlinked inside the body. */
#define LIST_EACH(head, it, tmp) \
	for ((it) = (head)->next, (tmp) = (it)->next; (it) != (head); (it) = (tmp), (tmp) = (it)->next)

#endif
