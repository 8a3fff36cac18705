/*
 * console.c - the console thread and the output path; see console.h.
 */
#include "cmd/ttd/console.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "cmd/ttd/terminal.h"
#include "util/thread.h"

enum { ESCAPE = 0x1d /* Ctrl-] */, CHUNK = 4096, RETRY_MS = 20 };

static const int handled[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGCONT, SIGTTOU,
	SIGXCPU};

struct console {
	struct diag *diag;
	pthread_t thread;
	pthread_mutex_t lock;
	struct ttd_vm *vm;
	sigset_t old_mask;
	int sigfd;
	int wake;        /* readable from the moment the run is to end */
	bool raw;        /* we manage the terminal; whether it is raw now is terminal.c's */
	bool input_open;
	bool stopped;    /* the thread has ended and the terminal is as it was */
	char pending[CHUNK]; /* input that no machine has taken yet */
	size_t npending;
	atomic_int why;
};

/* The first reason wins.  Wakes both threads, whatever they wait for. */
static void end_run(struct console *c, int why)
{
	int running = CONSOLE_RUNNING;
	uint64_t one = 1;

	atomic_compare_exchange_strong(&c->why, &running, why);
	if (write(c->wake, &one, sizeof one) < 0)
		abort(); /* an eventfd takes a 1 as long as it exists */
	pthread_mutex_lock(&c->lock);
	if (c->vm != NULL)
		ttd_vm_stop(c->vm);
	pthread_mutex_unlock(&c->lock);
}

static void feed(struct console *c)
{
	size_t n = 0;

	pthread_mutex_lock(&c->lock);
	if (c->vm != NULL)
		n = ttd_vm_console_in(c->vm, c->pending, c->npending);
	pthread_mutex_unlock(&c->lock);
	c->npending -= n;
	memmove(c->pending, c->pending + n, c->npending);
}

/* The end of input is no reason to end the guest. */
static void read_input(struct console *c)
{
	ssize_t n = read(STDIN_FILENO, c->pending, sizeof c->pending);
	char *escape;

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n <= 0) {
		c->input_open = false;
		return;
	}
	escape = c->raw ? memchr(c->pending, ESCAPE, (size_t)n) : NULL;
	c->npending = escape != NULL ? (size_t)(escape - c->pending) : (size_t)n;
	feed(c);
	if (escape != NULL)
		end_run(c, CONSOLE_LEFT);
}

/* Stops like any program, but leaves the terminal usable meanwhile (CO2). */
static void suspend(struct console *c)
{
	if (c->raw)
		terminal_restore();
	kill(getpid(), SIGSTOP);
}

static void take_signal(struct console *c)
{
	struct signalfd_siginfo si;

	if (read(c->sigfd, &si, sizeof si) != sizeof si)
		return;
	switch (si.ssi_signo) {
	case SIGTSTP:
		suspend(c);
		break;
	case SIGCONT:
		if (c->raw && terminal_ours())
			terminal_raw();
		break;
	case SIGTTOU:
		break;
	default:
		end_run(c, (int)si.ssi_signo);
	}
}

static void *console_thread(void *arg)
{
	struct console *c = arg;

	for (;;) {
		bool reading = c->input_open && c->npending == 0;
		struct pollfd fds[] = {
			{.fd = c->wake, .events = POLLIN},
			{.fd = c->sigfd, .events = POLLIN},
			{.fd = reading ? STDIN_FILENO : -1, .events = POLLIN},
		};

		if (poll(fds, 3, c->npending > 0 ? RETRY_MS : -1) < 0 && errno != EINTR)
			return NULL;
		if (fds[0].revents != 0)
			return NULL;
		if (fds[1].revents != 0)
			take_signal(c);
		if (c->npending > 0)
			feed(c);
		else if (fds[2].revents != 0)
			read_input(c);
	}
}

static void block_signals(struct console *c)
{
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < sizeof handled / sizeof *handled; i++) {
		struct sigaction sa;

		/* nohup and a shell's & ignore some: leave them so. */
		if (sigaction(handled[i], NULL, &sa) == 0 && sa.sa_handler == SIG_IGN)
			continue;
		sigaddset(&set, handled[i]);
	}
	pthread_sigmask(SIG_BLOCK, &set, &c->old_mask);
	c->sigfd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void release(struct console *c)
{
	if (c->sigfd >= 0)
		close(c->sigfd);
	if (c->wake >= 0)
		close(c->wake);
	pthread_sigmask(SIG_SETMASK, &c->old_mask, NULL);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

struct console *console_open(struct diag *diag, bool input, struct ttd_error *e)
{
	struct console *c = calloc(1, sizeof *c);
	int rc;

	if (c == NULL) {
		err_set(e, TTD_HOST, "out of memory");
		return NULL;
	}
	c->diag = diag;
	c->input_open = input;
	pthread_mutex_init(&c->lock, NULL);
	c->wake = eventfd(0, EFD_CLOEXEC);
	block_signals(c);
	c->raw = input && terminal_ours();
	rc = c->wake < 0 || c->sigfd < 0 ? errno : 0;
	if (rc == 0)
		rc = thread_start(&c->thread, console_thread, c);
	if (rc != 0) {
		err_set(e, TTD_HOST, "cannot start the console thread: %s", strerror(rc));
		release(c);
		return NULL;
	}
	if (c->raw) {
		terminal_save();
		terminal_raw();
		diag->raw = true;
	}
	return c;
}

void console_restore(struct console *c)
{
	uint64_t one = 1;

	if (c->stopped)
		return;
	if (write(c->wake, &one, sizeof one) < 0)
		abort();
	pthread_join(c->thread, NULL);
	c->stopped = true;
	if (c->raw)
		terminal_restore();
	c->diag->raw = false;
}

void console_close(struct console *c)
{
	if (c == NULL)
		return;
	console_restore(c);
	release(c);
}

void console_attach(struct console *c, struct ttd_vm *vm)
{
	pthread_mutex_lock(&c->lock);
	c->vm = vm;
	/* Somebody may have ended the run while there was no machine to stop. */
	if (vm != NULL && atomic_load(&c->why) != CONSOLE_RUNNING)
		ttd_vm_stop(vm);
	pthread_mutex_unlock(&c->lock);
}

bool console_on_terminal(void)
{
	return isatty(STDOUT_FILENO) == 1;
}

int console_why(const struct console *c)
{
	return atomic_load(&c->why);
}

int console_end_fd(const struct console *c)
{
	return c->wake;
}

/*
 * A reader that is slow, or a terminal stopped by Ctrl-S, holds the guest up,
 * but not the signals that end the run: wait for room and for those.
 */
static bool wait_writable(struct console *c)
{
	struct pollfd fds[] = {
		{.fd = STDOUT_FILENO, .events = POLLOUT},
		{.fd = c->wake, .events = POLLIN},
	};

	while (poll(fds, 2, -1) < 0)
		if (errno != EINTR)
			return false;
	return fds[1].revents == 0;
}

void console_out(void *console, const void *p, size_t n)
{
	struct console *c = console;
	const char *s = p;

	while (n > 0) {
		/* Up to PIPE_BUF bytes do not block once poll() says there is room. */
		size_t part = n < CHUNK ? n : CHUNK;
		ssize_t done;

		if (!wait_writable(c))
			return;
		done = write(STDOUT_FILENO, s, part);
		if (done < 0 && errno != EINTR && errno != EAGAIN) {
			end_run(c, CONSOLE_OUTPUT_GONE);
			return;
		}
		if (done > 0) {
			s += done;
			n -= (size_t)done;
		}
	}
}
