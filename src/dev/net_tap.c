/*
 * net_tap.c - a tap device: frames go to the host's kernel, which may bridge or
 * route them.  Needs CAP_NET_ADMIN, or a device that was made for this user.
 *
 * Frames carry a struct virtio_net_hdr, so checksums and large segments are
 * passed on as they are: nothing is computed or cut up here.
 */
#include "dev/net_host.h"
#include "util/names.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum { BURST = 64 };

struct tap {
	struct net_host host;
	struct net_queue *queue;
	pthread_t thread;
	int fd;
	uint8_t in[sizeof(struct virtio_net_hdr) + NET_FRAME_MAX];
};

/* Where the headers of TCP or UDP begin, for a header of virtio's. */
static bool describe(const struct net_frame *f, struct virtio_net_hdr *h)
{
	const uint8_t *p = f->p;
	unsigned ip = NET_HEADER, l4, proto;

	if (!f->csum_blank && f->gso == NET_GSO_NONE)
		return true;
	if (f->len < ip + 40)
		return false;
	if (p[12] == 0x08 && p[13] == 0x00) {
		l4 = ip + (p[ip] & 15u) * 4;
		proto = p[ip + 9];
	} else {
		l4 = ip + 40;
		proto = p[ip + 6];
	}
	if ((proto != 6 && proto != 17) || f->len < l4 + 20)
		return false;
	h->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	h->csum_start = (uint16_t)l4;
	h->csum_offset = proto == 6 ? 16 : 6;
	if (f->gso != NET_GSO_NONE) {
		h->gso_type = f->gso == NET_GSO_TCP4 ? VIRTIO_NET_HDR_GSO_TCPV4
			: VIRTIO_NET_HDR_GSO_TCPV6;
		h->gso_size = f->gso_size;
		h->hdr_len = (uint16_t)(l4 + (p[l4 + 12] >> 4) * 4u);
	}
	return true;
}

static void output(struct tap *t)
{
	struct net_queued *q = net_queue_take(t->queue), *next;

	for (; q != NULL; q = next) {
		struct virtio_net_hdr h = {0};
		struct iovec v[2] = { { &h, sizeof h }, { q->bytes, q->f.len } };

		next = q->next;
		if (describe(&q->f, &h) && writev(t->fd, v, 2) < 0 && errno == EIO)
			errno = 0; /* the device is down: the frame is lost, as on a wire */
		free(q);
	}
}

static void input(struct tap *t)
{
	for (int i = 0; i < BURST; i++) {
		struct net_frame f = { .p = t->in + sizeof(struct virtio_net_hdr) };
		struct virtio_net_hdr h;
		ssize_t n = read(t->fd, t->in, sizeof t->in);

		if (n < (ssize_t)(sizeof h + NET_HEADER))
			return;
		memcpy(&h, t->in, sizeof h);
		f.len = (uint32_t)((size_t)n - sizeof h);
		f.csum_blank = (h.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) != 0;
		f.csum_ok = f.csum_blank || (h.flags & VIRTIO_NET_HDR_F_DATA_VALID) != 0;
		switch (h.gso_type & ~VIRTIO_NET_HDR_GSO_ECN) {
		case VIRTIO_NET_HDR_GSO_TCPV4: f.gso = NET_GSO_TCP4; break;
		case VIRTIO_NET_HDR_GSO_TCPV6: f.gso = NET_GSO_TCP6; break;
		default: break;
		}
		f.gso_size = f.gso != NET_GSO_NONE ? h.gso_size : 0;
		if (f.gso_size == 0)
			f.gso = NET_GSO_NONE;
		t->host.receive(t->host.ctx, t->in + sizeof h - NET_PREFIX, &f);
	}
}

/* What the guest takes changes when its driver connects. */
static void set_offload(struct tap *t, unsigned *now)
{
	unsigned want = atomic_load(&t->host.gso), bits = TUN_F_CSUM;

	if (want == *now)
		return;
	*now = want;
	bits |= want & 1u << NET_GSO_TCP4 ? TUN_F_TSO4 : 0;
	bits |= want & 1u << NET_GSO_TCP6 ? TUN_F_TSO6 : 0;
	ioctl(t->fd, TUNSETOFFLOAD, (unsigned long)bits);
}

static void *run(void *ctx)
{
	struct tap *t = ctx;
	struct pollfd p[2] = { { .fd = net_queue_fd(t->queue), .events = POLLIN },
		{ .fd = t->fd, .events = POLLIN } };
	unsigned offload = UINT32_MAX;

	while (!net_queue_ended(t->queue)) {
		set_offload(t, &offload);
		if (poll(p, 2, 1000) < 0)
			continue;
		if (p[0].revents != 0)
			output(t);
		if (p[1].revents & POLLIN)
			input(t);
		else if (p[1].revents != 0)
			p[1].fd = -1; /* the device was removed */
	}
	return NULL;
}

static void tap_send(struct net_host *h, const struct net_frame *f)
{
	net_queue_put(((struct tap *)h)->queue, f);
}

static void free_tap(struct tap *t)
{
	if (t->fd >= 0)
		close(t->fd);
	net_queue_free(t->queue);
	free(t);
}

static void tap_close(struct net_host *h)
{
	struct tap *t = (struct tap *)h;

	net_queue_end(t->queue);
	pthread_join(t->thread, NULL);
	free_tap(t);
}

static const struct net_host_ops tap_ops = { .send = tap_send, .close = tap_close };

/*
 * Interfaces are set up through a socket, any socket.  This one leads nowhere, and is kept: who
 * makes the device again is confined by then, and must have no socket that could send.
 */
static int some_socket(void)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static int pair[2] = { -1, -1 };

	pthread_mutex_lock(&lock);
	if (pair[0] < 0 && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
		pair[0] = -1;
	pthread_mutex_unlock(&lock);
	return pair[0];
}

/* if_nametoindex() would make a socket. */
static int index_of(int s, const char *ifname)
{
	struct ifreq ifr = {0};

	snprintf(ifr.ifr_name, sizeof ifr.ifr_name, "%s", ifname);
	return ioctl(s, SIOCGIFINDEX, &ifr) == 0 ? ifr.ifr_ifindex : 0;
}

/* Up, and into the bridge.  Who may not do this has had it done. */
static int configure(const char *ifname, const char *bridge, struct ttd_error *e)
{
	int s = some_socket(), rc = 0;
	struct ifreq ifr = {0};

	if (s < 0)
		return err_set(e, TTD_HOST, "vif: socket: %s", strerror(errno));
	snprintf(ifr.ifr_name, sizeof ifr.ifr_name, "%s", ifname);
	if (ioctl(s, SIOCGIFFLAGS, &ifr) == 0 && !(ifr.ifr_flags & IFF_UP)) {
		ifr.ifr_flags |= IFF_UP;
		if (ioctl(s, SIOCSIFFLAGS, &ifr) != 0 && errno != EPERM)
			rc = err_set(e, TTD_HOST, "vif: %s: cannot be set up: %s", ifname,
				strerror(errno));
	}
	if (rc == 0 && bridge[0] != '\0') {
		struct ifreq br = { .ifr_ifindex = index_of(s, ifname) };

		snprintf(br.ifr_name, sizeof br.ifr_name, "%s", bridge);
		if (ioctl(s, SIOCBRADDIF, &br) != 0 && errno != EBUSY)
			rc = err_set(e, TTD_HOST, "vif: cannot put %s into bridge %s: %s", ifname,
				bridge, strerror(errno));
	}
	return rc;
}

static int open_tap(struct tap *t, const struct vif_spec *spec, struct ttd_error *e)
{
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };

	t->fd = names_open("/dev/net/tun", O_RDWR | O_NONBLOCK);
	if (t->fd < 0)
		return err_set(e, TTD_HOST, "vif: /dev/net/tun: %s; backend=user needs no device",
			strerror(errno));
	strcpy(ifr.ifr_name, spec->ifname[0] != '\0' ? spec->ifname : "ttd%d"); /* VIF_NAME */
	if (ioctl(t->fd, TUNSETIFF, &ifr) != 0)
		return err_set(e, TTD_HOST, "vif: tap device %s: %s%s", ifr.ifr_name, strerror(errno),
			errno == EPERM ? "; be root, or make one for this user with "
			"\"ip tuntap add NAME mode tap user USER\", or use backend=user" : "");
	return configure(ifr.ifr_name, spec->bridge, e);
}

struct net_host *net_tap_open(const struct vif_spec *spec, net_receive_fn *receive, void *ctx,
	struct ttd_error *e)
{
	struct tap *t = calloc(1, sizeof *t);

	if (t == NULL) {
		err_set(e, TTD_HOST, "out of memory for a network interface");
		return NULL;
	}
	t->host.ops = &tap_ops;
	t->host.receive = receive;
	t->host.ctx = ctx;
	t->fd = -1;
	t->queue = net_queue_create(e);
	if (t->queue != NULL && open_tap(t, spec, e) == 0 &&
		net_thread(&t->thread, run, t, e) == 0)
		return &t->host;
	free_tap(t);
	return NULL;
}
