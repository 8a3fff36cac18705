/*
 * serve.c - see serve.h.
 *
 * While the machine moves, the thread that moves it does not look at the socket; a
 * watcher thread does.  It takes nothing but Ctrl-C bytes and stray acks from it: a
 * packet that comes too early waits until the machine has stopped.
 */
#include "gdb/serve.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { CTRL_C = 3 };

struct client {
	struct gdb_target target;
	int fd, wake;
	pthread_t watcher;
	bool watched;
	int done[2]; /* a pipe: what is written to it ends the watcher */
};

static int fail(int fd, struct err *e, const char *what)
{
	int saved = errno;

	if (fd >= 0)
		close(fd);
	return err_set(e, ST_HOST, "cannot %s for gdb: %s", what, strerror(saved));
}

int gdb_listen_port(unsigned *port, struct err *e)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons((uint16_t)*port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof at;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	if (fd < 0)
		return fail(fd, e, "make a socket");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (bind(fd, (struct sockaddr *)&at, sizeof at) != 0 || listen(fd, 4) != 0 ||
	    getsockname(fd, (struct sockaddr *)&at, &len) != 0)
		return fail(fd, e, "listen on that port");
	*port = ntohs(at.sin_port);
	return fd;
}

int gdb_listen_path(const char *path, struct err *e)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	size_t n = strlen(path);

	if (fd < 0)
		return fail(fd, e, "make a socket");
	errno = ENAMETOOLONG;
	if (n >= sizeof at.sun_path)
		return fail(fd, e, "make a socket");
	memcpy(at.sun_path, path, n + 1);
	if (bind(fd, (struct sockaddr *)&at, sizeof at) != 0 || chmod(path, 0600) != 0 ||
	    listen(fd, 4) != 0)
		return fail(fd, e, "listen");
	return fd;
}

int gdb_accept(int listener, int wake, struct err *e)
{
	struct pollfd p[] = { { .fd = listener, .events = POLLIN }, { .fd = wake, .events = POLLIN } };
	int fd, one = 1;

	e->text[0] = '\0';
	for (;;) {
		if (poll(p, 2, -1) < 0 && errno != EINTR)
			return fail(-1, e, "wait");
		if (p[1].revents != 0)
			return -1;
		if (p[0].revents == 0)
			continue;
		fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		if (fd >= 0)
			break;
		if (errno != EINTR && errno != ECONNABORTED && errno != EAGAIN)
			return fail(-1, e, "take a connection");
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one); /* fails on a local one */
	return fd;
}

static int send_all(void *ctx, const void *p, size_t n)
{
	const struct client *c = ctx;
	const char *at = p;

	while (n > 0) {
		ssize_t k = send(c->fd, at, n, MSG_NOSIGNAL);

		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			return -1;
		at += k;
		n -= (size_t)k;
	}
	return 0;
}

static void interrupt(const struct client *c)
{
	c->target.ops->interrupt(c->target.ctx);
}

/* What is next on the socket: false when the watcher has nothing more to do there. */
static bool look(const struct client *c)
{
	char byte;
	ssize_t n = recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	if (n == 0) {
		interrupt(c);
		return false;
	}
	if (byte != CTRL_C && byte != '+' && byte != '-')
		return false; /* it waits; that the client goes, POLLRDHUP tells */
	if (recv(c->fd, &byte, 1, 0) == 1 && byte == CTRL_C)
		interrupt(c);
	return true;
}

static void *watcher(void *ctx)
{
	const struct client *c = ctx;
	struct pollfd p[] = {
		{ .fd = c->fd, .events = POLLIN | POLLRDHUP },
		{ .fd = c->done[0], .events = POLLIN }, { .fd = c->wake, .events = POLLIN },
	};

	for (;;) {
		if (poll(p, 3, -1) < 0 && errno != EINTR)
			return NULL;
		if (p[1].revents != 0)
			return NULL;
		if (p[2].revents != 0 || (p[0].revents & (POLLRDHUP | POLLHUP | POLLERR))) {
			interrupt(c);
			p[0].fd = p[2].fd = -1;
		} else if ((p[0].revents & POLLIN) && !look(c)) {
			p[0].events = POLLRDHUP;
		}
	}
}

static void watch(void *ctx, bool on)
{
	struct client *c = ctx;
	char byte = 0;

	if (on) {
		c->watched = pthread_create(&c->watcher, NULL, watcher, c) == 0;
		return;
	}
	if (!c->watched)
		return;
	while (write(c->done[1], &byte, 1) < 0 && errno == EINTR)
		;
	pthread_join(c->watcher, NULL);
	while (read(c->done[0], &byte, 1) < 0 && errno == EINTR)
		;
	c->watched = false;
}

static enum gdb_end feed(struct client *c, struct gdb_session *s)
{
	struct pollfd p[] = { { .fd = c->fd, .events = POLLIN }, { .fd = c->wake, .events = POLLIN } };
	enum gdb_end end = GDB_GOES_ON;
	char bytes[4096];
	ssize_t n;

	while (end == GDB_GOES_ON) {
		if (poll(p, 2, -1) < 0 && errno != EINTR)
			return GDB_LOST;
		if (p[1].revents != 0)
			return GDB_LOST;
		if (p[0].revents == 0)
			continue;
		n = recv(c->fd, bytes, sizeof bytes, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return GDB_LOST;
		end = gdb_session_feed(s, bytes, (size_t)n);
	}
	return end;
}

enum gdb_end gdb_serve(const struct gdb_target *target, int fd, int wake)
{
	struct client c = { .target = *target, .fd = fd, .wake = wake };
	const struct gdb_io io = { .send = send_all, .watch = watch, .ctx = &c };
	struct gdb_session *s = NULL;
	enum gdb_end end = GDB_LOST;

	if (pipe2(c.done, O_CLOEXEC) == 0) {
		s = gdb_session_create(target, &io);
		if (s != NULL)
			end = feed(&c, s);
		gdb_session_destroy(s);
		close(c.done[0]);
		close(c.done[1]);
	}
	close(fd);
	return end;
}
