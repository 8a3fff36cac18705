/*
 * attach.c - ttd console NAME, and create -c: see attach.h.
 *
 * The domain goes on when this process ends: it is a window, not its owner.
 */
#include "cmd/ttd/attach.h"

#include <ttd/ttd.h>

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "cmd/ttd/command.h"
#include "cmd/ttd/terminal.h"

enum { ESCAPE = 0x1d /* Ctrl-] */, PART = 8192 };

struct attached {
	const char *name;
	struct diag *diag;
	int fd;
	bool raw, input;
	int status; /* -1: goes on */
};

static void leave(struct attached *a, int status)
{
	a->status = status;
	if (a->raw)
		terminal_restore();
	a->diag->raw = false;
}

static void output(struct attached *a)
{
	char b[PART], text[480];
	int status = TTD_HOST;
	long n = ttd_console_read(a->fd, b, sizeof b, &status, text);

	if (n < 0) {
		leave(a, TTD_HOST);
		diag_print(a->diag, DIAG_ERROR, "%s is gone: its process died", a->name);
	} else if (n == 0) {
		leave(a, status);
		if (text[0] != '\0')
			diag_print(a->diag, status == TTD_OK ? DIAG_NOTE : DIAG_ERROR, "%s", text);
	}
	for (long done = 0; done < n;) {
		ssize_t k = write(STDOUT_FILENO, b + done, (size_t)(n - done));

		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0) {
			leave(a, TTD_HOST);
			diag_print(a->diag, DIAG_ERROR, "cannot write to standard output; %s goes on",
				a->name);
			return;
		}
		done += k;
	}
}

static void input(struct attached *a)
{
	char b[1024], *escape;
	ssize_t n = read(STDIN_FILENO, b, sizeof b);

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n <= 0) {
		a->input = false;
		return;
	}
	escape = a->raw ? memchr(b, ESCAPE, (size_t)n) : NULL;
	ttd_console_write(a->fd, b, escape != NULL ? (size_t)(escape - b) : (size_t)n);
	if (escape != NULL) {
		leave(a, TTD_OK);
		diag_print(a->diag, DIAG_NOTE, "left %s, which goes on", a->name);
	}
}

int attach_console(const char *name, struct diag *diag)
{
	struct attached a = {.name = name, .diag = diag, .input = true, .status = -1};
	struct ttd_error te = TTD_ERROR_INIT;

	a.fd = ttd_domain_console(name, &te);
	if (a.fd < 0) {
		diag_print(diag, DIAG_ERROR, "%s", te.text);
		return (int)te.status;
	}
	a.raw = terminal_ours();
	if (a.raw) {
		terminal_save();
		terminal_raw();
		diag->raw = true;
	}
	while (a.status < 0) {
		struct pollfd p[] = {
			{.fd = a.fd, .events = POLLIN},
			{.fd = a.input ? STDIN_FILENO : -1, .events = POLLIN},
		};

		if (poll(p, 2, -1) < 0)
			continue;
		if (p[0].revents != 0)
			output(&a);
		if (a.status < 0 && p[1].revents != 0)
			input(&a);
	}
	close(a.fd);
	return a.status;
}
