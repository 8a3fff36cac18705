/*
 * vif.c - a vif as a device on the bus: what it writes into xenstore, what it
 * reads there of the guest's, its state.
 */
#include "dev/vif.h"

#include <stdlib.h>
#include <string.h>

#include "dev/vif_internal.h"
#include "util/bytes.h"

static struct vif *of(struct dev *dev)
{
	return (struct vif *)dev;
}

/* ---- xenstore ---- */

/* %m: MAC, %i: number, %b: bridge, %t: MTU, %T: the same, if it is another than usual.
 * NULL: the bus knows it. */
static const struct {
	enum dev_side side;
	const char *key, *value;
} keys[] = {
	{DEV_FRONTEND, "backend", NULL}, {DEV_FRONTEND, "backend-id", NULL},
	{DEV_FRONTEND, "state", NULL}, {DEV_FRONTEND, "handle", "%i"},
	{DEV_FRONTEND, "mac", "%m"}, {DEV_FRONTEND, "trusted", "1"},
	{DEV_FRONTEND, "mtu", "%t"},
	{DEV_BACKEND, "frontend", NULL}, {DEV_BACKEND, "frontend-id", NULL},
	{DEV_BACKEND, "online", NULL}, {DEV_BACKEND, "state", NULL},
	{DEV_BACKEND, "script", "/etc/xen/scripts/vif-bridge"}, {DEV_BACKEND, "mac", "%m"},
	{DEV_BACKEND, "mtu", "%T"},
	{DEV_BACKEND, "bridge", "%b"}, {DEV_BACKEND, "handle", "%i"},
	{DEV_BACKEND, "type", "vif"}, {DEV_BACKEND, "hotplug-status", "connected"},
	{DEV_BACKEND, "feature-sg", "1"}, {DEV_BACKEND, "feature-gso-tcpv4", "1"},
	{DEV_BACKEND, "feature-gso-tcpv6", "1"}, {DEV_BACKEND, "feature-ipv6-csum-offload", "1"},
	{DEV_BACKEND, "feature-rx-copy", "1"}, {DEV_BACKEND, "feature-xdp-headroom", "1"},
	{DEV_BACKEND, "feature-rx-flip", "0"}, {DEV_BACKEND, "feature-multicast-control", "1"},
	{DEV_BACKEND, "feature-dynamic-multicast-control", "1"},
	{DEV_BACKEND, "feature-split-event-channels", "1"},
	{DEV_BACKEND, "multi-queue-max-queues", "1"}, {DEV_BACKEND, "feature-ctrl-ring", "1"},
};

static int write_key(struct vif *v, enum dev_side side, const char *key, const char *value)
{
	struct dev *dev = &v->dev;
	char mac[18];

	if (value == NULL || value[0] != '%')
		return dev->bus->ops->write(dev, side, key, value);
	switch (value[1]) {
	case 'm':
		vif_mac_text(v->spec.mac, mac);
		return dev->bus->ops->write(dev, side, key, mac);
	case 'b':
		return dev->bus->ops->write(dev, side, key,
			v->spec.bridge[0] != '\0' ? v->spec.bridge : "xenbr0");
	case 'T':
		if (v->spec.mtu == VIF_MTU)
			return 0;
		/* fall through */
	case 't':
		return dev_write_number(dev, side, key, v->spec.mtu);
	default:
		return dev_write_number(dev, side, key, dev->id);
	}
}

static void received(void *ctx, uint8_t *prefix, const struct net_frame *f)
{
	struct vif *v = ctx;

	net_frame_prefix(f, prefix);
	/* Or it is lost, as on a wire. */
	v->dev.bus->ops->post(&v->dev, prefix, NET_PREFIX + (size_t)f->len);
}

static int vif_announce(struct dev *dev, struct ttd_error *e)
{
	struct vif *v = of(dev);

	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
		if (write_key(v, keys[i].side, keys[i].key, keys[i].value) != 0)
			return err_set(e, TTD_HOST, "xenstore: no room for the keys of a vif");
	if (!v->live || v->spec.backend == VIF_NONE)
		return 0;
	v->host = net_host_open(&v->spec, dev->id, received, v, e);
	return v->host != NULL ? 0 : -1;
}

static bool flag(struct dev *dev, const char *key)
{
	uint64_t n;

	return dev_read_number(dev, DEV_FRONTEND, key, UINT32_MAX, &n) == 0 && n != 0;
}

static int number(struct dev *dev, const char *key, uint32_t *out)
{
	uint64_t n;

	if (dev_read_number(dev, DEV_FRONTEND, key, UINT32_MAX, &n) != 0)
		return -1;
	*out = (uint32_t)n;
	return 0;
}

static int map(struct vif *v, const char *key, struct vif_ring *r)
{
	uint32_t ref;

	if (number(&v->dev, key, &ref) != 0)
		return -1;
	r->page = v->dev.bus->ops->map(&v->dev, ref);
	r->cons = r->prod = 0;
	return r->page != DEV_NO_PAGE ? 0 : -1;
}

static int bind(struct vif *v, const char *key, unsigned channel)
{
	uint32_t port;

	return number(&v->dev, key, &port) == 0 ?
		v->dev.bus->ops->bind(&v->dev, channel, port) : -1;
}

static void read_headroom(struct vif *v)
{
	uint32_t n;

	if (number(&v->dev, "xdp-headroom", &n) != 0 || n > HEADROOM_MAX)
		n = 0;
	v->s.headroom = (uint16_t)(n < DEV_PAGE / 2 ? n : DEV_PAGE / 2);
}

static void read_features(struct vif *v)
{
	struct dev *dev = &v->dev;
	struct vif_state *s = &v->s;

	s->sg = flag(dev, "feature-sg");
	s->gso = (uint8_t)((s->sg && flag(dev, "feature-gso-tcpv4")) << NET_GSO_TCP4 |
		(s->sg && flag(dev, "feature-gso-tcpv6")) << NET_GSO_TCP6);
	s->blank4 = !flag(dev, "feature-no-csum-offload");
	s->blank6 = flag(dev, "feature-ipv6-csum-offload");
	s->mcast_control = flag(dev, "request-multicast-control");
	read_headroom(v);
}

static void tell_host(struct vif *v)
{
	if (v->host != NULL)
		atomic_store(&v->host->gso, v->s.gso);
}

bool vif_fits(const struct vif *v, const struct net_frame *f)
{
	enum { TAG = 4 };
	bool tagged = f->p[12] == 0x81 && f->p[13] == 0; /* for a VLAN */

	return f->gso != NET_GSO_NONE ? f->gso_size <= v->spec.mtu
		: f->len <= (unsigned)v->spec.mtu + NET_HEADER + (tagged ? TAG : 0);
}

static int vif_connect(struct dev *dev)
{
	struct vif *v = of(dev);
	struct vif_state *s = &v->s;
	uint32_t queues = 1;

	s->broken = false;
	s->nmcast = 0;
	s->ctrl.page = DEV_NO_PAGE;
	number(dev, "multi-queue-num-queues", &queues);
	if (queues != 1 || !flag(dev, "request-rx-copy") || map(v, "tx-ring-ref", &s->tx) != 0 ||
		map(v, "rx-ring-ref", &s->rx) != 0)
		return -1;
	s->split = bind(v, "event-channel-tx", CH_TX) == 0;
	if (s->split ? bind(v, "event-channel-rx", CH_RX) != 0 : bind(v, "event-channel", CH_TX) != 0)
		return -1;
	if (map(v, "ctrl-ring-ref", &s->ctrl) == 0 && bind(v, "event-channel-ctrl", CH_CTRL) != 0)
		return -1;
	read_features(v);
	s->connected = true;
	tell_host(v);
	vif_transmit(v);
	vif_control(v);
	return 0;
}

static void vif_disconnect(struct dev *dev)
{
	struct vif *v = of(dev);

	vif_drop_backlog(v);
	v->s.connected = false;
	v->s.gso = 0;
	tell_host(v);
}

static void vif_changed(struct dev *dev, const char *key)
{
	struct vif *v = of(dev);

	if (strcmp(key, "request-multicast-control") == 0)
		v->s.mcast_control = flag(dev, key);
	else if (strcmp(key, "xdp-headroom") == 0)
		read_headroom(v);
}

static void vif_notify(struct dev *dev, unsigned channel)
{
	struct vif *v = of(dev);

	if (!v->s.connected || v->s.broken)
		return;
	if (channel == CH_CTRL) {
		vif_control(v);
		return;
	}
	if (channel == CH_TX)
		vif_transmit(v);
	if (channel == CH_RX || !v->s.split)
		vif_flush(v);
}

static void vif_apply(struct dev *dev, const uint8_t *p, size_t n)
{
	struct vif *v = of(dev);
	struct net_frame f;

	if (v->capture != NULL && net_frame_unpack(p, n, &f) == 0)
		v->capture(v->capture_ctx, dev->id, false, dev->bus->ops->now(dev), &f);
	if (v->s.connected && !v->s.broken)
		vif_receive(v, p, n);
}

unsigned vif_requests(struct vif *v, const struct vif_ring *r, unsigned slots)
{
	uint32_t n;

	if (v->s.broken)
		return 0;
	n = ring_get(v, r, REQ_PROD) - r->cons;
	if (n <= slots)
		return n;
	v->s.broken = true;
	return 0;
}

bool vif_publish(struct vif *v, struct vif_ring *r, uint32_t before)
{
	if (r->prod == before)
		return false;
	ring_set(v, r, RSP_PROD, r->prod);
	return r->prod - ring_get(v, r, RSP_EVENT) < r->prod - before;
}

/* ---- state ---- */

static void save_ring(const struct vif_ring *r, struct wbuf *w)
{
	wbuf_u64(w, r->page);
	wbuf_u32(w, r->cons);
	wbuf_u32(w, r->prod);
}

static void vif_save(struct dev *dev, struct wbuf *w, enum dev_save what)
{
	const struct vif_state *s = &of(dev)->s;

	(void)what; /* V2 */
	wbuf_u8(w, s->connected);
	wbuf_u8(w, s->broken);
	save_ring(&s->tx, w);
	save_ring(&s->rx, w);
	save_ring(&s->ctrl, w);
	wbuf_u8(w, s->split);
	wbuf_u8(w, s->sg);
	wbuf_u8(w, s->gso);
	wbuf_u8(w, s->blank4);
	wbuf_u8(w, s->blank6);
	wbuf_u16(w, s->headroom);
	wbuf_u8(w, s->mcast_control);
	wbuf_u32(w, s->nmcast);
	wbuf_put(w, s->mcast, s->nmcast * sizeof s->mcast[0]);
	wbuf_u32(w, s->backlog_frames);
	for (const struct waiting *x = s->backlog; x != NULL; x = x->next) {
		wbuf_u32(w, x->len);
		wbuf_put(w, x->bytes, x->len);
	}
}

static void load_ring(struct vif_ring *r, struct rbuf *b)
{
	r->page = rbuf_u64(b);
	r->cons = rbuf_u32(b);
	r->prod = rbuf_u32(b);
}

static int load_backlog(struct vif *v, struct rbuf *r)
{
	uint32_t n = rbuf_u32(r);

	vif_drop_backlog(v);
	for (; n > 0 && !r->bad; n--) {
		uint32_t len = rbuf_u32(r);

		if (len > DEV_INPUT_MAX || len > r->len - r->pos ||
			vif_keep(v, r->p + r->pos, len) != 0)
			return -1;
		r->pos += len;
	}
	return r->bad ? -1 : 0;
}

static int vif_load(struct dev *dev, struct rbuf *r)
{
	struct vif *v = of(dev);
	struct vif_state *s = &v->s;

	s->connected = rbuf_u8(r) != 0;
	s->broken = rbuf_u8(r) != 0;
	load_ring(&s->tx, r);
	load_ring(&s->rx, r);
	load_ring(&s->ctrl, r);
	s->split = rbuf_u8(r) != 0;
	s->sg = rbuf_u8(r) != 0;
	s->gso = rbuf_u8(r);
	s->blank4 = rbuf_u8(r) != 0;
	s->blank6 = rbuf_u8(r) != 0;
	s->headroom = rbuf_u16(r);
	s->mcast_control = rbuf_u8(r) != 0;
	s->nmcast = rbuf_u32(r);
	if (r->bad || s->headroom > DEV_PAGE / 2 || s->nmcast > MCAST_MAX) {
		s->nmcast = 0;
		s->headroom = 0;
		return -1;
	}
	rbuf_get(r, s->mcast, s->nmcast * sizeof s->mcast[0]);
	tell_host(v);
	return load_backlog(v, r);
}

static void close_host(struct vif *v)
{
	if (v->host != NULL)
		v->host->ops->close(v->host);
	v->host = NULL;
}

static void vif_detach(struct dev *dev)
{
	close_host(of(dev));
}

static const struct dev_ops vif_ops = {
	.type = "vif", .kind = DEV_NET,
	.announce = vif_announce, .connect = vif_connect, .disconnect = vif_disconnect,
	.changed = vif_changed, .notify = vif_notify, .apply = vif_apply,
	.save = vif_save, .load = vif_load, .detach = vif_detach,
};

/* ---- making one ---- */

struct vif *vif_create(const struct vif_spec *spec, unsigned id, bool live, struct ttd_error *e)
{
	struct vif *v = calloc(1, sizeof *v);

	if (v == NULL) {
		err_set(e, TTD_HOST, "out of memory for a network interface");
		return NULL;
	}
	v->dev.ops = &vif_ops;
	v->dev.id = id;
	v->spec = *spec;
	v->live = live;
	v->s.backlog_end = &v->s.backlog;
	v->s.tx.page = v->s.rx.page = v->s.ctrl.page = DEV_NO_PAGE;
	return v;
}

struct dev *vif_dev(struct vif *v)
{
	return &v->dev;
}

const struct vif_spec *vif_spec_of(const struct vif *v)
{
	return &v->spec;
}

void vif_capture(struct vif *v, vif_capture_fn *fn, void *ctx)
{
	v->capture = fn;
	v->capture_ctx = ctx;
}

void vif_destroy(struct vif *v)
{
	if (v == NULL)
		return;
	close_host(v);
	vif_drop_backlog(v);
	free(v);
}
