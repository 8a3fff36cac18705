/*
 * net_user.c - a network in this process: libslirp answers the guest's ARP,
 * DHCP and DNS, and makes its connections with the host's own sockets.
 *
 * Interface number i has the network 10.0.(2+i).0/24, with the router (and host)
 * at .2, the name server at .3 and the guest's lease from .15 up.
 *
 * Each interface has a thread, which alone touches its Slirp.  The library
 * keeps a clock and its DNS address for all instances together, so threads of
 * several interfaces take turns (`turn`).
 *
 * Large segments.  What the guest sends as one segment of up to 64 KB
 * libslirp takes as it is.  For the other way the maximum segment size that the
 * guest announces is raised, so that libslirp makes few large segments;
 * the guest gets each as several in one (net_gso), of the size it asked for.
 */
#include "dev/net_host.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include <slirp/libslirp.h>

enum {
	NETWORK = 10 << 24 | 2 << 8, HOST = 2, NAMES = 3, LEASE = 15,
	MTU = 65521, /* libslirp's largest */
	MSS_LARGE = 32768, GSO4 = 1460, GSO6 = 1440,
	ETHER_MTU = 1514,
};

struct timer {
	struct timer *next;
	SlirpTimerCb cb;
	void *opaque;
	int64_t at; /* ms; 0: not set */
};

struct user {
	struct net_host host;
	struct net_queue *queue;
	Slirp *slirp;
	pthread_t thread;
	struct timer *timers;
	struct pollfd *fds; /* fds[0]: the queue's */
	nfds_t nfds, cap;
	uint8_t in[NET_PREFIX + NET_FRAME_MAX];
};

static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;

/* ---- what libslirp calls ---- */

static ssize_t send_packet(const void *p, size_t n, void *opaque)
{
	struct user *u = opaque;
	struct net_frame f = { .p = u->in + NET_PREFIX, .len = (uint32_t)n, .csum_ok = true };

	if (n < NET_HEADER || n > NET_FRAME_MAX)
		return (ssize_t)n;
	memcpy(u->in + NET_PREFIX, p, n);
	if (n > ETHER_MTU) {
		f.gso = (uint8_t)net_tcp_kind(p, n);
		f.gso_size = f.gso == NET_GSO_TCP4 ? GSO4 : f.gso == NET_GSO_TCP6 ? GSO6 : 0;
		if (f.gso != NET_GSO_NONE) {
			net_csum_blank(u->in + NET_PREFIX, n);
			f.csum_blank = true;
		}
	}
	u->host.receive(u->host.ctx, u->in, &f);
	return (ssize_t)n;
}

static void guest_error(const char *msg, void *opaque)
{
	(void)msg;
	(void)opaque;
}

static int64_t clock_ns(void *opaque)
{
	struct timespec ts;

	(void)opaque;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static void *timer_new(SlirpTimerCb cb, void *cb_opaque, void *opaque)
{
	struct user *u = opaque;
	struct timer *t = calloc(1, sizeof *t);

	if (t == NULL)
		abort(); /* libslirp does the same */
	t->cb = cb;
	t->opaque = cb_opaque;
	t->next = u->timers;
	u->timers = t;
	return t;
}

static void timer_free(void *timer, void *opaque)
{
	struct user *u = opaque;
	struct timer **at = &u->timers;

	while (*at != NULL && *at != timer)
		at = &(*at)->next;
	if (*at != NULL)
		*at = (*at)->next;
	free(timer);
}

static void timer_mod(void *timer, int64_t expire_ms, void *opaque)
{
	(void)opaque;
	((struct timer *)timer)->at = expire_ms;
}

static void no_fd(int fd, void *opaque)
{
	(void)fd;
	(void)opaque;
}

static void no_notify(void *opaque)
{
	(void)opaque;
}

static const SlirpCb callbacks = {
	.send_packet = send_packet, .guest_error = guest_error, .clock_get_ns = clock_ns,
	.timer_new = timer_new, .timer_free = timer_free, .timer_mod = timer_mod,
	.register_poll_fd = no_fd, .unregister_poll_fd = no_fd, .notify = no_notify,
};

/* ---- the thread ---- */

static const struct {
	int slirp;
	short poll;
} bits[] = {
	{SLIRP_POLL_IN, POLLIN}, {SLIRP_POLL_OUT, POLLOUT}, {SLIRP_POLL_PRI, POLLPRI},
	{SLIRP_POLL_ERR, POLLERR}, {SLIRP_POLL_HUP, POLLHUP},
};

static int add_poll(int fd, int events, void *opaque)
{
	struct user *u = opaque;
	struct pollfd *more;

	if (u->nfds == u->cap) {
		more = realloc(u->fds, (u->cap * 2 + 16) * sizeof *more);
		if (more == NULL)
			return -1;
		u->fds = more;
		u->cap = u->cap * 2 + 16;
	}
	u->fds[u->nfds] = (struct pollfd){ .fd = fd };
	for (size_t i = 0; i < sizeof bits / sizeof *bits; i++)
		if (events & bits[i].slirp)
			u->fds[u->nfds].events |= bits[i].poll;
	return (int)u->nfds++;
}

static int get_revents(int idx, void *opaque)
{
	struct user *u = opaque;
	int events = 0;

	if (idx < 0 || (nfds_t)idx >= u->nfds)
		return 0;
	for (size_t i = 0; i < sizeof bits / sizeof *bits; i++)
		if (u->fds[idx].revents & bits[i].poll)
			events |= bits[i].slirp;
	return events;
}

static void input(struct user *u)
{
	struct net_queued *q = net_queue_take(u->queue), *next;

	for (; q != NULL; q = next) {
		next = q->next;
		if (q->f.csum_blank)
			net_csum_complete(q->bytes, q->f.len);
		if (u->host.gso & 1u << NET_GSO_TCP4)
			net_raise_mss(q->bytes, q->f.len, MSS_LARGE);
		slirp_input(u->slirp, q->bytes, (int)q->f.len);
		free(q);
	}
}

static void run_timers(struct user *u)
{
	int64_t now = clock_ns(u) / 1000000;

	for (struct timer *t = u->timers; t != NULL; t = t->next) {
		if (t->at != 0 && t->at <= now) {
			t->at = 0;
			t->cb(t->opaque);
			return; /* the list may have changed; the others are due at once */
		}
	}
}

static int timeout_of(const struct user *u, uint32_t ms)
{
	int64_t now = clock_ns(NULL) / 1000000, left;

	for (const struct timer *t = u->timers; t != NULL; t = t->next) {
		if (t->at == 0)
			continue;
		left = t->at > now ? t->at - now : 0;
		if (left < (int64_t)ms)
			ms = (uint32_t)left;
	}
	return ms > 60000 ? 60000 : (int)ms;
}

static void *run(void *ctx)
{
	struct user *u = ctx;
	uint32_t ms;
	int n;

	while (!net_queue_ended(u->queue)) {
		ms = UINT32_MAX;
		u->nfds = 0;
		add_poll(net_queue_fd(u->queue), SLIRP_POLL_IN, u);
		pthread_mutex_lock(&turn);
		slirp_pollfds_fill(u->slirp, &ms, add_poll, u);
		pthread_mutex_unlock(&turn);
		do
			n = poll(u->fds, u->nfds, timeout_of(u, ms));
		while (n < 0 && errno == EINTR);
		pthread_mutex_lock(&turn);
		slirp_pollfds_poll(u->slirp, n < 0, get_revents, u);
		if (u->fds[0].revents != 0)
			input(u);
		run_timers(u);
		pthread_mutex_unlock(&turn);
	}
	return NULL;
}

/* ---- open and close ---- */

static void user_send(struct net_host *h, const struct net_frame *f)
{
	net_queue_put(((struct user *)h)->queue, f);
}

static void free_user(struct user *u)
{
	if (u->slirp != NULL) {
		pthread_mutex_lock(&turn);
		slirp_cleanup(u->slirp);
		pthread_mutex_unlock(&turn);
	}
	while (u->timers != NULL)
		timer_free(u->timers, u);
	net_queue_free(u->queue);
	free(u->fds);
	free(u);
}

static void user_close(struct net_host *h)
{
	struct user *u = (struct user *)h;

	net_queue_end(u->queue);
	pthread_join(u->thread, NULL);
	free_user(u);
}

static const struct net_host_ops user_ops = { .send = user_send, .close = user_close };

static struct in_addr at(unsigned index, unsigned host)
{
	return (struct in_addr){ .s_addr = htonl((uint32_t)NETWORK + (index << 8) + host) };
}

static int forward(struct user *u, unsigned index, const struct vif_forward *f, struct err *e)
{
	struct in_addr host = { .s_addr = htonl(f->host) }, guest = { .s_addr = htonl(f->guest) };
	char text[INET_ADDRSTRLEN];

	if (f->guest == 0)
		guest = at(index, LEASE);
	if (slirp_add_hostfwd(u->slirp, f->udp, host, f->host_port, guest, f->guest_port) == 0)
		return 0;
	inet_ntop(AF_INET, &host, text, sizeof text);
	return err_set(e, ST_HOST, "vif: hostfwd: cannot listen at %s %s port %u: %s",
		f->udp ? "udp" : "tcp", text, f->host_port, strerror(errno));
}

static int make_slirp(struct user *u, const struct vif_spec *spec, unsigned index, struct err *e)
{
	SlirpConfig c = {
		.version = 1, .in_enabled = true,
		.vnetwork = at(index, 0), .vnetmask.s_addr = htonl(0xffffff00),
		.vhost = at(index, HOST), .vdhcp_start = at(index, LEASE),
		.vnameserver = at(index, NAMES), .vhostname = "ttd",
		.in6_enabled = spec->ipv6, .vprefix_len = 64, .if_mtu = MTU, .if_mru = MTU,
	};

	/* fd00:ttd:: as good as it can be spelt, a network for each interface. */
	c.vprefix_addr6 = (struct in6_addr){ .s6_addr = { 0xfd, 0, 0x0d, 0, 0, 0, 0,
		(uint8_t)(2 + index) } };
	c.vhost6 = c.vnameserver6 = c.vprefix_addr6;
	c.vhost6.s6_addr[15] = HOST;
	c.vnameserver6.s6_addr[15] = NAMES;
	pthread_mutex_lock(&turn);
	u->slirp = slirp_new(&c, &callbacks, u);
	pthread_mutex_unlock(&turn);
	if (u->slirp == NULL)
		return err_set(e, ST_HOST, "vif: libslirp cannot make a network");
	for (unsigned i = 0; i < spec->nforwards; i++)
		if (forward(u, index, &spec->forward[i], e) != 0)
			return -1;
	return 0;
}

struct net_host *net_user_open(const struct vif_spec *spec, unsigned index,
	net_receive_fn *receive, void *ctx, struct err *e)
{
	struct user *u = calloc(1, sizeof *u);

	if (u == NULL) {
		err_set(e, ST_HOST, "out of memory for a network interface");
		return NULL;
	}
	u->host.ops = &user_ops;
	u->host.receive = receive;
	u->host.ctx = ctx;
	u->queue = net_queue_create(e);
	if (u->queue != NULL && make_slirp(u, spec, index, e) == 0 &&
		net_thread(&u->thread, run, u, e) == 0)
		return &u->host;
	free_user(u);
	return NULL;
}
