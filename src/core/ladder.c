/* Names and keys of the delay ladder; see ladder.h. */
#include "core/ladder.h"

#define KEY_MAX 255

void
ladder_level_name(char out[32], int level)
{
	snprintf(out, 32, "celery_delayed_%d", level);
}

static int64_t
clamp(int64_t delay_s)
{
	return delay_s < 1 ? 1 : delay_s > LADDER_DELAY_MAX_S ? LADDER_DELAY_MAX_S : delay_s;
}

int
ladder_entry_level(int64_t delay_s)
{
	int level = 0;

	for (delay_s = clamp(delay_s); delay_s > 1; delay_s >>= 1)
		level++;
	return level;
}

void
ladder_level_key(char out[96], int level, bool one)
{
	size_t n = 0;

	for (int i = LADDER_LEVELS - 1; i > level; i--) {
		out[n++] = '*';
		out[n++] = '.';
	}
	snprintf(out + n, 96 - n, "%c.#", one ? '1' : '0');
}

static enum err
join(char out[256], struct span prefix, struct span key)
{
	if (prefix.len + key.len > KEY_MAX)
		return E_TOOBIG;
	memcpy(out, prefix.ptr, prefix.len);
	if (key.len > 0)
		memcpy(out + prefix.len, key.ptr, key.len);
	out[prefix.len + key.len] = '\0';
	return E_OK;
}

enum err
ladder_message_key(char out[256], int64_t delay_s, struct span key)
{
	char prefix[LADDER_PREFIX_LEN];

	delay_s = clamp(delay_s);
	for (int i = 0; i < LADDER_LEVELS; i++) {
		prefix[2 * i] = (delay_s >> (LADDER_LEVELS - 1 - i)) & 1 ? '1' : '0';
		prefix[2 * i + 1] = '.';
	}
	return join(out, (struct span){ prefix, sizeof(prefix) }, key);
}

enum err
ladder_binding_key(char out[256], struct span key)
{
	char prefix[LADDER_PREFIX_LEN];

	for (int i = 0; i < LADDER_LEVELS; i++) {
		prefix[2 * i] = '*';
		prefix[2 * i + 1] = '.';
	}
	return join(out, (struct span){ prefix, sizeof(prefix) }, key);
}

int64_t
ladder_delay_s(us_t until, us_t now)
{
	/* Rounded up: at the eta or later, never before. Far beyond the ladder: it rides again when it comes out. */
	if (until <= now + 1000000)
		return 0;
	if ((until - now) / 1000000 >= LADDER_DELAY_MAX_S)
		return LADDER_DELAY_MAX_S;
	return (until - now + 999999) / 1000000;
}
