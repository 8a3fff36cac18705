/*
 * fuzz_blk.c - the block backend behind a hostile frontend: a script writes
 * anything into the ring and its pages, notifies, lets completions come (also
 * wrong ones), takes grants away, connects anew, saves and loads.
 */
#include <stdio.h>
#include <unistd.h>

#include "dev/blk.h"
#include "test/unit/blk_bus.h"

enum { SIZE = 1 << 18, RING = 1, SLOT = 112 };

struct world {
	struct fake_bus f;
	struct blk *b;
	struct dev *dev;
	bool connected;
};

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static const char *base(void)
{
	static char path[64];

	if (path[0] == '\0') {
		int fd;

		strcpy(path, "/tmp/fuzz_blk.XXXXXX");
		fd = mkstemp(path);
		if (fd < 0 || ftruncate(fd, SIZE) != 0)
			abort();
		close(fd);
	}
	return path;
}

static void start(struct world *w, bool virtual_clock)
{
	struct blk_params p = {.id = 51712, .discard = true, .size = SIZE, .sector = 512,
		.physical = 512};
	struct disk_overlay_params op = {.dir = "/dev/shm"};
	struct disk *disk;
	struct ttd_error e;

	disk = disk_open("xvda", base(), DISK_OVERLAY, &e);
	if (disk == NULL || disk_add_overlay(disk, &op, &e) != 0)
		abort();
	w->b = blk_create(disk, &p, &e);
	w->dev = blk_dev(w->b);
	fake_bus_init(&w->f, virtual_clock);
	w->dev->bus = &w->f.bus;
	if (w->dev->ops->announce(w->dev, &e) != 0)
		abort();
}

static void connect_ring(struct world *w, uint8_t how)
{
	fake_set(&w->f, DEV_FRONTEND, "ring-ref", how & 1 ? "99" : "1");
	fake_set(&w->f, DEV_FRONTEND, "event-channel", how & 2 ? "0" : "9");
	fake_set(&w->f, DEV_FRONTEND, "protocol", how & 4 ? "x86_32-abi" : "x86_64-abi");
	w->connected = w->dev->ops->connect(w->dev) == 0;
	if (!w->connected)
		w->dev->ops->disconnect(w->dev);
}

static void deliver(struct world *w)
{
	struct fake_post p;

	if (w->f.bus.virtual_clock && w->dev->ops->due(w->dev) != DEV_NEVER) {
		w->f.now = w->dev->ops->due(w->dev);
		w->dev->ops->expire(w->dev);
	}
	while (fake_take(&w->f, false, &p))
		w->dev->ops->apply(w->dev, p.p, p.n);
}

/* What was saved loads, and is the same when it is saved again. */
static void save_and_load(struct world *w)
{
	struct wbuf a = {0}, b = {0};
	struct rbuf r;

	w->dev->ops->save(w->dev, &a, DEV_SAVE_ALL);
	r = (struct rbuf){.p = a.p, .len = a.len};
	if (w->dev->ops->load(w->dev, &r) != 0 || r.pos != r.len)
		abort();
	w->dev->ops->save(w->dev, &b, DEV_SAVE_ALL);
	if (a.len != b.len || memcmp(a.p, b.p, a.len) != 0)
		abort();
	wbuf_free(&a);
	wbuf_free(&b);
}

static void write_slot(struct world *w, struct rbuf *r)
{
	uint8_t *s = w->f.page[RING] + 64 + rbuf_u8(r) % 32 * SLOT;

	memset(s, 0, SLOT);
	s[0] = rbuf_u8(r) % 8;
	s[1] = rbuf_u8(r);
	put16(s + 2, rbuf_u16(r));
	put64(s + 8, rbuf_u8(r));
	put64(s + 16, rbuf_u16(r));
	for (unsigned i = 0; i < s[1] && i < 11; i++) {
		put32(s + 24 + i * 8, rbuf_u8(r) % (FAKE_PAGES + 2));
		s[28 + i * 8] = rbuf_u8(r) & 7;
		s[29 + i * 8] = rbuf_u8(r) % 9;
	}
}

static void one(struct world *w, struct rbuf *r)
{
	uint8_t bytes[32], op = rbuf_u8(r);
	unsigned at;

	switch (op % 9) {
	case 0: /* one more request */
		write_slot(w, r);
		put32(w->f.page[RING], get32(w->f.page[RING]) + 1);
		w->dev->ops->notify(w->dev, 0);
		break;
	case 1: /* anything, anywhere */
		at = rbuf_u16(r) % (DEV_PAGE - 32);
		rbuf_get(r, bytes, 32);
		memcpy(w->f.page[op / 9 % 8] + at, bytes, 32);
		break;
	case 2:
		w->dev->ops->notify(w->dev, op);
		break;
	case 3:
		deliver(w);
		break;
	case 4: /* an input that is not one */
		rbuf_get(r, bytes, 13);
		w->dev->ops->apply(w->dev, bytes, op % 14);
		break;
	case 5:
		w->f.foreign = (uint64_t)rbuf_u32(r) << 6;
		w->f.ro = (uint64_t)rbuf_u32(r) << 16;
		break;
	case 6:
		w->dev->ops->disconnect(w->dev);
		if (op & 128)
			memset(w->f.page[RING], 0, DEV_PAGE);
		connect_ring(w, rbuf_u8(r) & (op & 64 ? 7 : 0));
		break;
	case 7:
		save_and_load(w);
		break;
	default:
		rbuf_get(r, bytes, 8);
		r->bad = r->bad || r->len - r->pos < op;
		if (!r->bad) {
			struct rbuf part = {.p = r->p + r->pos, .len = op};

			w->dev->ops->disconnect(w->dev);
			if (w->dev->ops->load(w->dev, &part) != 0)
				w->dev->ops->disconnect(w->dev);
			r->pos += op;
		}
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct rbuf r = {.p = p, .len = n};
	struct world *w = calloc(1, sizeof *w);

	start(w, rbuf_u8(&r) & 1);
	connect_ring(w, 0);
	for (int i = 0; i < 200 && !r.bad && r.pos < r.len; i++)
		one(w, &r);
	w->dev->ops->detach(w->dev);
	blk_destroy(w->b);
	free(w);
	return 0;
}
