/*
 * peer.c - see peer.h.  One question about one pair of addresses: a list of all
 * connections, as /proc/net/tcp is, may leave one out while others come and go.
 */
#include "gdb/peer.h"

#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

struct question {
	struct nlmsghdr h;
	struct inet_diag_req_v2 r;
};

int peer_open(struct ttd_error *e)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);

	if (fd < 0)
		err_set(e, TTD_HOST, "cannot ask the kernel whose connections come to a port: %s; use a "
			"path (--gdb=./PATH)", strerror(errno));
	return fd;
}

int peer_uid(int fd, const struct sockaddr_in *peer, const struct sockaddr_in *self, uid_t *uid)
{
	struct question q = {
		.h = { .nlmsg_len = sizeof q, .nlmsg_type = SOCK_DIAG_BY_FAMILY,
			.nlmsg_flags = NLM_F_REQUEST },
		.r = { .sdiag_family = AF_INET, .sdiag_protocol = IPPROTO_TCP, .idiag_states = UINT32_MAX,
			.id = { .idiag_sport = peer->sin_port, .idiag_dport = self->sin_port,
				.idiag_src = { peer->sin_addr.s_addr }, .idiag_dst = { self->sin_addr.s_addr },
				.idiag_cookie = { INET_DIAG_NOCOOKIE, INET_DIAG_NOCOOKIE } } },
	};
	union {
		struct nlmsghdr h;
		char bytes[1024];
	} a;
	const struct inet_diag_msg *m = NLMSG_DATA(&a.h);
	ssize_t n;

	if (send(fd, &q, sizeof q, 0) != (ssize_t)sizeof q)
		return -1;
	do
		n = recv(fd, &a, sizeof a, 0);
	while (n < 0 && errno == EINTR);
	if (n < (ssize_t)NLMSG_LENGTH(sizeof *m) || a.h.nlmsg_type != SOCK_DIAG_BY_FAMILY ||
	    m->id.idiag_sport != peer->sin_port || m->id.idiag_dport != self->sin_port ||
	    m->idiag_inode == 0) /* nobody has it any more */
		return -1;
	*uid = m->idiag_uid;
	return 0;
}
