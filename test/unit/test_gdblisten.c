/*
 * test_gdblisten.c - whose connections a listener for gdb takes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gdb/listen.h"
#include "gdb/peer.h"

static struct sockaddr_in at(uint32_t addr, unsigned port)
{
	return (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(addr),
		.sin_port = htons((uint16_t)port) };
}

static void owners(void **state)
{
	struct sockaddr_in self = at(INADDR_LOOPBACK, 0), peer;
	struct sockaddr_in6 mapped = { .sin6_family = AF_INET6 };
	socklen_t len = sizeof self;
	int l = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), fd, in, ask;
	struct ttd_error e = TTD_ERROR_INIT;
	uid_t uid;

	(void)state;
	ask = peer_open(&e);
	assert_true(ask >= 0);
	assert_int_equal(bind(l, (struct sockaddr *)&self, sizeof self), 0);
	assert_int_equal(listen(l, 4), 0);
	getsockname(l, (struct sockaddr *)&self, &len);
	memcpy(mapped.sin6_addr.s6_addr, "\0\0\0\0\0\0\0\0\0\0\xff\xff\x7f\0\0\1", 16);
	mapped.sin6_port = self.sin_port;
	for (int v6 = 0; v6 < 2; v6++) {
		fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (fd < 0 && v6)
			break; /* a host without IPv6 */
		assert_int_equal(connect(fd, v6 ? (struct sockaddr *)&mapped : (struct sockaddr *)&self,
			v6 ? sizeof mapped : sizeof self), 0);
		len = sizeof peer;
		in = accept(l, (struct sockaddr *)&peer, &len);
		assert_true(in >= 0);
		uid = 12345;
		assert_int_equal(peer_uid(ask, &peer, &self, &uid), 0);
		assert_int_equal(uid, geteuid());
		peer.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1);
		assert_int_equal(peer_uid(ask, &peer, &self, &uid), -1);
		peer.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		close(fd);
		assert_int_equal(peer_uid(ask, &peer, &self, &uid), -1); /* gone */
		close(in);
	}
	close(l);
	close(ask);
}

static int say(unsigned port, const char *what)
{
	const struct sockaddr_in to = at(INADDR_LOOPBACK, port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (const struct sockaddr *)&to, sizeof to), 0);
	assert_int_equal(send(fd, what, strlen(what), MSG_NOSIGNAL), strlen(what));
	return fd;
}

/* The other side has closed it, perhaps by a reset as it did not read what was said. */
static bool closed(int fd)
{
	char byte;
	bool is = recv(fd, &byte, 1, 0) <= 0;

	close(fd);
	return is;
}

static void port(void **state)
{
	static const char *const good[] = { "+", "$qC#b4", "-", "\3" };
	static const char *const bad[] = { "POST / HTTP/1.1\r\n\r\n+$c#63", "GET", " $", "\xff", "k" };
	unsigned n = 0;
	struct ttd_error e = TTD_ERROR_INIT;
	struct gdb_listener *l = gdb_listen_port(&n, &e);

	(void)state;
	assert_non_null(l);
	assert_int_not_equal(n, 0);
	for (size_t i = 0; i < 4; i++) {
		int wrong = say(n, bad[i]), also = say(n, bad[4]), right = say(n, good[i]), fd;
		char bytes[10];

		fd = gdb_accept(l, -1, &e);
		assert_true(fd >= 0);
		assert_int_equal(recv(fd, bytes, sizeof bytes, 0), strlen(good[i])); /* it is all there */
		assert_memory_equal(bytes, good[i], strlen(good[i]));
		assert_true(closed(wrong));
		assert_true(closed(also));
		close(fd);
		close(right);
	}
	gdb_listener_close(l);
}

/* Only root can be somebody else. */
static void others(void **state)
{
	unsigned n = 0;
	struct ttd_error e = TTD_ERROR_INIT;
	struct gdb_listener *l = gdb_listen_port(&n, &e);
	int status, fd, right, ready[2];
	char byte;
	pid_t pid;

	(void)state;
	assert_non_null(l);
	if (geteuid() == 0) {
		assert_int_equal(pipe(ready), 0);
		pid = fork();
		if (pid == 0) {
			if (setuid(65534) != 0)
				_exit(2);
			fd = say(n, "$g#67");
			if (write(ready[1], "", 1) != 1)
				_exit(3);
			_exit(closed(fd) ? 0 : 1);
		}
		assert_int_equal(read(ready[0], &byte, 1), 1); /* it is first in the queue */
		right = say(n, "$g#67");
		fd = gdb_accept(l, -1, &e);
		assert_true(fd >= 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
		close(fd);
		close(right);
		close(ready[0]);
		close(ready[1]);
	}
	gdb_listener_close(l);
}

static void path(void **state)
{
	char dir[] = "/tmp/ttd-test.XXXXXX", name[100], longer[200];
	struct gdb_listener *l, *second;
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	struct stat st;
	struct ttd_error e = TTD_ERROR_INIT;
	int fd, in;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(name, sizeof name, "%s/s", dir);
	strcpy(to.sun_path, name);
	umask(0);
	l = gdb_listen_path(name, &e);
	assert_non_null(l);
	assert_int_equal(stat(name, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
	assert_int_equal(send(fd, "+", 1, 0), 1);
	in = gdb_accept(l, -1, &e);
	assert_true(in >= 0);
	close(in);
	close(fd);
	second = gdb_listen_path(name, &e); /* somebody is there */
	assert_null(second);
	assert_non_null(strstr(e.text, "in use"));
	gdb_listener_close(l);
	l = gdb_listen_path(name, &e); /* was left there */
	assert_non_null(l);
	gdb_listener_close(l);
	unlink(name);
	fclose(fopen(name, "w"));
	assert_null(gdb_listen_path(name, &e)); /* no socket: it stays */
	assert_int_equal(stat(name, &st), 0);
	unlink(name);
	rmdir(dir);
	memset(longer, 'x', sizeof longer - 1);
	longer[sizeof longer - 1] = '\0';
	assert_null(gdb_listen_path(longer, &e));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(owners), cmocka_unit_test(port), cmocka_unit_test(others),
		cmocka_unit_test(path),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
