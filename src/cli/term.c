/* See term.h. Plain ANSI sequences that every terminal of today has; no library. */
#include "cli/term.h"

#include "base/alloc.h"

#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

/* Alternate screen, no cursor, no line wrap; and back. */
#define ENTER "\033[?1049h\033[?25l\033[?7l\033[2J"
#define LEAVE "\033[?7h\033[?25h\033[?1049l"

struct term {
	int both, signals; /* epoll over stdin and signals */
	bool screen;
	struct termios before;
	sigset_t mask_before;
};

static void
say(const char *text)
{
	fputs(text, stdout);
	fflush(stdout);
}

static enum err
enter(struct term *t, struct errtext *why)
{
	struct termios raw;

	if (tcgetattr(STDIN_FILENO, &t->before) != 0)
		return err_sys(why, "cannot read the terminal's settings");
	raw = t->before;
	raw.c_lflag &= (tcflag_t) ~(ICANON | ECHO);
	raw.c_cc[VMIN] = 1;
	raw.c_cc[VTIME] = 0;
	if (tcsetattr(STDIN_FILENO, TCSAFLUSH, &raw) != 0)
		return err_sys(why, "cannot set the terminal");
	say(ENTER);
	return E_OK;
}

static void
leave(struct term *t)
{
	say(LEAVE);
	/* Gone: then there is nothing to give back. */
	if (tcsetattr(STDIN_FILENO, TCSAFLUSH, &t->before) != 0)
		clearerr(stdout);
}

static enum err
add_fd(struct term *t, int fd, struct errtext *why)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.fd = fd };

	return epoll_ctl(t->both, EPOLL_CTL_ADD, fd, &ev) == 0
		? E_OK
		: err_sys(why, "cannot watch descriptor %d", fd);
}

static enum err
watch(struct term *t, struct errtext *why)
{
	sigset_t set;
	enum err e;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGQUIT);
	if (t->screen) {
		sigaddset(&set, SIGWINCH);
		sigaddset(&set, SIGTSTP);
	}
	if (sigprocmask(SIG_BLOCK, &set, &t->mask_before) != 0)
		return err_sys(why, "cannot block signals");
	t->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	t->both = epoll_create1(EPOLL_CLOEXEC);
	if (t->signals < 0 || t->both < 0)
		return err_sys(why, "cannot watch signals");
	e = add_fd(t, t->signals, why);
	return e == E_OK && t->screen ? add_fd(t, STDIN_FILENO, why) : e;
}

enum err
term_open(struct term **out, bool screen, struct errtext *why)
{
	struct term *t;
	enum err e;

	*out = NULL;
	if (screen && (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)))
		return err_set(why, E_CONF, "a live view needs a terminal");
	t = must_alloc(sizeof(*t));
	t->both = t->signals = -1;
	e = screen ? enter(t, why) : E_OK;
	t->screen = screen && e == E_OK;
	if (e == E_OK)
		e = watch(t, why);
	if (e == E_OK)
		*out = t;
	else
		term_close(t);
	return e;
}

void
term_close(struct term *t)
{
	if (t == NULL)
		return;
	if (t->screen)
		leave(t);
	if (t->both >= 0)
		close(t->both);
	if (t->signals >= 0)
		close(t->signals);
	/* The signals that were taken from the descriptor are done with; what comes from now on has its usual effect. */
	if (t->both >= 0 && sigprocmask(SIG_SETMASK, &t->mask_before, NULL) != 0)
		abort();
	alloc_free(t);
}

int
term_fd(const struct term *t)
{
	return t->both;
}

/* As the shell's job control expects it; comes back when the shell says so. */
static int
suspend(struct term *t)
{
	struct errtext why;

	leave(t);
	raise(SIGSTOP);
	return enter(t, &why) == E_OK ? TERM_REDRAW : TERM_END;
}

static int
on_signal(struct term *t, uint32_t signum)
{
	if (signum == SIGWINCH)
		return TERM_REDRAW;
	if (signum == SIGTSTP)
		return suspend(t);
	return TERM_END;
}

int
term_read(struct term *t)
{
	struct signalfd_siginfo info;
	struct epoll_event ev;
	unsigned char key;

	if (read(t->signals, &info, sizeof(info)) == (ssize_t)sizeof(info))
		return on_signal(t, info.ssi_signo);
	if (!t->screen || epoll_wait(t->both, &ev, 1, 0) < 1 || ev.data.fd != STDIN_FILENO)
		return TERM_NOTHING;
	/* The terminal hung up. */
	return read(STDIN_FILENO, &key, 1) == 1 ? key : TERM_END;
}

void
term_size(size_t *rows, size_t *columns)
{
	struct winsize w;
	bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_row > 0 && w.ws_col > 0;

	*rows = known ? w.ws_row : 24;
	*columns = known ? w.ws_col : 80;
}
