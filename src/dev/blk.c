/*
 * blk.c - a disk of the guest: what xenstore says of it, completions, save and
 * load.  See blk_internal.h.
 */
#include "dev/blk_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { INFO_CDROM = 1, INFO_READONLY = 4 };

static struct blk *blk_of(struct dev *dev)
{
	return (struct blk *)dev;
}

static bool read_only(const struct blk *b)
{
	return b->p.read_only;
}

/* ---- xenstore ---- */

/*
 * What a toolstack and the hotplug scripts write.  The guest sees its own name
 * of the disk where another host would show its path: a trace that is replayed
 * elsewhere must look the same.
 */
static int announce(struct dev *dev, struct ttd_error *e)
{
	struct blk *b = blk_of(dev);
	char path[DEV_KEY_MAX], number[32];
	const struct {
		const char *key, *value;
	} back[] = {
		{"frontend", NULL}, {"params", path}, {"script", "/etc/xen/scripts/block"},
		{"frontend-id", NULL}, {"online", NULL}, {"removable", b->p.cdrom ? "1" : "0"},
		{"bootable", "1"}, {"state", NULL}, {"dev", disk_name(b->disk)}, {"type", "phy"},
		{"mode", read_only(b) ? "r" : "w"}, {"device-type", b->p.cdrom ? "cdrom" : "disk"},
		{"discard-enable", b->p.discard ? "1" : "0"}, {"specification", "xen"},
		{"feature-max-indirect-segments", "256"}, {"physical-device", number},
		{"physical-device-path", path}, {"hotplug-status", "connected"},
	}, front[] = {
		{"backend", NULL}, {"backend-id", NULL}, {"state", NULL}, {"virtual-device", number},
		{"device-type", b->p.cdrom ? "cdrom" : "disk"}, {"trusted", "1"},
	};
	int rc = 0;

	_Static_assert(SEGMENTS == 256, "feature-max-indirect-segments");
	snprintf(path, sizeof path, "/dev/%s", disk_name(b->disk));
	snprintf(number, sizeof number, "%x:%x", b->p.id >> 8 & 0xfff, b->p.id & 0xff);
	for (size_t i = 0; i < sizeof back / sizeof *back; i++)
		rc |= dev->bus->ops->write(dev, DEV_BACKEND, back[i].key, back[i].value);
	snprintf(number, sizeof number, "%" PRIu32, b->p.id);
	for (size_t i = 0; i < sizeof front / sizeof *front; i++)
		rc |= dev->bus->ops->write(dev, DEV_FRONTEND, front[i].key, front[i].value);
	if (rc != 0)
		return err_set(e, TTD_HOST, "disk %s: cannot be put into xenstore", disk_name(b->disk));
	return work_start(b, e);
}

/* What the frontend reads once we are connected. */
static void publish(struct blk *b)
{
	struct dev *dev = &b->dev;
	unsigned info = (b->p.cdrom ? INFO_CDROM : 0) | (read_only(b) ? INFO_READONLY : 0);

	if (!read_only(b))
		dev_write_number(dev, DEV_BACKEND, "feature-flush-cache", 1);
	if (b->p.discard) {
		dev_write_number(dev, DEV_BACKEND, "discard-granularity", OVERLAY_CLUSTER);
		dev_write_number(dev, DEV_BACKEND, "discard-alignment", 0);
		dev_write_number(dev, DEV_BACKEND, "discard-secure", 0);
		dev_write_number(dev, DEV_BACKEND, "feature-discard", 1);
	}
	dev_write_number(dev, DEV_BACKEND, "sectors", b->p.size / SECTOR);
	dev_write_number(dev, DEV_BACKEND, "info", info);
	dev_write_number(dev, DEV_BACKEND, "sector-size", b->p.sector);
	dev_write_number(dev, DEV_BACKEND, "physical-sector-size", b->p.physical);
}

/* A key that is there and is not this number asks for what we did not offer. */
static bool other_than(struct dev *dev, const char *key, uint64_t wanted)
{
	char text[8];
	uint64_t value;

	if (dev->bus->ops->read(dev, DEV_FRONTEND, key, text, sizeof text) < 0)
		return false;
	return dev_read_number(dev, DEV_FRONTEND, key, UINT32_MAX, &value) != 0 || value != wanted;
}

static int connect(struct dev *dev)
{
	struct blk *b = blk_of(dev);
	uint64_t ref, port;
	char protocol[16];
	uint8_t index[4];

	if (dev_read_number(dev, DEV_FRONTEND, "ring-ref", UINT32_MAX, &ref) != 0 ||
		dev_read_number(dev, DEV_FRONTEND, "event-channel", UINT32_MAX, &port) != 0 ||
		other_than(dev, "ring-page-order", 0) ||
		other_than(dev, "multi-queue-num-queues", 1))
		return -1;
	if (dev->bus->ops->read(dev, DEV_FRONTEND, "protocol", protocol, sizeof protocol) >= 0 &&
		strcmp(protocol, "x86_64-abi") != 0)
		return -1;
	b->ring = dev->bus->ops->map(dev, (uint32_t)ref);
	if (b->ring == DEV_NO_PAGE || dev->bus->ops->bind(dev, 0, (uint32_t)port) != 0 ||
		dev->bus->ops->page_in(dev, b->ring, 8, index, sizeof index) != 0)
		return -1;
	b->rsp_prod = b->req_cons = get32(index);
	b->connected = true;
	b->broken = false;
	publish(b);
	blk_take(b);
	return 0;
}

/* Requests are done, as far as they are to be done, but nobody waits for them. */
static void forget(struct blk *b)
{
	struct request *r;

	work_wait(b, NULL);
	while ((r = b->flight) != NULL) {
		b->flight = r->next;
		request_free(b, r);
	}
	b->flight_end = &b->flight;
}

static void disconnect(struct dev *dev)
{
	struct blk *b = blk_of(dev);

	forget(b);
	b->connected = b->broken = false;
	b->ring = DEV_NO_PAGE;
	b->req_cons = b->rsp_prod = 0;
}

static void notify(struct dev *dev, unsigned channel)
{
	(void)channel;
	blk_take(blk_of(dev));
}

/* ---- completions ---- */

static void count(struct blk *b, const struct request *r, bool failed)
{
	struct blk_stats *s = &b->stats;

	s->errors += failed;
	switch (r->op) {
	case OP_READ:
		s->reads++;
		s->read_bytes += r->len;
		break;
	case OP_FLUSH:
		s->flushes++;
		break;
	case OP_DISCARD:
		s->discards++;
		break;
	default:
		s->writes++;
		s->written_bytes += r->len;
		break;
	}
}

/* K3.  A frame that is not granted any more: as a grant copy would fail. */
static bool give_data(struct blk *b, const struct request *r)
{
	const uint8_t *p = r->buf;

	for (unsigned i = 0; i < r->nseg; i++) {
		const struct segment *s = &r->seg[i];

		if (b->dev.bus->ops->copy_out(&b->dev, s->ref, s->off, p, s->len) != 0)
			return false;
		p += s->len;
	}
	return true;
}

/* We have not got what the log says: its base is not ours. */
static void fail_read(struct blk *b, const struct request *r, uint64_t digest)
{
	struct ttd_error e = TTD_ERROR_INIT;

	if (r->error != 0)
		err_set(&e, TTD_HOST, "disk %s: sector %" PRIu64 " of %.200s cannot be read, as it was "
			"when this was recorded: %s", disk_name(b->disk), r->off / SECTOR,
			disk_target(b->disk), strerror(r->error));
	else
		err_set(&e, TTD_HOST, "disk %s: %.200s has changed since this was recorded: %" PRIu64
			" bytes from sector %" PRIu64 " have digest %016" PRIx64 ", not %016" PRIx64
			"; give the unchanged base by --disk-base", disk_name(b->disk),
			disk_target(b->disk), r->len, r->off / SECTOR, r->digest, digest);
	b->dev.bus->ops->fail(&b->dev, &e);
}

static void fail_write(struct blk *b, const struct request *r)
{
	struct ttd_error e = TTD_ERROR_INIT;

	err_set(&e, TTD_HOST, "disk %s: cannot be written as it was when this was recorded: %s; "
		"make room for temporary files (TMPDIR)", disk_name(b->disk), strerror(r->error));
	b->dev.bus->ops->fail(&b->dev, &e);
}

/* K4, when the log says so. */
static void disk_failed(struct blk *b, const struct request *r)
{
	if (r->op == OP_READ || r->nseg == 0)
		return;
	pthread_mutex_lock(&b->lock);
	b->failed = true;
	pthread_mutex_unlock(&b->lock);
}

static void complete(struct blk *b, struct request *r, unsigned status, uint64_t digest)
{
	int answer = status == 0 ? RSP_OKAY : status == STATUS_UNSUPPORTED ? RSP_UNSUPPORTED
		: RSP_ERROR;

	if (answer == RSP_OKAY && r->op == OP_READ) {
		if (r->status != RSP_OKAY || r->digest != digest) {
			fail_read(b, r, digest);
			return;
		}
		if (!give_data(b, r))
			answer = RSP_ERROR;
	} else if (answer == RSP_OKAY && r->status != RSP_OKAY) {
		fail_write(b, r);
		return;
	} else if (answer == RSP_ERROR && !read_only(b)) {
		disk_failed(b, r);
	}
	count(b, r, answer != RSP_OKAY);
	blk_respond(b, r, answer);
}

static void apply(struct dev *dev, const uint8_t *p, size_t n)
{
	struct blk *b = blk_of(dev);
	struct request *r = b->flight;

	if (r == NULL || n < 5 || get32(p + 1) != r->number)
		return; /* K1 */
	if (p[0] == 0 && r->op == OP_READ && n < COMPLETION_MAX)
		return;
	work_wait(b, r);
	pthread_mutex_lock(&b->lock);
	b->flight = r->next;
	if (b->flight == NULL)
		b->flight_end = &b->flight;
	pthread_mutex_unlock(&b->lock);
	complete(b, r, p[0], n >= COMPLETION_MAX ? get64(p + 5) : 0);
	request_free(b, r);
}

/* B4: the first that has not been posted. */
static struct request *first_due(const struct blk *b)
{
	struct request *r = b->flight;

	while (r != NULL && r->expired)
		r = r->next;
	return r;
}

static uint64_t due(const struct dev *dev)
{
	const struct request *r = first_due((const struct blk *)dev);

	return r != NULL ? r->due : DEV_NEVER;
}

static void expire(struct dev *dev)
{
	struct blk *b = blk_of(dev);
	uint64_t now = dev->bus->ops->now(dev);
	uint8_t p[COMPLETION_MAX];
	struct request *r;

	while ((r = first_due(b)) != NULL && r->due <= now) {
		work_wait(b, r);
		r->expired = true;
		dev->bus->ops->post(dev, p, completion(r, p));
	}
}

static void quiet(struct dev *dev)
{
	work_quiet(blk_of(dev));
}

/* What a log would have completed ends like new requests do. */
static void live(struct dev *dev)
{
	struct blk *b = blk_of(dev);
	uint8_t p[COMPLETION_MAX];

	for (struct request *r = b->flight; r != NULL; r = r->next) {
		work_wait(b, r);
		if (!b->dev.bus->virtual_clock || r->expired)
			b->dev.bus->ops->post(&b->dev, p, completion(r, p));
	}
}

static int forked(struct dev *dev, struct ttd_error *e)
{
	struct blk *b = blk_of(dev);
	struct overlay *o = disk_overlay(b->disk);
	int error = o != NULL ? overlay_forked(o) : 0;

	if (error != 0)
		return err_set(e, TTD_HOST, "disk %s: no file for what is written to it: %s",
			disk_name(b->disk), strerror(error));
	return work_forked(b, e);
}

/* ---- state ---- */

static void save_request(const struct request *r, struct wbuf *w, enum dev_save what)
{
	wbuf_u32(w, r->number);
	wbuf_u64(w, r->id);
	wbuf_u8(w, r->op);
	wbuf_u64(w, r->off);
	wbuf_u64(w, r->len);
	wbuf_u64(w, r->due);
	wbuf_u8(w, r->expired);
	wbuf_u32(w, r->nseg);
	for (unsigned i = 0; i < r->nseg; i++) {
		wbuf_u32(w, r->seg[i].ref);
		wbuf_u16(w, r->seg[i].off);
		wbuf_u16(w, r->seg[i].len);
	}
	if (what == DEV_SAVE_DIGEST)
		return;
	wbuf_u8(w, (uint8_t)r->status);
	wbuf_u32(w, (uint32_t)r->error);
	wbuf_u64(w, r->digest);
	if (r->op == OP_READ && r->status == RSP_OKAY)
		wbuf_put(w, r->buf, r->len);
}

static void save(struct dev *dev, struct wbuf *w, enum dev_save what)
{
	struct blk *b = blk_of(dev);
	const struct request *r;
	uint32_t n = 0;

	if (what == DEV_SAVE_ALL)
		work_wait(b, NULL); /* B5 */
	wbuf_u8(w, b->connected);
	wbuf_u8(w, b->broken);
	wbuf_u64(w, b->ring);
	wbuf_u32(w, b->req_cons);
	wbuf_u32(w, b->rsp_prod);
	wbuf_u32(w, b->next_number);
	wbuf_u64(w, b->last_due);
	for (r = b->flight; r != NULL; r = r->next)
		n++;
	wbuf_u32(w, n);
	for (r = b->flight; r != NULL; r = r->next)
		save_request(r, w, what);
	if (what == DEV_SAVE_DIGEST)
		return;
	wbuf_u8(w, b->failed);
	wbuf_u8(w, disk_overlay(b->disk) != NULL);
	if (disk_overlay(b->disk) != NULL) {
		if (overlay_freeze(disk_overlay(b->disk)) != 0)
			w->bad = true; /* no checkpoint of what may be lost */
		overlay_save(disk_overlay(b->disk), w);
	}
}

static int load_request(struct blk *b, struct rbuf *in)
{
	struct request *r = request_new(b);

	if (r == NULL)
		return -1;
	flight_add(b, r);
	r->done = true;
	r->number = rbuf_u32(in);
	r->id = rbuf_u64(in);
	r->op = rbuf_u8(in);
	r->off = rbuf_u64(in);
	r->len = rbuf_u64(in);
	r->due = rbuf_u64(in);
	r->expired = rbuf_u8(in) != 0;
	r->nseg = rbuf_u32(in);
	if (r->nseg > SEGMENTS) {
		r->nseg = 0;
		return -1;
	}
	for (unsigned i = 0; i < r->nseg; i++) {
		r->seg[i].ref = rbuf_u32(in);
		r->seg[i].off = rbuf_u16(in);
		r->seg[i].len = rbuf_u16(in);
		if (r->seg[i].off + r->seg[i].len > DEV_PAGE)
			return -1;
	}
	r->status = (int8_t)rbuf_u8(in);
	r->error = (int)rbuf_u32(in);
	r->digest = rbuf_u64(in);
	if (in->bad || r->op != OP_READ || r->status != RSP_OKAY)
		return in->bad ? -1 : 0;
	if (r->len > (uint64_t)SEGMENTS * DEV_PAGE || !request_room(r, r->len))
		return -1;
	rbuf_get(in, r->buf, r->len);
	return in->bad ? -1 : 0;
}

/* give_data() goes by the segments: they must not be more than the data. */
static bool sums_up(const struct request *r)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < r->nseg; i++)
		sum += r->seg[i].len;
	return r->op != OP_READ || r->status != RSP_OKAY || sum == r->len;
}

static int load(struct dev *dev, struct rbuf *r)
{
	struct blk *b = blk_of(dev);
	uint32_t n;

	forget(b);
	b->connected = rbuf_u8(r) != 0;
	b->broken = rbuf_u8(r) != 0;
	b->ring = rbuf_u64(r);
	b->req_cons = rbuf_u32(r);
	b->rsp_prod = rbuf_u32(r);
	b->next_number = rbuf_u32(r);
	b->last_due = rbuf_u64(r);
	n = rbuf_u32(r);
	if (r->bad || n > RING_SLOTS)
		return -1;
	for (uint32_t i = 0; i < n; i++)
		if (load_request(b, r) != 0)
			return -1;
	for (const struct request *q = b->flight; q != NULL; q = q->next)
		if (!sums_up(q))
			return -1;
	b->failed = rbuf_u8(r) != 0;
	if (rbuf_u8(r) != (disk_overlay(b->disk) != NULL) || r->bad)
		return -1;
	return disk_overlay(b->disk) != NULL ? overlay_load(disk_overlay(b->disk), r) : 0;
}

static uint64_t content(struct dev *dev)
{
	struct blk *b = blk_of(dev);

	work_wait(b, NULL);
	return b->failed ? 0 : disk_content(b->disk);
}

static void detach(struct dev *dev)
{
	work_wait(blk_of(dev), NULL);
	work_stop(blk_of(dev));
}

static const struct dev_ops ops = {
	.type = "vbd", .kind = DEV_BLOCK,
	.announce = announce, .connect = connect, .disconnect = disconnect, .notify = notify,
	.apply = apply, .due = due, .expire = expire, .save = save, .load = load,
	.quiet = quiet, .live = live, .forked = forked, .content = content, .detach = detach,
};

/* ---- life ---- */

struct blk *blk_create(struct disk *disk, const struct blk_params *p, struct ttd_error *e)
{
	struct blk *b = calloc(1, sizeof *b);

	if (b == NULL) {
		err_set(e, TTD_HOST, "disk %s: out of memory", disk_name(disk));
		disk_close(disk);
		return NULL;
	}
	b->dev.ops = &ops;
	b->dev.id = p->id;
	b->disk = disk;
	b->p = *p;
	b->ring = DEV_NO_PAGE;
	b->flight_end = &b->flight;
	work_init(b);
	return b;
}

static void free_all(struct request *r)
{
	while (r != NULL) {
		struct request *next = r->next;

		free(r->buf);
		free(r);
		r = next;
	}
}

void blk_destroy(struct blk *b)
{
	if (b == NULL)
		return;
	work_stop(b);
	free_all(b->flight);
	free_all(b->free);
	disk_close(b->disk);
	pthread_mutex_destroy(&b->lock);
	pthread_cond_destroy(&b->work);
	pthread_cond_destroy(&b->done);
	free(b);
}

struct dev *blk_dev(struct blk *b)
{
	return &b->dev;
}

struct disk *blk_disk(struct blk *b)
{
	work_wait(b, NULL);
	return b->disk;
}

void blk_get_stats(struct blk *b, struct blk_stats *s)
{
	*s = b->stats;
}
