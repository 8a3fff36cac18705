/*
 * relay.c - see relay.h.
 *
 * A packet is $...#nn, and $ is nowhere else: in data it is escaped, and gdb takes one that
 * is not for the beginning of another packet.  So $ followed by F is a request, wherever it is.
 */
#include "cmd/ttd/relay.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { PIECE = 1 << 16 };

/* Does a File-I/O request begin in there?  *last: the byte before, at first 0. */
static bool relay_asks(const unsigned char *p, size_t n, unsigned char *last)
{
	for (size_t i = 0; i < n; i++) {
		if (*last == '$' && p[i] == 'F')
			return true;
		*last = p[i];
	}
	return false;
}

static int connect_to(const char *path)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || strlen(path) >= sizeof a.sun_path)
		return fd;
	strcpy(a.sun_path, path);
	if (connect(fd, (struct sockaddr *)&a, sizeof a) == 0)
		return fd;
	close(fd);
	return -1;
}

static bool send_all(int fd, const unsigned char *p, size_t n)
{
	while (n > 0) {
		ssize_t k = send(fd, p, n, MSG_NOSIGNAL);

		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			return false;
		p += k;
		n -= (size_t)k;
	}
	return true;
}

/* One look at one side: false at its end.  last: NULL, or it is the session's. */
static bool pass_on(int from, int to, unsigned char *last)
{
	static unsigned char buf[PIECE];
	ssize_t n = recv(from, buf, sizeof buf, 0);

	if (n < 0 && errno == EINTR)
		return true;
	if (n > 0 && last != NULL && relay_asks(buf, (size_t)n, last)) {
		fputs("ttd: the process that runs the recorded guest asks gdb for files of yours; "
			"it is cut off\n", stderr);
		return false;
	}
	return n > 0 && send_all(to, buf, (size_t)n);
}

static void pass_all(int alive, int gdb, int stub)
{
	struct pollfd p[] = {{.fd = alive, .events = POLLIN}, {.fd = gdb, .events = POLLIN},
		{.fd = stub, .events = POLLIN}};
	unsigned char last = 0;

	for (;;) {
		if (poll(p, 3, -1) < 0 && errno != EINTR)
			return;
		if (p[0].revents != 0 || (p[1].revents != 0 && !pass_on(gdb, stub, NULL)) ||
			(p[2].revents != 0 && !pass_on(stub, gdb, &last)))
			return;
	}
}

void relay_serve(int alive, struct ttd_gdb_listener *front, const char *stub)
{
	int gdb, to;

	while ((gdb = ttd_gdb_accept(front, alive, NULL)) >= 0) {
		to = connect_to(stub);
		if (to >= 0)
			pass_all(alive, gdb, to);
		if (to >= 0)
			close(to);
		close(gdb);
	}
}
