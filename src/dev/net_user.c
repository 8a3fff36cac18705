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
 * What the guest sends goes through a filter first (net_filter.h): libslirp would connect
 * it with anything that this process may connect to.  Its own switch for the loopback
 * is a second line where it can be: it also stops answers to forwarded datagrams.
 *
 * Large segments.  What the guest sends as one segment of up to 64 KB
 * libslirp takes as it is.  For the other way the maximum segment size that the
 * guest announces is raised, so that libslirp makes few large segments;
 * the guest gets each as several in one (net_gso), of the size it asked for.
 */
#include "dev/net_defrag.h"
#include "dev/net_filter.h"
#include "dev/net_host.h"
#include "dev/net_ping.h"
#include "util/clock.h"

#include <errno.h>
#include <ifaddrs.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <slirp/libslirp.h>

enum {
	NETWORK = 10 << 24 | 2 << 8, HOST = 2, NAMES = 3, LEASE = 15,
	MTU = 65521, /* libslirp's largest */
	MSS_LARGE = 32768, HEADERS4 = 40, HEADERS6 = 60 /* of IP and TCP */,
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
	struct net_filter filter;
	struct net_defrag *defrag;
	struct net_pings pings;
	unsigned mtu;
	Slirp *slirp;
	pthread_t thread;
	struct timer *timers;
	struct pollfd *fds; /* fds[0]: the queue's */
	nfds_t nfds, cap;
	uint8_t in[NET_PREFIX + NET_FRAME_MAX];
};

static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;

/* ---- what libslirp calls ---- */

/* libslirp sends datagrams up to its own MTU: in fragments they fit through the wire. */
static void send_fragments(struct user *u, const uint8_t *p, size_t n)
{
	struct net_frame f = { .p = u->in + NET_PREFIX };
	size_t at = 0;

	while ((f.len = (uint32_t)net_fragment(p, n, u->mtu, &at, u->in + NET_PREFIX)) != 0)
		u->host.receive(u->host.ctx, u->in, &f);
}

static ssize_t send_packet(const void *p, size_t n, void *opaque)
{
	struct user *u = opaque;
	struct net_frame f = { .p = u->in + NET_PREFIX, .len = (uint32_t)n, .csum_ok = true };

	if (n < NET_HEADER || n > NET_FRAME_MAX)
		return (ssize_t)n;
	net_filter_received(&u->filter, p, n);
	if (n > u->mtu + NET_HEADER) {
		f.gso = (uint8_t)net_tcp_kind(p, n);
		if (f.gso == NET_GSO_NONE) {
			send_fragments(u, p, n);
			return (ssize_t)n;
		}
		f.gso_size = (uint16_t)(u->mtu - (f.gso == NET_GSO_TCP4 ? HEADERS4 : HEADERS6));
		f.csum_blank = true;
	}
	memcpy(u->in + NET_PREFIX, p, n);
	f.len = (uint32_t)net_ping_received(&u->pings, u->in + NET_PREFIX, n, u->filter.host);
	if (f.len == 0)
		return (ssize_t)n;
	if (f.csum_blank)
		net_csum_blank(u->in + NET_PREFIX, n);
	else if (u->mtu != VIF_MTU)
		net_dhcp_mtu(u->in + NET_PREFIX, n, u->mtu);
	u->host.receive(u->host.ctx, u->in, &f);
	return (ssize_t)n;
}

static void guest_error(const char *msg, void *opaque)
{
	(void)msg;
	(void)opaque;
}

static int64_t clock_get_ns(void *opaque)
{
	(void)opaque;
	return (int64_t)clock_ns(CLOCK_MONOTONIC);
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
	.send_packet = send_packet, .guest_error = guest_error, .clock_get_ns = clock_get_ns,
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

static void refuse(struct user *u, const uint8_t *p, size_t n)
{
	struct net_frame f = { .p = u->in + NET_PREFIX };

	f.len = (uint32_t)net_filter_refusal(&u->filter, p, n, u->in + NET_PREFIX);
	if (f.len != 0)
		u->host.receive(u->host.ctx, u->in, &f);
}

static void pass_on(struct user *u, struct net_queued *q)
{
	uint8_t *p = q->bytes;
	size_t n = q->f.len;

	if (net_is_fragment(p, n))
		p = net_defrag_add(u->defrag, p, n, (int64_t)clock_ns(CLOCK_MONOTONIC), &n);
	if (p == NULL)
		return;
	if (q->f.csum_blank)
		net_csum_complete(p, n);
	switch (net_filter_sent(&u->filter, p, n)) {
	case NET_DROP:
		return;
	case NET_REFUSE:
		refuse(u, p, n);
		return;
	case NET_PASS:
		break;
	}
	net_ping_sent(&u->pings, p, n);
	if (atomic_load(&u->host.gso) & 1u << NET_GSO_TCP4)
		net_raise_mss(p, n, MSS_LARGE);
	slirp_input(u->slirp, p, (int)n);
}

static void input(struct user *u)
{
	struct net_queued *q = net_queue_take(u->queue), *next;

	for (; q != NULL; q = next) {
		next = q->next;
		pass_on(u, q);
		free(q);
	}
}

static void run_timers(struct user *u)
{
	int64_t now = (int64_t)clock_ms();

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
	int64_t now = (int64_t)clock_ms(), left;

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
	net_defrag_free(u->defrag);
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

static int forward(struct user *u, unsigned index, const struct vif_forward *f,
	struct ttd_error *e)
{
	struct in_addr host = { .s_addr = htonl(f->host) }, guest = { .s_addr = htonl(f->guest) };
	char text[INET_ADDRSTRLEN];

	if (f->guest == 0)
		guest = at(index, LEASE);
	if (slirp_add_hostfwd(u->slirp, f->udp, host, f->host_port, guest, f->guest_port) == 0)
		return 0;
	inet_ntop(AF_INET, &host, text, sizeof text);
	return err_set(e, TTD_HOST, "vif: hostfwd: cannot listen at %s %s port %u: %s",
		f->udp ? "udp" : "tcp", text, f->host_port, strerror(errno));
}

/* Asked once: a process that makes its network again is confined by then. */
static struct net_own own;
static pthread_once_t own_once = PTHREAD_ONCE_INIT;

static void find_own(void)
{
	struct ifaddrs *list = NULL;

	if (getifaddrs(&list) != 0)
		return;
	for (const struct ifaddrs *i = list; i != NULL; i = i->ifa_next) {
		if (i->ifa_addr == NULL)
			continue;
		if (i->ifa_addr->sa_family == AF_INET && own.n4 < NET_OWN)
			own.a4[own.n4++] = ntohl(((const struct sockaddr_in *)(const void *)
				i->ifa_addr)->sin_addr.s_addr);
		if (i->ifa_addr->sa_family == AF_INET6 && own.n6 < NET_OWN)
			memcpy(own.a6[own.n6++], &((const struct sockaddr_in6 *)(const void *)
				i->ifa_addr)->sin6_addr, 16);
	}
	freeifaddrs(list);
}

static void make_filter(struct net_filter *f, const struct vif_spec *spec,
	const SlirpConfig *c)
{
	pthread_once(&own_once, find_own);
	f->own = own;
	f->host = ntohl(c->vhost.s_addr);
	f->names = ntohl(c->vnameserver.s_addr);
	f->lease = ntohl(c->vdhcp_start.s_addr);
	memcpy(f->host6, c->vhost6.s6_addr, sizeof f->host6);
	memcpy(f->names6, c->vnameserver6.s6_addr, sizeof f->names6);
	f->loopback = spec->loopback;
	f->restricted = spec->restricted;
	f->nforwards = spec->nforwards;
	memcpy(f->forward, spec->forward, sizeof f->forward);
}

static bool any_udp(const struct vif_spec *spec)
{
	for (unsigned i = 0; i < spec->nforwards; i++)
		if (spec->forward[i].udp)
			return true;
	return false;
}

static int make_slirp(struct user *u, const struct vif_spec *spec, unsigned index,
	struct ttd_error *e)
{
	SlirpConfig c = {
		.version = 1, .in_enabled = true,
		.vnetwork = at(index, 0), .vnetmask.s_addr = htonl(0xffffff00),
		.vhost = at(index, HOST), .vdhcp_start = at(index, LEASE),
		.vnameserver = at(index, NAMES), .vhostname = "ttd",
		.in6_enabled = spec->ipv6, .vprefix_len = 64, .if_mtu = MTU, .if_mru = MTU,
		.disable_host_loopback = !spec->loopback && !any_udp(spec),
	};

	/* fd00:ttd:: as good as it can be spelt, a network for each interface. */
	c.vprefix_addr6 = (struct in6_addr){ .s6_addr = { 0xfd, 0, 0x0d, 0, 0, 0, 0,
		(uint8_t)(2 + index) } };
	c.vhost6 = c.vnameserver6 = c.vprefix_addr6;
	c.vhost6.s6_addr[15] = HOST;
	c.vnameserver6.s6_addr[15] = NAMES;
	make_filter(&u->filter, spec, &c);
	u->mtu = spec->mtu;
	pthread_mutex_lock(&turn);
	u->slirp = slirp_new(&c, &callbacks, u);
	pthread_mutex_unlock(&turn);
	if (u->slirp == NULL)
		return err_set(e, TTD_HOST, "vif: libslirp cannot make a network");
	for (unsigned i = 0; i < spec->nforwards; i++)
		if (forward(u, index, &spec->forward[i], e) != 0)
			return -1;
	return 0;
}

struct net_host *net_user_open(const struct vif_spec *spec, unsigned index,
	net_receive_fn *receive, void *ctx, struct ttd_error *e)
{
	struct user *u = calloc(1, sizeof *u);

	if (u == NULL) {
		err_set(e, TTD_HOST, "out of memory for a network interface");
		return NULL;
	}
	u->host.ops = &user_ops;
	u->host.receive = receive;
	u->host.ctx = ctx;
	u->queue = net_queue_create(e);
	u->defrag = net_defrag_create();
	if (u->queue != NULL && u->defrag == NULL)
		err_set(e, TTD_HOST, "out of memory for a network interface");
	if (u->queue != NULL && u->defrag != NULL && make_slirp(u, spec, index, e) == 0 &&
		net_thread(&u->thread, run, u, e) == 0)
		return &u->host;
	free_user(u);
	return NULL;
}
