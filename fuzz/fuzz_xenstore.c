/*
 * fuzz_xenstore.c - the xenstore behind a hostile ring.  The input is a script:
 * a byte says what to do next, its operands follow.  Well-formed headers are
 * made for it, so that the fuzzer gets past the framing; raw bytes and indexes
 * are possible too.  At the end the store is saved, loaded and saved again,
 * which must give the same bytes.
 */
#include <stdlib.h>
#include <string.h>

#include <stdint.h>
#include <xen/io/xs_wire.h>

#include "util/bytes.h"
#include "xenstore/xenstore.h"

struct world {
	uint8_t page[4096];
	struct xenstore *xs;
};

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void ring_read(void *ctx, unsigned off, void *p, size_t n)
{
	struct world *w = ctx;

	if (off > 4096 || n > 4096 - off)
		abort();
	memcpy(p, w->page + off, n);
}

static void ring_write(void *ctx, unsigned off, const void *p, size_t n)
{
	struct world *w = ctx;

	if (off < 0x400 || off > 4096 || n > 4096 - off)
		abort(); /* the request half is the guest's */
	memcpy(w->page + off, p, n);
}

static void ring_notify(void *ctx)
{
	(void)ctx;
}

static void changed(void *ctx, const char *path)
{
	struct world *w = ctx;

	if (strstr(path, "state"))
		xs_write(w->xs, "/local/domain/0/backend/vbd/1/state", path, strlen(path));
}

static void put_request(struct world *w, const void *p, size_t n)
{
	uint32_t prod = get32(w->page + 0x804);

	for (size_t i = 0; i < n; i++)
		w->page[(prod + i) % XENSTORE_RING_SIZE] = ((const uint8_t *)p)[i];
	put32(w->page + 0x804, prod + (uint32_t)n);
}

static void check_save(struct world *w)
{
	static const struct xs_ring_ops ops = { ring_read, ring_write, ring_notify };
	struct world other = { .xs = xs_create(1, &ops, &other) };
	struct wbuf a = { 0 }, b = { 0 };
	struct rbuf r;

	xs_save(w->xs, &a);
	r = (struct rbuf){ .p = a.p, .len = a.len };
	if (xs_load(other.xs, &r) != 0 || r.pos != r.len)
		abort();
	xs_save(other.xs, &b);
	if (a.len != b.len || memcmp(a.p, b.p, a.len) != 0)
		abort();
	wbuf_free(&a);
	wbuf_free(&b);
	xs_destroy(other.xs);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static const struct xs_ring_ops ops = { ring_read, ring_write, ring_notify };
	struct world w = { .page = { 0 } };
	struct rbuf r = { .p = p, .len = n };
	uint8_t bytes[256];

	w.xs = xs_create(1, &ops, &w);
	xs_watch(w.xs, "/local/domain/1/device", changed, &w);
	xs_write(w.xs, "/local/domain/1/device/vbd/0/state", "1", 1);
	while (r.pos < r.len) {
		uint8_t op = rbuf_u8(&r), len = rbuf_u8(&r);
		struct xsd_sockmsg hdr = { op & 31, 7, len >> 6 ? 0u : op >> 5, len & 63 };

		if (r.len - r.pos < hdr.len)
			break;
		rbuf_get(&r, bytes, hdr.len);
		if (op < 0xf8) {
			put_request(&w, &hdr, sizeof(hdr));
			put_request(&w, bytes, hdr.len);
		} else if (op < 0xfc) {
			put_request(&w, bytes, hdr.len);
		} else if (op == 0xfc && hdr.len >= 4) {
			memcpy(w.page + 0x800 + (len & 12), bytes, 4);
		} else if (op == 0xfd) {
			bytes[hdr.len] = '\0';
			xs_rm(w.xs, (const char *)bytes);
		} else {
			/* Read all replies. */
			memcpy(w.page + 0x808, w.page + 0x80c, 4);
		}
		xs_process(w.xs);
	}
	check_save(&w);
	xs_destroy(w.xs);
	return 0;
}
