/*
 * See childenv.h. The list of what passes is short on purpose: what a task needs beyond it is named in the configuration. A Python application
 * is another case: whoever moves it here from Celery expects it to find its settings where it always has.
 */
#include "worker/childenv.h"

#include <unistd.h>

#include "base/alloc.h"
#include "base/text.h"

static const char *const allowed[] = { "PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "LC_*",
	"TZ", "TMPDIR", "PYTHON*", "VIRTUAL_ENV", "LD_LIBRARY_PATH", "CUDA_*", "NVIDIA_*", "OMP_*",
	"SSL_CERT_*", "DJANGO_SETTINGS_MODULE", "ASAN_OPTIONS", "UBSAN_OPTIONS" };

/* Where our own secrets are; they pass only when a pool names them in its pass_env or sets them in its env. */
static const char *const never[] = { "WARREN_*", "CELERY_BROKER_*", "CELERY_RESULT_BACKEND", "NOTIFY_SOCKET",
	"LISTEN_*", "WATCHDOG_*", "CREDENTIALS_DIRECTORY" };

/* Ours, and the service manager's words for us: not even a whole environment has them. */
static const char *const ours_alone[] = { "WARREN_*", "NOTIFY_SOCKET", "LISTEN_*", "WATCHDOG_*",
	"CREDENTIALS_DIRECTORY" };

static bool
matches(const char *const *patterns, size_t n, struct span name)
{
	for (size_t i = 0; i < n; i++)
		if (text_glob(span_of(patterns[i]), name))
			return true;
	return false;
}

static size_t
length(const char *const *list)
{
	size_t n = 0;

	while (list != NULL && list[n] != NULL)
		n++;
	return n;
}

static void
put(char **list, size_t *n, const char *entry)
{
	list[(*n)++] = must_dup(span_of(entry));
}

/* "KEY" of "KEY=value" */
static struct span
key_of(const char *entry)
{
	struct span rest = span_of(entry);

	return span_split(&rest, '=');
}

static bool
is_set_by(const char *const *env, struct span key)
{
	for (size_t i = 0; env != NULL && env[i] != NULL; i++)
		if (span_eq(key_of(env[i]), key))
			return true;
	return false;
}

/* Whether the list has this very name, not just a pattern that fits: who writes CELERY_BROKER_URL means it. */
static bool
is_named(const char *const *list, struct span key)
{
	for (size_t i = 0; list != NULL && list[i] != NULL; i++)
		if (span_is(key, list[i]))
			return true;
	return false;
}

static bool
passes(const struct pool_conf *conf, struct span key)
{
	if (is_set_by(conf->env, key))
		return false;
	if (is_named(conf->pass_env, key))
		return true;
	if (conf->pass_all)
		return !matches(ours_alone, ARRAY_LEN(ours_alone), key);
	return !matches(never, ARRAY_LEN(never), key) &&
		(matches(allowed, ARRAY_LEN(allowed), key) ||
			matches(conf->pass_env, length(conf->pass_env), key));
}

enum err
childenv_new(char ***out, const struct pool_conf *conf, const char *node, struct errtext *t)
{
	size_t ours = length((const char *const *)environ), theirs = length(conf->env), n = 0;
	char **list = must_alloc(sizeof(*list) * (ours + theirs + 4));

	/* The place of the mark, see childenv_set_mark. */
	put(list, &n, "WARREN_CHILD=");
	for (size_t i = 0; i < theirs; i++) {
		if (strchr(conf->env[i], '=') == NULL) {
			*out = NULL;
			childenv_free(list);
			return err_set(t, E_CONF, "env \"%s\" is not of the form KEY=value", conf->env[i]);
		}
		put(list, &n, conf->env[i]);
	}
	for (size_t i = 0; i < ours; i++)
		if (passes(conf, key_of(environ[i])))
			put(list, &n, environ[i]);
	list[n++] = must_printf("WARREN_POOL=%s", conf->name);
	list[n] = must_printf("WARREN_NODE=%s", node);
	*out = list;
	return E_OK;
}

enum err
childenv_argv(char ***out, const char *const *runner, struct errtext *t)
{
	size_t n = length(runner);
	char **list;
	char self[4096];
	ssize_t len;

	*out = NULL;
	if (n == 0)
		return err_set(t, E_CONF,
			"no runner is configured: name a program, a Python module (-A) or a C module (--module)");
	list = must_alloc(sizeof(*list) * (n + 1));
	for (size_t i = 0; i < n; i++)
		list[i] = must_dup(span_of(runner[i]));
	*out = list;
	if (strcmp(list[0], "warren") != 0)
		return E_OK;
	len = readlink("/proc/self/exe", self, sizeof(self) - 1);
	if (len < 0)
		return err_sys(t, "cannot find the path of this program in /proc/self/exe");
	alloc_free(list[0]);
	list[0] = must_dup((struct span){ self, (size_t)len });
	return E_OK;
}

void
childenv_set_mark(char **envp, const char *mark)
{
	alloc_free(envp[0]);
	envp[0] = must_dup(span_of(mark));
}

void
childenv_free(char **list)
{
	for (size_t i = 0; list != NULL && list[i] != NULL; i++)
		alloc_free(list[i]);
	alloc_free(list);
}
