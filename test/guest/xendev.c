/*
 * xendev.c - a guest that grants pages and opens event channels to itself, by
 * Linux's own devices for that: what is written by one name of a page is read by
 * the other, copies arrive, events too, and nothing is left in use.
 *
 *	xendev [rounds]
 *
 * It needs the modules xen-gntalloc, xen-gntdev and xen-evtchn, says "xendev:
 * mapped" in the middle, with grants mapped, and "xendev: ok" when all of it works.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define __XEN_INTERFACE_VERSION__ 0x00040e00
#include <xen/xen.h>
#include <xen/grant_table.h>

#include <xen/evtchn.h>
#include <xen/gntalloc.h>
#include <xen/gntdev.h>

enum { SELF = 1, PAGES = 4, PAGE = 4096 };

static void must(int ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	exit(1);
}

static int device(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	must(fd >= 0, path);
	return fd;
}

static uint8_t *map(int fd, uint64_t at, int prot)
{
	void *p = mmap(NULL, PAGES * PAGE, prot, MAP_SHARED, fd, (off_t)at);

	must(p != MAP_FAILED, "mmap");
	return p;
}

struct granted {
	uint8_t *p;
	uint64_t index;
	uint32_t ref[PAGES];
};

static struct granted give(int fd, int writable)
{
	union {
		struct ioctl_gntalloc_alloc_gref op;
		uint32_t room[16];
	} u = { .op = { .domid = SELF, .flags = writable ? GNTALLOC_FLAG_WRITABLE : 0,
		.count = PAGES } };
	struct granted g;

	must(ioctl(fd, IOCTL_GNTALLOC_ALLOC_GREF, &u.op) == 0, "alloc_gref");
	g.index = u.op.index;
	for (unsigned i = 0; i < PAGES; i++)
		g.ref[i] = u.op.gref_ids[i];
	g.p = map(fd, g.index, PROT_READ | PROT_WRITE);
	return g;
}

static void take_back(int fd, struct granted *g)
{
	struct ioctl_gntalloc_dealloc_gref op = { .index = g->index, .count = PAGES };

	must(munmap(g->p, PAGES * PAGE) == 0, "munmap");
	must(ioctl(fd, IOCTL_GNTALLOC_DEALLOC_GREF, &op) == 0, "dealloc_gref");
}

static uint8_t *take(int fd, const struct granted *g, int prot, uint64_t *index)
{
	union {
		struct ioctl_gntdev_map_grant_ref op;
		uint64_t room[16];
	} u = { .op = { .count = PAGES } };

	for (unsigned i = 0; i < PAGES; i++) {
		struct ioctl_gntdev_grant_ref r = { .domid = SELF, .ref = g->ref[i] };

		memcpy((uint8_t *)u.op.refs + i * sizeof(r), &r, sizeof(r));
	}
	must(ioctl(fd, IOCTL_GNTDEV_MAP_GRANT_REF, &u.op) == 0, "map_grant_ref");
	*index = u.op.index;
	return map(fd, *index, prot);
}

static void give_up(int fd, uint8_t *p, uint64_t index)
{
	struct ioctl_gntdev_unmap_grant_ref op = { .index = index, .count = PAGES };

	must(munmap(p, PAGES * PAGE) == 0, "munmap of a grant");
	must(ioctl(fd, IOCTL_GNTDEV_UNMAP_GRANT_REF, &op) == 0, "unmap_grant_ref");
}

static void mappings(int alloc, int dev, unsigned round)
{
	struct granted g = give(alloc, round % 3 != 0);
	int prot = round % 3 != 0 ? PROT_READ | PROT_WRITE : PROT_READ;
	uint64_t index;
	uint8_t *q;

	memset(g.p, (int)round, PAGES * PAGE);
	q = take(dev, &g, prot, &index);
	must(memcmp(g.p, q, PAGES * PAGE) == 0, "what was granted");
	g.p[PAGE + 5] = 77;
	must(q[PAGE + 5] == 77, "written by the owner");
	if (prot & PROT_WRITE) {
		q[3 * PAGE + 9] = 78;
		must(g.p[3 * PAGE + 9] == 78, "written by the other");
	}
	if (round == 20)
		must(write(1, "xendev: mapped\n", 15) == 15, "write");
	give_up(dev, q, index);
	take_back(alloc, &g);
}

static void copies(int alloc, int dev)
{
	struct granted g = give(alloc, 1);
	static char text[] = "copied by the hypervisor", back[sizeof(text)];
	struct gntdev_grant_copy_segment s[2] = {
		{ .source.virt = text, .dest.foreign = { g.ref[2], 4000, SELF }, .len = sizeof(text),
			.flags = GNTCOPY_dest_gref },
		{ .source.foreign = { g.ref[2], 4000, SELF }, .dest.virt = back, .len = sizeof(text),
			.flags = GNTCOPY_source_gref },
	};
	struct ioctl_gntdev_grant_copy op = { .count = 2, .segments = s };

	must(ioctl(dev, IOCTL_GNTDEV_GRANT_COPY, &op) == 0, "grant_copy");
	must(s[0].status == 0 && s[1].status == 0, "status of a copy");
	must(memcmp(g.p + 2 * PAGE + 4000, text, sizeof(text)) == 0, "copied there");
	must(memcmp(back, text, sizeof(text)) == 0, "copied back");
	take_back(alloc, &g);
}

/* A pair of ports; what is sent at one arrives at the other, in turn. */
static void events(int ev, unsigned rounds)
{
	struct ioctl_evtchn_bind_unbound_port un = { .remote_domain = SELF };
	struct ioctl_evtchn_bind_interdomain in = { .remote_domain = SELF };
	struct ioctl_evtchn_notify send;
	struct ioctl_evtchn_unbind end;
	uint32_t got, ports[2];
	int port = ioctl(ev, IOCTL_EVTCHN_BIND_UNBOUND_PORT, &un);

	must(port > 0, "bind_unbound_port");
	ports[0] = in.remote_port = (unsigned)port;
	port = ioctl(ev, IOCTL_EVTCHN_BIND_INTERDOMAIN, &in);
	must(port > 0, "bind_interdomain");
	ports[1] = (uint32_t)port;
	must(read(ev, &got, 4) == 4 && got == ports[1], "the first event"); /* may have missed some */
	must(write(ev, &got, 4) == 4, "unmask");
	for (unsigned i = 0; i < rounds; i++) {
		send.port = ports[i & 1];
		must(ioctl(ev, IOCTL_EVTCHN_NOTIFY, &send) == 0, "notify");
		must(read(ev, &got, 4) == 4 && got == ports[~i & 1], "an event");
		must(write(ev, &got, 4) == 4, "unmask");
	}
	for (unsigned i = 0; i < 2; i++) {
		end.port = ports[i];
		must(ioctl(ev, IOCTL_EVTCHN_UNBIND, &end) == 0, "unbind");
	}
}

int main(int argc, char **argv)
{
	unsigned rounds = argc > 1 ? (unsigned)atoi(argv[1]) : 40;
	int alloc = device("/dev/xen/gntalloc"), dev = device("/dev/xen/gntdev");
	int ev = device("/dev/xen/evtchn");

	for (unsigned i = 0; i < rounds; i++) {
		mappings(alloc, dev, i);
		copies(alloc, dev);
	}
	for (unsigned i = 0; i < 4; i++)
		events(ev, rounds * 5);
	puts("xendev: ok");
	return 0;
}
