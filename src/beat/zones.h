/* Time zones by name, from the system's tz database; each is read once. */
#ifndef WARREN_BEAT_ZONES_H
#define WARREN_BEAT_ZONES_H

#include "base/map.h"
#include "core/zone.h"

struct zones {
	struct map by_name;
};

void zones_init(struct zones *z);
void zones_release(struct zones *z);
/*
 * "Europe/Berlin"; "" and "UTC" give NULL, which is UTC; "local" is the zone of this machine (/etc/localtime). E_CONF with the
 * reason. The zone lives as long as z.
 */
enum err zones_get(struct zones *z, struct span name, const struct zone **out, struct errtext *t) MUSTCHECK;

#endif
