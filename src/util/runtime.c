/*
 * runtime.c - the folder of running domains, and its sockets; see runtime.h.
 */
#include "util/runtime.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "util/names.h"

enum { BACKLOG = 16, SCM_MAX_FD = 253 /* of Linux */ };

static int choose(char path[RUNTIME_PATH], struct ttd_error *e)
{
	const char *xdg = getenv("XDG_RUNTIME_DIR");
	unsigned uid = (unsigned)geteuid();
	struct stat st;
	int n;

	if (xdg != NULL && *xdg == '/') {
		n = snprintf(path, RUNTIME_PATH, "%s/ttd", xdg);
	} else {
		n = snprintf(path, RUNTIME_PATH, "/run/user/%u", uid);
		if (stat(path, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == uid)
			n = snprintf(path, RUNTIME_PATH, "/run/user/%u/ttd", uid);
		else
			n = snprintf(path, RUNTIME_PATH, "/tmp/ttd-%u", uid);
	}
	if (n < 0 || n >= RUNTIME_PATH)
		return err_set(e, TTD_USAGE, "XDG_RUNTIME_DIR: the path is too long for a socket");
	return 0;
}

int runtime_dir(char path[RUNTIME_PATH], struct ttd_error *e)
{
	struct stat st;

	if (choose(path, e) != 0)
		return -1;
	/* lstat: what another user may have put there is not followed. */
	if (lstat(path, &st) != 0 && mkdir(path, 0700) != 0 && errno != EEXIST)
		return err_set(e, TTD_HOST, "cannot create the folder %s: %s", path, strerror(errno));
	if (lstat(path, &st) != 0)
		return err_set(e, TTD_HOST, "%s: %s", path, strerror(errno));
	if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 077) != 0)
		return err_set(e, TTD_HOST, "%s must be a folder of yours with mode 0700; remove it, "
			"or set XDG_RUNTIME_DIR", path);
	return 0;
}

int runtime_path(char path[RUNTIME_PATH], const char *name, const char *suffix,
	struct ttd_error *e)
{
	char dir[RUNTIME_PATH];
	int n;

	if (runtime_dir(dir, e) != 0)
		return -1;
	n = snprintf(path, RUNTIME_PATH, "%s/%s%s", dir, name, suffix);
	if (n < 0 || n >= RUNTIME_PATH)
		return err_set(e, TTD_USAGE, "%s: the path of its socket would be too long; take a "
			"shorter name, or set XDG_RUNTIME_DIR to a shorter path", name);
	return 0;
}

/* Held while a socket is looked at and replaced. */
static int lock_dir(struct ttd_error *e)
{
	char path[RUNTIME_PATH];
	int fd;

	if (runtime_path(path, ".lock", "", e) != 0)
		return -1;
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0 || flock(fd, LOCK_EX) != 0) {
		err_set(e, TTD_HOST, "%s: %s", path, strerror(errno));
		if (fd >= 0)
			close(fd);
		return -1;
	}
	return fd;
}

static struct sockaddr_un address(const char *path)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};

	_Static_assert(sizeof a.sun_path >= RUNTIME_PATH, "room for a path");
	strcpy(a.sun_path, path);
	return a;
}

static bool peer_ok(int fd)
{
	struct ucred c;
	socklen_t n = sizeof c;

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &c, &n) == 0 &&
		(c.uid == geteuid() || c.uid == 0);
}

int runtime_connect(const char *path, struct ttd_error *e)
{
	struct sockaddr_un a = address(path);
	int fd;

	if (names_asked()) {
		fd = names_ask(NAME_CONNECT, 0, path, "");
		if (fd < 0)
			err_set(e, TTD_HOST, "%s: %s", path, strerror(errno));
		return fd;
	}
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		err_set(e, TTD_HOST, "socket: %s", strerror(errno));
		return -1;
	}
	if (connect(fd, (struct sockaddr *)&a, sizeof a) != 0)
		err_set(e, TTD_HOST, "%s: %s", path, strerror(errno));
	else if (!peer_ok(fd))
		err_set(e, TTD_HOST, "%s: belongs to another user", path);
	else
		return fd;
	close(fd);
	return -1;
}

/* Under the lock: nobody answers there, and never will again. */
static bool dead(const char *path)
{
	struct sockaddr_un a = address(path);
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool refused = fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof a) != 0 &&
		errno == ECONNREFUSED;

	if (fd >= 0)
		close(fd);
	return refused;
}

void runtime_sweep(const char *path)
{
	int lock = lock_dir(NULL);

	if (lock < 0)
		return;
	if (dead(path))
		unlink(path);
	close(lock);
}

static int bind_listen(const char *path, bool *taken, struct ttd_error *e)
{
	struct sockaddr_un a = address(path);
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	if (fd >= 0 && dead(path))
		unlink(path);
	/* The folder is 0700, so the moment before chmod() is nobody's chance. */
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) != 0 ||
		chmod(path, 0600) != 0 || listen(fd, BACKLOG) != 0) {
		*taken = errno == EADDRINUSE;
		err_set(e, TTD_HOST, "%s: %s", path, strerror(errno));
		if (fd >= 0)
			close(fd);
		return -1;
	}
	return fd;
}

int runtime_listen(const char *path, bool *taken, struct ttd_error *e)
{
	int lock = lock_dir(e), fd;

	*taken = false;
	if (lock < 0)
		return -1;
	fd = bind_listen(path, taken, e);
	close(lock);
	return fd;
}

int runtime_accept(int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

	if (fd >= 0 && !peer_ok(fd)) {
		close(fd);
		return -1;
	}
	return fd;
}

/* ---- packets ---- */

union passed {
	struct cmsghdr align;
	char space[CMSG_SPACE(sizeof(int))];
};

/* As many descriptors as one packet can bring, and room for what else there may be. */
union taken {
	struct cmsghdr align;
	char space[CMSG_SPACE(SCM_MAX_FD * sizeof(int)) + 256];
};

int packet_send(int fd, const void *p, size_t n, int pass)
{
	struct iovec v = {.iov_base = (void *)(uintptr_t)p, .iov_len = n};
	struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
	union passed c = {0};
	ssize_t k;

	if (pass >= 0) {
		struct cmsghdr *h;

		m.msg_control = c.space;
		m.msg_controllen = sizeof c.space;
		h = CMSG_FIRSTHDR(&m);
		h->cmsg_level = SOL_SOCKET;
		h->cmsg_type = SCM_RIGHTS;
		h->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(h), &pass, sizeof pass);
	}
	do
		k = sendmsg(fd, &m, MSG_NOSIGNAL);
	while (k < 0 && errno == EINTR);
	return k == (ssize_t)n ? 0 : -1;
}

/* The one descriptor that came; of several none is right.  What is not returned is closed. */
static int taken_fd(struct msghdr *m)
{
	int first = -1, fd;
	unsigned n = 0;

	for (struct cmsghdr *h = CMSG_FIRSTHDR(m); h != NULL; h = CMSG_NXTHDR(m, h)) {
		if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t at = 0; CMSG_LEN(at + sizeof fd) <= h->cmsg_len; at += sizeof fd) {
			memcpy(&fd, CMSG_DATA(h) + at, sizeof fd);
			if (n++ == 0)
				first = fd;
			else
				close(fd);
		}
	}
	if (n > 1) {
		close(first);
		first = -1;
	}
	return first;
}

ssize_t packet_recv(int fd, void *p, size_t cap, int *pass, int ms)
{
	struct iovec v = {.iov_base = p, .iov_len = cap};
	struct pollfd wait = {.fd = fd, .events = POLLIN};
	union taken c;
	struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = c.space,
		.msg_controllen = sizeof c.space};
	int got, rc;
	ssize_t n;

	if (pass != NULL)
		*pass = -1;
	do
		rc = poll(&wait, 1, ms);
	while (rc < 0 && errno == EINTR);
	if (rc <= 0)
		return -1;
	do
		n = recvmsg(fd, &m, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -1;
	got = taken_fd(&m);
	if (pass != NULL && (m.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) == 0)
		*pass = got;
	else if (got >= 0)
		close(got);
	return (m.msg_flags & MSG_TRUNC) != 0 ? -1 : n;
}
