/*
 * store.c - connects the domain's xenstore ring page and event channel to the
 * store, and fills in what a toolstack writes for a guest without devices.
 */
#include "xen/internal.h"

#include <stdio.h>

#include "xen/store.h"

static void ring_read(void *ctx, unsigned off, void *p, size_t n)
{
	struct domain *d = ctx;

	memcpy(p, mem_frame(d->mem, d->store_ring) + off, n);
}

static void ring_write(void *ctx, unsigned off, const void *p, size_t n)
{
	struct domain *d = ctx;

	mem_write_frame(d->mem, d->store_ring, off, p, n);
}

static void ring_notify(void *ctx)
{
	evtchn_raise(ctx, PORT_STORE, PORT_STORE);
}

static const struct xs_ring_ops ring_ops = {
	.read = ring_read, .write = ring_write, .notify = ring_notify,
};

int store_init(struct domain *d, struct ttd_error *e)
{
	d->store = xs_create(DOMID, &ring_ops, d);
	return d->store != NULL ? 0 : err_set(e, TTD_HOST, "out of memory for xenstore");
}

/* Paths under /local/domain/1; %n: the name, %m, %x: memory in KiB, %c, %s: frames. */
static const struct {
	const char *path, *value;
} tree[] = {
	{ "vm", "/vm/00000000-0000-0000-0000-000000000001" },
	{ "name", "%n" },
	{ "domid", "1" },
	{ "cpu", "" },
	{ "cpu/0", "" },
	{ "cpu/0/availability", "online" },
	{ "memory", "" },
	{ "memory/static-max", "%x" },
	{ "memory/target", "%m" },
	{ "memory/videoram", "0" },
	{ "device", "" },
	{ "device/suspend", "" },
	{ "device/suspend/event-channel", "" },
	{ "control", "" },
	{ "control/shutdown", "" },
	{ "control/feature-poweroff", "" },
	{ "control/feature-reboot", "" },
	{ "control/feature-suspend", "" },
	{ "control/sysrq", "" },
	{ "control/platform-feature-multiprocessor-suspend", "1" },
	{ "control/platform-feature-xs_reset_watches", "1" },
	{ "data", "" },
	{ "drivers", "" },
	{ "feature", "" },
	{ "attr", "" },
	{ "error", "" },
	{ "store", "" },
	{ "store/port", "1" },
	{ "store/ring-ref", "%s" },
	{ "console", "" },
	{ "console/backend-id", "0" },
	{ "console/limit", "1048576" },
	{ "console/type", "xenconsoled" },
	{ "console/output", "pty" },
	{ "console/tty", "" },
	{ "console/port", "2" },
	{ "console/ring-ref", "%c" },
};

static const char *expand(const struct domain *d, const char *value, char *buf, size_t size)
{
	unsigned long long n;

	if (value[0] != '%')
		return value;
	switch (value[1]) {
	case 'n':
		return d->name;
	case 'm':
		n = d->memory.has * (PAGE_SIZE / 1024);
		break;
	case 'x':
		n = d->memory.pages * (PAGE_SIZE / 1024);
		break;
	case 's':
		n = d->store_ring;
		break;
	default:
		n = d->con.ring;
		break;
	}
	snprintf(buf, size, "%llu", n);
	return buf;
}

int store_populate(struct domain *d, struct ttd_error *e)
{
	for (size_t i = 0; i < sizeof tree / sizeof tree[0]; i++) {
		char path[128], buf[32];
		const char *value = expand(d, tree[i].value, buf, sizeof buf);

		snprintf(path, sizeof path, "/local/domain/%d/%s", DOMID, tree[i].path);
		if (xs_write(d->store, path, value, strlen(value)) < 0)
			return err_set(e, TTD_HOST, "xenstore: cannot write %s", path);
	}
	return 0;
}
