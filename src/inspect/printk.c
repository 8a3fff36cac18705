/*
 * printk.c - the kernel's messages out of its ring buffer (Linux 5.10 and
 * later, kernel/printk/printk_ringbuffer.c).
 *
 * How it thinks.  `prb` points to the ring: an array of descriptors, one of
 * their infos beside it, and a ring of text.  A descriptor's id counts up; its
 * state is in the top two bits of state_var.  The valid ids are those from
 * tail_id to head_id, and a record counts only when descriptor, text block and
 * id agree, as the kernel's own readers have it: a guest that is stopped in the
 * middle of writing one does not confuse us.
 */
#include <stdlib.h>
#include <string.h>

#include "inspect/guest.h"
#include "util/bytes.h"

enum {
	BITS_MIN = 1, BITS_MAX = 20, /* 2^20 descriptors, 2^30 bytes of text */
	TEXT_BITS_MAX = 30,
	STATE_SHIFT = 62, COMMITTED = 1, FINALIZED = 2,
	ID_SIZE = 8,
};
#define ID_MASK ((UINT64_C(1) << STATE_SHIFT) - 1)

struct ring {
	const struct guest_view *v;
	uint64_t descs, infos, text, head, tail;
	uint64_t count_bits, text_bits;
	uint32_t desc_size, info_size;
	uint32_t text_len_size;
};

static bool open_ring(const struct guest_view *v, struct ring *r)
{
	static const char t[] = "printk_ringbuffer";
	uint64_t prb;

	*r = (struct ring){ .v = v };
	return guest_variable(v, "prb", &prb) &&
		(r->desc_size = types_size(v->types, "prb_desc")) != 0 &&
		(r->info_size = types_size(v->types, "printk_info")) != 0 &&
		guest_get(v, prb, t, "desc_ring.count_bits", &r->count_bits) &&
		guest_get(v, prb, t, "desc_ring.descs", &r->descs) &&
		guest_get(v, prb, t, "desc_ring.infos", &r->infos) &&
		guest_get(v, prb, t, "desc_ring.head_id.counter", &r->head) &&
		guest_get(v, prb, t, "desc_ring.tail_id.counter", &r->tail) &&
		guest_get(v, prb, t, "text_data_ring.size_bits", &r->text_bits) &&
		guest_get(v, prb, t, "text_data_ring.data", &r->text) &&
		r->count_bits >= BITS_MIN && r->count_bits <= BITS_MAX &&
		r->text_bits >= BITS_MIN && r->text_bits <= TEXT_BITS_MAX;
}

/* The text of the block [begin, next), which must carry the id. */
static bool read_text(const struct ring *r, uint64_t id, uint64_t begin, uint64_t next,
	struct guest_message *m)
{
	uint64_t size = UINT64_C(1) << r->text_bits, mask = size - 1, at, len, own;

	if ((begin & 1) && (next & 1)) {
		m->lost = begin != 3; /* NO_LPOS: there never was a text */
		m->len = 0;
		return true;
	}
	if (begin >> r->text_bits == next >> r->text_bits && begin < next) {
		at = begin & mask;
		len = next - begin;
	} else if ((begin >> r->text_bits) + 1 == next >> r->text_bits) {
		at = 0; /* it did not fit before the ring's end */
		len = next & mask;
	} else {
		return false;
	}
	if (len < ID_SIZE || !guest_read(r->v, r->text + at, &own, sizeof own) || own != id)
		return false;
	len -= ID_SIZE;
	if (m->len > len)
		m->len = (size_t)len;
	if (m->len > sizeof m->text - 1)
		m->len = sizeof m->text - 1;
	return guest_read(r->v, r->text + at + ID_SIZE, m->text, m->len);
}

static void read_device(const struct ring *r, uint64_t info, struct guest_message *m)
{
	struct type_member sub, dev;

	if (!types_member(r->v->types, "printk_info", "dev_info.subsystem", &sub) ||
		!types_member(r->v->types, "printk_info", "dev_info.device", &dev) ||
		sub.size > sizeof m->subsystem || dev.size > sizeof m->device ||
		!guest_read(r->v, info + sub.offset, m->subsystem, sub.size) ||
		!guest_read(r->v, info + dev.offset, m->device, dev.size))
		m->subsystem[0] = m->device[0] = '\0';
	m->subsystem[sizeof m->subsystem - 1] = m->device[sizeof m->device - 1] = '\0';
}

static bool read_message(const struct ring *r, uint64_t id, struct guest_message *m)
{
	uint64_t i = id & ((UINT64_C(1) << r->count_bits) - 1);
	uint64_t desc = r->descs + i * r->desc_size, info = r->infos + i * r->info_size;
	uint64_t state, begin, next, len, facility, level, caller = 0;

	memset(m, 0, sizeof *m);
	if (!guest_get(r->v, desc, "prb_desc", "state_var.counter", &state) ||
		(state & ID_MASK) != id || state >> STATE_SHIFT < COMMITTED ||
		state >> STATE_SHIFT > FINALIZED ||
		!guest_get(r->v, desc, "prb_desc", "text_blk_lpos.begin", &begin) ||
		!guest_get(r->v, desc, "prb_desc", "text_blk_lpos.next", &next) ||
		!guest_get(r->v, info, "printk_info", "seq", &m->seq) ||
		!guest_get(r->v, info, "printk_info", "ts_nsec", &m->ts_ns) ||
		!guest_get(r->v, info, "printk_info", "text_len", &len) ||
		!guest_get(r->v, info, "printk_info", "facility", &facility) ||
		!guest_get(r->v, info, "printk_info", "level", &level))
		return false;
	guest_get(r->v, info, "printk_info", "caller_id", &caller);
	m->open = state >> STATE_SHIFT == COMMITTED;
	m->facility = (unsigned)facility;
	m->level = (unsigned)level;
	m->caller = (uint32_t)caller;
	m->len = (size_t)len;
	read_device(r, info, m);
	if (!read_text(r, id, begin, next, m))
		return false;
	m->text[m->len] = '\0';
	return true;
}

int guest_messages(const struct guest_view *v, bool (*fn)(void *ctx,
	const struct guest_message *m), void *ctx, struct ttd_error *e)
{
	struct guest_message *m;
	struct ring r;
	uint64_t n;

	if (!open_ring(v, &r))
		return err_set(e, TTD_HOST, v->types == NULL ? "the guest's kernel has no BTF: its "
			"structures are not known; give a vmlinux with DWARF by --symbols"
			: "the guest's kernel has no ring buffer of the form that Linux has since 5.10");
	m = malloc(sizeof *m);
	if (m == NULL)
		return err_set(e, TTD_HOST, "out of memory");
	n = ((r.head - r.tail) & ID_MASK) + 1;
	if (n > UINT64_C(1) << r.count_bits)
		n = UINT64_C(1) << r.count_bits; /* GU1 */
	for (uint64_t i = 0; i < n; i++)
		if (read_message(&r, (r.tail + i) & ID_MASK, m) && !fn(ctx, m))
			break;
	free(m);
	return 0;
}
