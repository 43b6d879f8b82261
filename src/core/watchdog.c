/* See watchdog.h. */
#include "core/watchdog.h"

#define PATIENCE_MIN 2
#define PATIENCE_MAX 64

bool
watchdog_on_look(struct watchdog *w, const struct watchdog_look *look)
{
	bool moved = look->deliveries != w->deliveries;

	w->deliveries = look->deliveries;
	if (w->patience < PATIENCE_MIN || moved)
		w->patience = PATIENCE_MIN;
	if (moved || !look->is_consuming || !look->has_room || look->ready == 0) {
		w->looks = 0;
		return false;
	}
	if (++w->looks < w->patience)
		return false;
	w->looks = 0;
	w->patience = w->patience * 2 < PATIENCE_MAX ? w->patience * 2 : PATIENCE_MAX;
	return true;
}
