/*
 * listen.c - see listen.h.
 */
#include "gdb/listen.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "gdb/peer.h"

enum { FIRST_BYTE_MS = 5000, BACKLOG = 8 };

struct gdb_listener {
	int fd;
	bool port;
	struct sockaddr_in self;    /* of a port */
	int ask; /* whose connections they are */
};

static struct gdb_listener *fail(struct gdb_listener *l, struct ttd_error *e, const char *what)
{
	err_set(e, TTD_HOST, "cannot %s for gdb: %s", what, strerror(errno));
	gdb_listener_close(l);
	return NULL;
}

static struct gdb_listener *create(int family, struct ttd_error *e)
{
	struct gdb_listener *l = calloc(1, sizeof *l);

	if (l == NULL) {
		err_set(e, TTD_HOST, "out of memory");
		return NULL;
	}
	l->ask = -1;
	l->fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	return l->fd >= 0 ? l : fail(l, e, "make a socket");
}

void gdb_listener_close(struct gdb_listener *l)
{
	if (l == NULL)
		return;
	if (l->fd >= 0)
		close(l->fd);
	if (l->ask >= 0)
		close(l->ask);
	free(l);
}

struct gdb_listener *gdb_listen_port(unsigned *port, struct ttd_error *e)
{
	struct gdb_listener *l = create(AF_INET, e);
	socklen_t len = sizeof l->self;
	int one = 1;

	if (l == NULL)
		return NULL;
	l->port = true;
	l->self = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons((uint16_t)*port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	setsockopt(l->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (bind(l->fd, (struct sockaddr *)&l->self, sizeof l->self) != 0 ||
	    listen(l->fd, BACKLOG) != 0 ||
	    getsockname(l->fd, (struct sockaddr *)&l->self, &len) != 0)
		return fail(l, e, "listen on that port");
	l->ask = peer_open(e);
	if (l->ask < 0) {
		gdb_listener_close(l);
		return NULL;
	}
	*port = ntohs(l->self.sin_port);
	return l;
}

/* A socket that was left there: nobody answers. */
static bool is_stale(const struct sockaddr_un *at)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct stat st;
	bool stale = fd >= 0 && lstat(at->sun_path, &st) == 0 && S_ISSOCK(st.st_mode) &&
		connect(fd, (const struct sockaddr *)at, sizeof *at) != 0 && errno == ECONNREFUSED;

	if (fd >= 0)
		close(fd);
	return stale;
}

static int bind_path(int fd, const struct sockaddr_un *at)
{
	if (bind(fd, (const struct sockaddr *)at, sizeof *at) == 0)
		return 0;
	if (errno != EADDRINUSE)
		return -1;
	if (is_stale(at) && unlink(at->sun_path) == 0)
		return bind(fd, (const struct sockaddr *)at, sizeof *at);
	errno = EADDRINUSE;
	return -1;
}

struct gdb_listener *gdb_listen_path(const char *path, struct ttd_error *e)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	struct gdb_listener *l = create(AF_UNIX, e);
	size_t n = strlen(path);

	if (l == NULL)
		return NULL;
	if (n >= sizeof at.sun_path) {
		errno = ENAMETOOLONG;
		return fail(l, e, "make a socket of that name");
	}
	memcpy(at.sun_path, path, n + 1);
	/* Nobody can connect before it listens, so nobody finds it with another mode. */
	if (bind_path(l->fd, &at) != 0)
		return fail(l, e, "make a socket of that name");
	if (chmod(path, 0600) != 0 || listen(l->fd, BACKLOG) != 0)
		return fail(l, e, "listen");
	return l;
}

/* ---- taking a connection ---- */

/* The first byte of what a client of the protocol says; it stays there. */
static bool begins_well(int fd, int wake)
{
	struct pollfd p[] = { { .fd = fd, .events = POLLIN }, { .fd = wake, .events = POLLIN } };
	char byte;

	if (poll(p, 2, FIRST_BYTE_MS) <= 0 || p[0].revents == 0)
		return false;
	return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 1 &&
		(byte == '+' || byte == '-' || byte == '$' || byte == 3);
}

static bool welcome(const struct gdb_listener *l, int fd, const struct sockaddr_in *peer, int wake)
{
	uid_t uid;

	if (l->port && (peer_uid(l->ask, peer, &l->self, &uid) != 0 || uid != geteuid()))
		return false;
	return begins_well(fd, wake);
}

static int take(const struct gdb_listener *l, int wake)
{
	struct sockaddr_in peer = {0}; /* a local one's does not fit, and is of no use */
	socklen_t len = sizeof peer;
	int fd = accept4(l->fd, (struct sockaddr *)&peer, &len, SOCK_CLOEXEC), one = 1;

	if (fd < 0)
		return -1;
	if (!welcome(l, fd, &peer, wake)) {
		close(fd);
		errno = ECONNABORTED;
		return -1;
	}
	if (l->port)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	return fd;
}

int gdb_accept(const struct gdb_listener *l, int wake, struct ttd_error *e)
{
	struct pollfd p[] = { { .fd = l->fd, .events = POLLIN }, { .fd = wake, .events = POLLIN } };
	int fd;

	e->text[0] = '\0';
	for (;;) {
		if (poll(p, 2, -1) < 0 && errno != EINTR)
			return err_set(e, TTD_HOST, "cannot wait for gdb: %s", strerror(errno));
		if (p[1].revents != 0)
			return -1;
		if (p[0].revents == 0)
			continue;
		fd = take(l, wake);
		if (fd >= 0)
			return fd;
		if (errno != EINTR && errno != ECONNABORTED && errno != EAGAIN)
			return err_set(e, TTD_HOST, "cannot take a connection of gdb's: %s",
				strerror(errno));
	}
}
