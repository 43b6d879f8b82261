/* The intrusive list: a ring through the head. An item outside of any list has NULL pointers. */
#include "base/list.h"

void
list_init(struct list *head)
{
	head->next = head->prev = head;
}

bool
list_is_empty(const struct list *head)
{
	return head->next == head;
}

bool
list_is_linked(const struct list *item)
{
	return item->next != NULL;
}

static void
link_between(struct list *prev, struct list *item, struct list *next)
{
	assert(!item->next); /* in one list at a time */
	item->prev = prev;
	item->next = next;
	prev->next = item;
	next->prev = item;
}

void
list_push(struct list *head, struct list *item)
{
	link_between(head->prev, item, head);
}

void
list_push_front(struct list *head, struct list *item)
{
	link_between(head, item, head->next);
}

void
list_unlink(struct list *item)
{
	if (!item->next)
		return;
	item->prev->next = item->next;
	item->next->prev = item->prev;
	item->next = item->prev = NULL;
}

struct list *
list_pop(struct list *head)
{
	struct list *item = head->next;

	if (item == head)
		return NULL;
	list_unlink(item);
	return item;
}

size_t
list_count(const struct list *head)
{
	const struct list *it;
	size_t n = 0;

	for (it = head->next; it != head; it = it->next)
		n++;
	return n;
}
