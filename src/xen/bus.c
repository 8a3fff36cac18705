/*
 * bus.c - the device bus: what struct dev_bus promises (dev/bus.h), and the
 * walk through xenbus states with the guest's frontends.
 *
 * Each device has two directories in xenstore, /local/domain/0/backend/TYPE/1/ID
 * and /local/domain/1/device/TYPE/ID.  We watch the second.  The walk, as the
 * real backends do it:
 *
 *	frontend                 backend
 *	1 Initialising           2 InitWait (also from 6: it connects again)
 *	3 Initialised, 4 Connected   connect(), 4 Connected; 5 when it makes no sense
 *	5 Closing                5 Closing; still served
 *	6 Closed, or gone        disconnect(), 6 Closed
 *
 *  Backends use grants as those of Qemu do: they map rings for as long as they
 *  are connected, and copy everything else.
 *
 *  U1. port[c] != 0 if and only if that port of the guest is interdomain with
 *      remote_port == REMOTE(index, c).
 */
#include "xen/internal.h"

#include <stdio.h>
#include <stdlib.h>

#include <xen/event_channel.h>
#include <xen/grant_table.h>
#include <xen/io/xenbus.h>

#include "dev/bus.h"
#include "util/checked.h"
#include "xen/bus.h"
#include "xen/witness.h"

enum { REMOTE_FIRST = 16, PATH = 96, MAPS = 8 };
#define REMOTE(index, channel) (REMOTE_FIRST + (index) * DEV_CHANNELS + (channel))

struct seat {
	struct dev_bus bus; /* first: a dev's `bus` points here */
	struct domain *d;
	struct dev *dev;
	char dir[2][PATH];  /* by enum dev_side */
	uint8_t state;      /* ours, as in xenstore */
	bool connected;     /* connect() without disconnect() */
	uint32_t port[DEV_CHANNELS];
	uint32_t mapped[MAPS]; /* references, until it disconnects */
	unsigned nmapped;
};

struct bus {
	unsigned n;
	struct seat *seat[DEV_MAX];
};

static const enum event_type event_of[DEV_KINDS] = {
	[DEV_BLOCK] = EV_BLOCK, [DEV_NET] = EV_NET,
};

static struct seat *seat_of(const struct dev *dev)
{
	return (struct seat *)dev->bus;
}

/* ---- xenstore ---- */

static bool path_of(const struct seat *s, enum dev_side side, const char *key,
	char path[PATH + DEV_KEY_MAX])
{
	return strlen(key) < DEV_KEY_MAX &&
		snprintf(path, PATH + DEV_KEY_MAX, "%s/%s", s->dir[side], key) > 0;
}

static int bus_read(struct dev *dev, enum dev_side side, const char *key, char *value,
	size_t cap)
{
	struct seat *s = seat_of(dev);
	char path[PATH + DEV_KEY_MAX];
	const void *p;
	size_t n;

	if (!path_of(s, side, key, path) || (p = xs_read(s->d->store, path, &n)) == NULL ||
	    n >= cap || memchr(p, 0, n) != NULL)
		return -1;
	memcpy(value, p, n);
	value[n] = '\0';
	return (int)n;
}

static const char *standard(const struct seat *s, enum dev_side side, const char *key,
	char *buf, size_t cap)
{
	if (strcmp(key, "frontend") == 0)
		return s->dir[DEV_FRONTEND];
	if (strcmp(key, "backend") == 0)
		return s->dir[DEV_BACKEND];
	if (strcmp(key, "backend-id") == 0)
		return "0";
	if (strcmp(key, "online") == 0)
		return "1";
	snprintf(buf, cap, "%d", strcmp(key, "frontend-id") == 0 ? DOMID
		: side == DEV_BACKEND ? s->state : XenbusStateInitialising);
	return buf;
}

static int bus_write(struct dev *dev, enum dev_side side, const char *key, const char *value)
{
	struct seat *s = seat_of(dev);
	char path[PATH + DEV_KEY_MAX], buf[16];

	if (!path_of(s, side, key, path))
		return -1;
	if (value == NULL)
		value = standard(s, side, key, buf, sizeof buf);
	return xs_write(s->d->store, path, value, strlen(value));
}

static void set_state(struct seat *s, enum xenbus_state state)
{
	if (s->state == state)
		return;
	s->state = (uint8_t)state;
	bus_write(s->dev, DEV_BACKEND, "state", NULL);
}

/* ---- memory ---- */

/* The frame that a reference names, if dom0 may copy n bytes there. */
static mfn_t area_for(struct domain *d, uint32_t ref, bool write, unsigned off, size_t n)
{
	struct grant_area a;

	if (grant_for_copy(d, ref, 0, write, &a) != GNTST_okay || off < a.off ||
	    !range_ok(off, n, a.off + a.len) || !range_ok(off, n, PAGE_SIZE))
		return MFN_NONE;
	return a.mfn;
}

static int bus_copy_in(struct dev *dev, uint32_t ref, unsigned off, void *p, size_t n)
{
	struct domain *d = seat_of(dev)->d;
	mfn_t mfn = area_for(d, ref, false, off, n);

	if (mfn == MFN_NONE)
		return -1;
	memcpy(p, mem_frame(d->mem, mfn) + off, n);
	return 0;
}

static int bus_copy_out(struct dev *dev, uint32_t ref, unsigned off, const void *p, size_t n)
{
	struct domain *d = seat_of(dev)->d;
	mfn_t mfn = area_for(d, ref, true, off, n);

	return mfn == MFN_NONE ? -1 : mem_write_frame(d->mem, mfn, off, p, n);
}

static dev_page bus_map(struct dev *dev, uint32_t ref)
{
	struct seat *s = seat_of(dev);
	mfn_t mfn;

	if (s->nmapped == MAPS ||
	    grant_pin(s->d, ref, 0, PIN_HOST_WRITE, false, &mfn) != GNTST_okay)
		return DEV_NO_PAGE;
	s->mapped[s->nmapped++] = ref;
	return mfn;
}

static void unmap_all(struct seat *s)
{
	while (s->nmapped > 0)
		grant_unpin(s->d, s->mapped[--s->nmapped], PIN_HOST_WRITE, false);
}

static int bus_page_in(struct dev *dev, dev_page page, unsigned off, void *p, size_t n)
{
	struct domain *d = seat_of(dev)->d;

	if (!is_ram(d, page) || !range_ok(off, n, PAGE_SIZE))
		return -1;
	memcpy(p, mem_frame(d->mem, page) + off, n);
	return 0;
}

static int bus_page_out(struct dev *dev, dev_page page, unsigned off, const void *p, size_t n)
{
	struct domain *d = seat_of(dev)->d;

	if (!is_ram(d, page) || !range_ok(off, n, PAGE_SIZE))
		return -1;
	return mem_write_frame(d->mem, page, off, p, n);
}

/* ---- event channels ---- */

static int bus_bind(struct dev *dev, unsigned channel, uint32_t port)
{
	struct seat *s = seat_of(dev);
	struct port *p;

	if (channel >= DEV_CHANNELS || s->port[channel] != 0 || port >= s->d->ev.valid)
		return -1;
	p = &s->d->ev.port[port];
	if (p->type != EVTCHNSTAT_unbound || p->remote_dom != 0)
		return -1;
	p->type = EVTCHNSTAT_interdomain;
	p->remote_port = REMOTE(dev->index, channel);
	s->port[channel] = port;
	return 0;
}

static void bus_raise(struct dev *dev, unsigned channel)
{
	struct seat *s = seat_of(dev);

	if (channel < DEV_CHANNELS && s->port[channel] != 0)
		evtchn_set_pending(s->d, s->port[channel]);
}

static void unbind_all(struct seat *s)
{
	for (unsigned c = 0; c < DEV_CHANNELS; c++) {
		struct port *p = &s->d->ev.port[s->port[c]];

		if (s->port[c] != 0) {
			p->type = EVTCHNSTAT_unbound;
			p->remote_port = 0;
		}
		s->port[c] = 0;
	}
}

/* The seat and channel at our end of an interdomain port; NULL: no device's. */
static struct seat *at_port(struct domain *d, uint32_t port, unsigned *channel)
{
	uint32_t remote = d->ev.port[port].remote_port;

	if (d->bus == NULL || d->ev.port[port].remote_dom != 0 || remote < REMOTE_FIRST ||
	    (remote - REMOTE_FIRST) / DEV_CHANNELS >= d->bus->n)
		return NULL;
	*channel = (remote - REMOTE_FIRST) % DEV_CHANNELS;
	return d->bus->seat[(remote - REMOTE_FIRST) / DEV_CHANNELS];
}

void bus_notify(struct domain *d, uint32_t port)
{
	unsigned channel;
	struct seat *s = at_port(d, port, &channel);

	if (s == NULL || !s->connected)
		return;
	s->dev->ops->notify(s->dev, channel);
	run_look_again(d); /* it may have something to expire now */
}

/* The guest closes its end (U1). */
void bus_port_closed(struct domain *d, uint32_t port)
{
	unsigned channel;
	struct seat *s = at_port(d, port, &channel);

	if (s != NULL)
		s->port[channel] = 0;
}

/* ---- inputs ---- */

static int bus_post(struct dev *dev, const void *p, size_t n)
{
	struct source *source = seat_of(dev)->d->source;
	struct event ev = { .type = event_of[dev->ops->kind], .value = dev->index,
		.bytes = p, .len = (uint32_t)n };

	_Static_assert((int)DEV_INPUT_MAX == (int)EVENT_LONG_MAX, "an input is one event");
	return n <= DEV_INPUT_MAX ? source_push(source, &ev) : -1;
}

void bus_apply(struct domain *d, const struct event *ev)
{
	struct dev *dev;

	if (d->bus == NULL || ev->value >= d->bus->n)
		return;
	dev = d->bus->seat[ev->value]->dev;
	if (event_of[dev->ops->kind] == ev->type)
		dev->ops->apply(dev, event_bytes(ev), ev->len);
	run_look_again(d);
}

uint64_t bus_due(const struct domain *d)
{
	uint64_t due = SOURCE_NEVER;

	if (d->clock != CLOCK_VIRTUAL || d->bus == NULL)
		return due;
	for (unsigned i = 0; i < d->bus->n; i++) {
		const struct dev *dev = d->bus->seat[i]->dev;
		uint64_t at = dev->ops->due != NULL ? dev->ops->due(dev) : SOURCE_NEVER;

		if (at < due)
			due = at;
	}
	return due;
}

void bus_expire(struct domain *d)
{
	uint64_t now = cpu_tsc(regs_of(current_vcpu(d)));

	if (d->clock != CLOCK_VIRTUAL || d->bus == NULL)
		return;
	for (unsigned i = 0; i < d->bus->n; i++) {
		struct dev *dev = d->bus->seat[i]->dev;

		if (dev->ops->due != NULL && dev->ops->due(dev) <= now)
			dev->ops->expire(dev);
	}
}

static void bus_sent(struct dev *dev, const void *p, size_t n)
{
	witness_frame(seat_of(dev)->d, dev->index, p, n);
}

static uint64_t bus_now(struct dev *dev)
{
	return cpu_tsc(regs_of(current_vcpu(seat_of(dev)->d)));
}

static void bus_fail(struct dev *dev, const struct ttd_error *e)
{
	struct domain *d = seat_of(dev)->d;

	if (d->failure.text[0] == '\0')
		d->failure = *e;
	domain_end_with(d, DOMAIN_STOPPED);
}

static const struct dev_bus_ops bus_ops = {
	.read = bus_read, .write = bus_write, .copy_in = bus_copy_in, .copy_out = bus_copy_out,
	.map = bus_map, .page_in = bus_page_in, .page_out = bus_page_out,
	.bind = bus_bind, .raise = bus_raise,
	.post = bus_post, .sent = bus_sent, .now = bus_now, .fail = bus_fail,
};

/* ---- the walk ---- */

static void disconnect(struct seat *s)
{
	if (s->connected)
		s->dev->ops->disconnect(s->dev);
	s->connected = false;
	unbind_all(s);
	unmap_all(s);
}

static void connect(struct seat *s)
{
	if (s->state != XenbusStateInitWait)
		return;
	s->connected = true;
	if (s->dev->ops->connect(s->dev) == 0) {
		set_state(s, XenbusStateConnected);
		return;
	}
	disconnect(s);
	set_state(s, XenbusStateClosing);
}

static void frontend_state(struct seat *s)
{
	uint64_t state;

	if (dev_read_number(s->dev, DEV_FRONTEND, "state", XenbusStateReconfigured, &state) != 0)
		state = XenbusStateClosed;
	switch (state) {
	case XenbusStateInitialising:
		if (s->state == XenbusStateClosed)
			set_state(s, XenbusStateInitWait);
		break;
	case XenbusStateInitialised:
	case XenbusStateConnected:
		connect(s);
		break;
	case XenbusStateClosing:
		set_state(s, XenbusStateClosing);
		break;
	case XenbusStateClosed:
		disconnect(s);
		set_state(s, XenbusStateClosed);
		break;
	}
}

static void frontend_changed(void *ctx, const char *path)
{
	struct seat *s = ctx;
	const char *key = path + strlen(s->dir[DEV_FRONTEND]);

	run_look_again(s->d);
	if (strcmp(key, "/state") == 0 || *key == '\0')
		frontend_state(s);
	else if (s->connected && s->dev->ops->changed != NULL)
		s->dev->ops->changed(s->dev, key + 1);
}

/* The directories above belong to dom0 alone, as a toolstack makes them. */
static void make_parents(struct seat *s)
{
	char path[PATH];

	snprintf(path, sizeof path, "/local/domain/0/backend/%s", s->dev->ops->type);
	xs_write(s->d->store, path, "", 0);
	xs_set_perms(s->d->store, path, "n0");
	snprintf(path, sizeof path, "/local/domain/0/backend/%s/%d", s->dev->ops->type, DOMID);
	xs_write(s->d->store, path, "", 0);
	xs_set_perms(s->d->store, path, "n0");
	xs_write(s->d->store, s->dir[DEV_BACKEND], "", 0);
	snprintf(path, sizeof path, "n0,r%d", DOMID);
	xs_set_perms(s->d->store, s->dir[DEV_BACKEND], path);
	xs_write(s->d->store, s->dir[DEV_FRONTEND], "", 0);
}

int bus_attach(struct domain *d, struct dev *dev, struct ttd_error *e)
{
	struct seat *s = calloc(1, sizeof *s);

	if (d->bus == NULL)
		d->bus = calloc(1, sizeof *d->bus);
	if (s == NULL || d->bus == NULL || d->bus->n == DEV_MAX) {
		free(s);
		return err_set(e, TTD_HOST, "no memory for another device (there may be %d)", DEV_MAX);
	}
	s->bus = (struct dev_bus){ .ops = &bus_ops, .virtual_clock = d->clock == CLOCK_VIRTUAL };
	s->d = d;
	s->dev = dev;
	s->state = XenbusStateInitWait;
	dev->bus = &s->bus;
	dev->index = d->bus->n;
	d->bus->seat[d->bus->n++] = s;
	snprintf(s->dir[DEV_BACKEND], PATH, "/local/domain/0/backend/%s/%d/%u", dev->ops->type,
		DOMID, dev->id);
	snprintf(s->dir[DEV_FRONTEND], PATH, "/local/domain/%d/device/%s/%u", DOMID,
		dev->ops->type, dev->id);
	make_parents(s);
	if (dev->ops->announce(dev, e) != 0)
		return -1;
	xs_watch(d->store, s->dir[DEV_FRONTEND], frontend_changed, s);
	return 0;
}

/* The i-th device; NULL: there are fewer. */
static struct dev *nth(const struct domain *d, unsigned i)
{
	return d->bus != NULL && i < d->bus->n ? d->bus->seat[i]->dev : NULL;
}

void bus_quiet_all(struct domain *d)
{
	struct dev *dev;

	for (unsigned i = 0; (dev = nth(d, i)) != NULL; i++)
		if (dev->ops->quiet != NULL)
			dev->ops->quiet(dev);
}

int bus_forked_all(struct domain *d, struct ttd_error *e)
{
	struct dev *dev;

	for (unsigned i = 0; (dev = nth(d, i)) != NULL; i++)
		if (dev->ops->forked != NULL && dev->ops->forked(dev, e) != 0)
			return -1;
	return 0;
}

void bus_live_all(struct domain *d)
{
	struct dev *dev;

	for (unsigned i = 0; (dev = nth(d, i)) != NULL; i++)
		if (dev->ops->live != NULL)
			dev->ops->live(dev);
}

void bus_detach_all(struct domain *d)
{
	for (unsigned i = 0; d->bus != NULL && i < d->bus->n; i++) {
		struct seat *s = d->bus->seat[i];

		s->dev->ops->detach(s->dev);
		s->dev->bus = NULL;
		free(s);
	}
	free(d->bus);
	d->bus = NULL;
}

/* For a log's END: doc/spec/overlay.md, Completions. */
uint64_t bus_content(struct domain *d)
{
	uint64_t sum = 0;
	struct dev *dev;

	for (unsigned i = 0; (dev = nth(d, i)) != NULL; i++)
		if (dev->ops->content != NULL)
			sum += dev->ops->content(dev) * UINT64_C(0x9e3779b97f4a7c15) + i + 1;
	return sum;
}

/* ---- state ---- */

void bus_save(const struct domain *d, struct wbuf *w, bool digest)
{
	if (d->bus == NULL)
		return;
	wbuf_u32(w, d->bus->n);
	for (unsigned i = 0; i < d->bus->n; i++) {
		struct seat *s = d->bus->seat[i];

		wbuf_u32(w, s->dev->id);
		wbuf_u8(w, s->dev->ops->kind);
		wbuf_u8(w, s->state);
		wbuf_u8(w, s->connected);
		for (unsigned c = 0; c < DEV_CHANNELS; c++)
			wbuf_u32(w, s->port[c]);
		wbuf_u32(w, s->nmapped);
		for (unsigned k = 0; k < s->nmapped; k++)
			wbuf_u32(w, s->mapped[k]);
		s->dev->ops->save(s->dev, w, digest ? DEV_SAVE_DIGEST : DEV_SAVE_ALL);
	}
}

/* U1: also that no two channels have the same port. */
static bool ports_ok(const struct seat *s)
{
	for (unsigned c = 0; c < DEV_CHANNELS; c++)
		if (s->port[c] != 0 &&
		    !evtchn_joined(s->d, s->port[c], REMOTE(s->dev->index, c)))
			return false;
	return true;
}

/* Has dom0 mapped this reference as often as our seats say, up to this one? */
static bool mapped_ok(const struct domain *d, uint32_t ref)
{
	const struct grant_active *act = &d->grant.active[ref % GRANT_ENTRIES];
	unsigned n = 0;

	for (unsigned i = 0; i < d->bus->n; i++)
		for (unsigned k = 0; k < d->bus->seat[i]->nmapped; k++)
			n += d->bus->seat[i]->mapped[k] == ref;
	return ref < GRANT_ENTRIES && act->domid == 0 && (act->pin & 0xff) >= n;
}

static int load_mapped(struct seat *s, struct rbuf *r)
{
	unsigned n = rbuf_u32(r);

	for (s->nmapped = 0; s->nmapped < n; ) {
		if (s->nmapped == MAPS)
			return -1;
		s->mapped[s->nmapped++] = rbuf_u32(r);
		if (!mapped_ok(s->d, s->mapped[s->nmapped - 1])) {
			s->nmapped = 0;
			return -1;
		}
	}
	return 0;
}

static int load_seat(struct seat *s, struct rbuf *r)
{
	if (rbuf_u32(r) != s->dev->id || rbuf_u8(r) != s->dev->ops->kind)
		return -1;
	s->state = rbuf_u8(r);
	s->connected = rbuf_u8(r) != 0;
	for (unsigned c = 0; c < DEV_CHANNELS; c++)
		s->port[c] = rbuf_u32(r);
	if (load_mapped(s, r) < 0 || r->bad || s->state > XenbusStateClosed || !ports_ok(s)) {
		memset(s->port, 0, sizeof s->port);
		return -1;
	}
	return s->dev->ops->load(s->dev, r);
}

/* Whoever loads has built the same machine: with the same devices, or none. */
int bus_load(struct domain *d, struct rbuf *r)
{
	if (d->bus == NULL)
		return 0;
	if (rbuf_u32(r) != d->bus->n)
		return -1;
	for (unsigned i = 0; i < d->bus->n; i++)
		d->bus->seat[i]->nmapped = 0;
	for (unsigned i = 0; i < d->bus->n; i++)
		if (load_seat(d->bus->seat[i], r) != 0)
			return -1;
	return r->bad ? -1 : 0;
}
