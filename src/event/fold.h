/*
 * fold.h - witnesses that share one record of the log (doc/spec/log.md, Exits).
 *
 * A system call takes less time than a record of it.  So where exits come faster than the
 * log may grow, a recorder opens a fold, and a replayer where its log has one; what the
 * guest does meanwhile is added to a digest where it happens, by a few multiplications.
 *
 *  FO1. Open is one with n < FOLD_MAX and a witness before `until`.  Everything else goes
 *       to the source, which also closes it.
 *  FO2. Only general registers are touched here: it is done while the guest's vector
 *       registers are live (xen/quick_hot.c).
 */
#ifndef TTD_EVENT_FOLD_H
#define TTD_EVENT_FOLD_H

#include <stdbool.h>
#include <stdint.h>

enum { FOLD_MAX = 0xffff /* witnesses */ };

struct fold {
	uint64_t until; /* icount; 0: closed */
	uint64_t n, digest;
	uint64_t icount, brctr, rip; /* of the last one */
};

/* What is added of one. */
struct fold_item {
	uint32_t what;  /* type, flags << 8, mode << 16 */
	uint32_t code, error;
	uint64_t value, registers, icount, brctr, rip;
};

#define FOLD_PRIME UINT64_C(0x9e3779b97f4a7c15)

static inline bool fold_takes(const struct fold *f, uint64_t icount)
{
	return icount < f->until && f->n < FOLD_MAX;
}

/* Of the 16 general registers; four at a time, as a product takes three cycles. */
static inline uint64_t fold_registers(const uint64_t *gpr)
{
	uint64_t a = gpr[0] * FOLD_PRIME, b = gpr[1] * FOLD_PRIME, c = gpr[2] * FOLD_PRIME,
		d = gpr[3] * FOLD_PRIME;

	for (unsigned i = 4; i < 16; i += 4) {
		a = (a ^ gpr[i]) * FOLD_PRIME;
		b = (b ^ gpr[i + 1]) * FOLD_PRIME;
		c = (c ^ gpr[i + 2]) * FOLD_PRIME;
		d = (d ^ gpr[i + 3]) * FOLD_PRIME;
	}
	return a + (b << 16 | b >> 48) + (c << 32 | c >> 32) + (d << 48 | d >> 16);
}

/* An odd factor each, so that a change of one of them is a change of the sum. */
static inline void fold_add(struct fold *f, const struct fold_item *i)
{
	uint64_t sum = i->registers + i->icount * UINT64_C(0xbf58476d1ce4e5b9) +
		i->brctr * UINT64_C(0x94d049bb133111eb) + i->rip * UINT64_C(0xd6e8feb86659fd93) +
		i->value * UINT64_C(0xff51afd7ed558ccd) +
		((uint64_t)i->what << 32 | i->code) * UINT64_C(0xc4ceb9fe1a85ec53) +
		i->error * UINT64_C(0xa0761d6478bd642f);

	f->digest = ((f->digest << 23 | f->digest >> 41) ^ sum ^ sum >> 32) * FOLD_PRIME;
	f->n++;
	f->icount = i->icount;
	f->brctr = i->brctr;
	f->rip = i->rip;
}

/* As the log has it. */
static inline uint32_t fold_digest(const struct fold *f)
{
	return (uint32_t)(f->digest >> 32);
}

#endif
