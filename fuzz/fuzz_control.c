/*
 * fuzz_control.c - what a client sends to a domain's control socket: requests and other
 * packets, with any number of descriptors along.  No descriptor may be left behind, and the
 * socket must still answer afterwards.
 *
 * Input: a byte that says how many descriptors (7 bits) and whether the packet's sender takes
 * its answer, a byte of length, the packet; and so on.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <ttd/ttd.h>

#include "util/runtime.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

enum { FDS = 127, PACKETS = 16 };

static struct ttd_control *control;
static char path[RUNTIME_PATH];

static void set_up(void)
{
	static char folder[] = "/tmp/ttd-fuzz.XXXXXX";

	if (mkdtemp(folder) == NULL)
		abort();
	setenv("XDG_RUNTIME_DIR", folder, 1);
	control = ttd_control_open("fuzz", 0, NULL);
	if (control == NULL || runtime_path(path, "fuzz", DOMAIN_SUFFIX, NULL) != 0)
		abort();
}

static void send_packet(int s, const uint8_t *p, size_t n, unsigned fds)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(FDS * sizeof(int))];
	} c;
	struct iovec v = {(void *)(uintptr_t)p, n};
	struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
	int fd[FDS];

	for (unsigned i = 0; i < FDS; i++)
		fd[i] = s;
	if (fds > 0) {
		memset(&c, 0, sizeof c);
		m.msg_control = c.space;
		m.msg_controllen = CMSG_SPACE(fds * sizeof(int));
		CMSG_FIRSTHDR(&m)->cmsg_level = SOL_SOCKET;
		CMSG_FIRSTHDR(&m)->cmsg_type = SCM_RIGHTS;
		CMSG_FIRSTHDR(&m)->cmsg_len = CMSG_LEN(fds * sizeof(int));
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&m)), fd, fds * sizeof(int));
	}
	sendmsg(s, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* A new client gets an answer: all that came before has been dealt with. */
static void answers(void)
{
	int s = runtime_connect(path, NULL);
	char text[200];
	ssize_t n;

	if (s < 0 || packet_send(s, "info", 4, -1) != 0)
		abort();
	n = packet_recv(s, text, sizeof text, NULL, 10000);
	if (n < 3 || memcmp(text, "ok ", 3) != 0)
		abort();
	close(s);
}

/* The lowest descriptor that is free: it moves up when one is left behind. */
static int lowest(void)
{
	int fd = dup(0);

	close(fd);
	return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static int free_fd = -1;
	char text[4096];
	int s;

	if (control == NULL)
		set_up();
	answers();
	s = runtime_connect(path, NULL);
	if (s < 0)
		abort();
	for (unsigned i = 0; i < PACKETS && n > 2; i++) {
		size_t len = p[1] < n - 2 ? p[1] : n - 2;

		send_packet(s, p + 2, len, p[0] & 0x7f);
		if (p[0] & 0x80)
			packet_recv(s, text, sizeof text, NULL, 1);
		p += 2 + len;
		n -= 2 + len;
	}
	close(s);
	answers();
	answers();
	if (free_fd < 0)
		free_fd = lowest();
	/* The last client's end may take a moment to be noticed. */
	for (int ms = 0; lowest() > free_fd + 2; ms++) {
		if (ms == 2000)
			abort();
		usleep(1000);
	}
	return 0;
}
