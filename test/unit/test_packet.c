/*
 * test_packet.c - packets with descriptors: one is taken, everything else that comes along
 * is closed, however it is sent.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/runtime.h"

enum { MANY = 253 /* one packet takes no more */ };

static unsigned descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	assert_non_null(d);
	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n;
}

/* n copies of standard input, with some bytes; in one message, which Linux makes of several. */
static void send_many(int s, unsigned n, size_t bytes)
{
	static union {
		struct cmsghdr align;
		char space[CMSG_SPACE(MANY * sizeof(int))];
	} c;
	char data[64] = "x";
	struct iovec v = {data, bytes};
	struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
	int fd[MANY] = {0};

	if (n > 0) {
		m.msg_control = c.space;
		m.msg_controllen = CMSG_SPACE(n * sizeof(int));
		CMSG_FIRSTHDR(&m)->cmsg_level = SOL_SOCKET;
		CMSG_FIRSTHDR(&m)->cmsg_type = SCM_RIGHTS;
		CMSG_FIRSTHDR(&m)->cmsg_len = CMSG_LEN(n * sizeof(int));
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&m)), fd, n * sizeof(int));
	}
	assert_int_equal(sendmsg(s, &m, 0), (ssize_t)bytes);
}

static void take(unsigned n, size_t bytes, size_t cap, bool want)
{
	unsigned before = descriptors();
	char data[64];
	int s[2], fd = -1;
	ssize_t got;

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, s), 0);
	send_many(s[0], n, bytes);
	got = packet_recv(s[1], data, cap, want ? &fd : NULL, 1000);
	assert_int_equal(got, bytes <= cap ? (ssize_t)bytes : -1);
	assert_true((fd >= 0) == (want && n == 1 && bytes <= cap));
	if (fd >= 0)
		close(fd);
	close(s[0]);
	close(s[1]);
	assert_int_equal(descriptors(), before);
}

static void one_or_none(void **state)
{
	static const unsigned counts[] = {0, 1, 2, 3, 17, MANY};

	(void)state;
	for (unsigned i = 0; i < sizeof counts / sizeof *counts; i++) {
		take(counts[i], 5, 64, true);
		take(counts[i], 5, 64, false);
		take(counts[i], 9, 8, true);
		take(counts[i], 9, 8, false);
	}
}

static void sent(void **state)
{
	unsigned before = descriptors();
	char data[8];
	int s[2], fd = -1;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, s), 0);
	assert_int_equal(packet_send(s[0], "abc", 3, 0), 0);
	assert_int_equal(packet_recv(s[1], data, sizeof data, &fd, 1000), 3);
	assert_true(fd >= 0);
	assert_memory_equal(data, "abc", 3);
	close(fd);
	assert_int_equal(packet_recv(s[1], data, sizeof data, &fd, 0), -1);
	close(s[0]);
	assert_int_equal(packet_recv(s[1], data, sizeof data, &fd, 1000), 0);
	close(s[1]);
	assert_int_equal(descriptors(), before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_or_none),
		cmocka_unit_test(sent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
