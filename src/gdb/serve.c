/*
 * serve.c - see serve.h.
 *
 * While the machine moves, the thread that moves it does not look at the socket; a
 * reader thread does.  It takes nothing but Ctrl-C bytes and stray acks from it: a
 * packet that comes too early waits until the machine has stopped.
 */
#include "gdb/serve.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/thread.h"

enum { CTRL_C = 3 };

struct connection {
	struct gdb_target target;
	int fd, wake;
	pthread_t reader;
	bool reading;
	int done[2]; /* a pipe: what is written to it ends the reader */
};

static int send_all(void *ctx, const void *p, size_t n)
{
	const struct connection *c = ctx;
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

static void interrupt(const struct connection *c)
{
	c->target.ops->interrupt(c->target.ctx);
}

/* What is next on the socket: false when the reader has nothing more to do there. */
static bool look(const struct connection *c)
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

static void *reader(void *ctx)
{
	const struct connection *c = ctx;
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

static void interrupts(void *ctx, bool on)
{
	struct connection *c = ctx;
	char byte = 0;

	if (on) {
		c->reading = thread_start(&c->reader, reader, c) == 0;
		return;
	}
	if (!c->reading)
		return;
	while (write(c->done[1], &byte, 1) < 0 && errno == EINTR)
		;
	pthread_join(c->reader, NULL);
	while (read(c->done[0], &byte, 1) < 0 && errno == EINTR)
		;
	c->reading = false;
}

static enum gdb_end feed(struct connection *c, struct gdb_client *s)
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
		end = gdb_client_feed(s, bytes, (size_t)n);
	}
	return end;
}

enum gdb_end gdb_serve(const struct gdb_target *target, int fd, int wake)
{
	struct connection c = { .target = *target, .fd = fd, .wake = wake };
	const struct gdb_io io = { .send = send_all, .interrupts = interrupts, .ctx = &c };
	struct gdb_client *s = NULL;
	enum gdb_end end = GDB_LOST;

	if (pipe2(c.done, O_CLOEXEC) == 0) {
		s = gdb_client_create(target, &io);
		if (s != NULL)
			end = feed(&c, s);
		gdb_client_destroy(s);
		close(c.done[0]);
		close(c.done[1]);
	}
	close(fd);
	return end;
}
