/*
 * vendor.c - what the engine does by its own rules where vendors differ.
 *
 * Where an instruction is emulated, or the order of its faults is a matter of
 * taste, the engine follows Intel's processors on every host (doc/exactness.md).
 * On another vendor's such a case says nothing about the engine when compared with
 * the CPU; the two engines are still compared with each other.
 */
#include <cpuid.h>
#include <string.h>

#include "insn.h"

/* Hand-written cases about just that. */
static const char *const by_name[] = {
	"movsxd-r16-page-end",    /* two bytes are read, or four */
	"call-noncanon",          /* the return address is stored before the fault */
	"call-mem-noncanon",
	"edge-call-reg-straddle",
	"order-x87-no-store",
	"order-x87-no-store-wait",
	"order-x87-no-store-ac",
	"ac-aligned",             /* movups and the like are not checked */
	"avx-xsave-straddle",     /* CR2 is the last byte, or the first of the page */
	"ac-edge",                /* #AC comes before the end of the address space */
	"ac-cmps-order",          /* #AC of the one operand, or the page fault of the other */
};

static bool host_is_intel(void)
{
	unsigned a, b = 0, c, d;

	__get_cpuid(0, &a, &b, &c, &d);
	return b == signature_INTEL_ebx;
}

static bool is_prefix(uint8_t b, bool code64)
{
	static const uint8_t prefix[] = { 0x66, 0x67, 0xf0, 0xf2, 0xf3, 0x26, 0x2e, 0x36, 0x3e, 0x64,
		0x65 };

	return memchr(prefix, b, sizeof prefix) != NULL || (code64 && (b & 0xf0) == 0x40);
}

/* Its opcode and what follows; at the end, zeros. */
static const uint8_t *opcode(const struct insn *in, bool code64)
{
	static const uint8_t none[4];
	unsigned i = 0;

	while (i < in->len && is_prefix(in->b[i], code64))
		i++;
	return in->len - i < 1 ? none : in->b + i;
}

bool vendor_decides(const struct tcase *c, const struct result *r)
{
	enum { UD = 6, SS = 12, GP = 13, AC = 17, AC_FLAG = 0x40000 };

	if (host_is_intel())
		return false;
	/* AMD's check operands of SSE's unaligned instructions, too, and canonical ends first. */
	if (r->vec == AC || (((c->rflags | r->rflags) & AC_FLAG) != 0 && (r->vec == SS || r->vec == GP)))
		return true;
	/* 32-bit operands that reach over 4 GB: beyond the limit, or around to 0. */
	if (!c->code64 && (r->vec == SS || r->vec == GP))
		return true;
	for (unsigned i = 0; i < c->n; i++) {
		const uint8_t *op = opcode(&c->in[i], c->code64);

		if (op[0] == 0x0f && op[1] == 0x0d && op[2] >= 0xc0)
			return true; /* prefetch of a register: a nop, or #UD */
		if (!c->code64 && (op[0] & 0xe7) == 0x27)
			return true; /* daa, das, aaa, aas: undefined flags */
		/* A call to nowhere: the return address is stored before the fault. */
		if (op[0] == 0xff && (op[1] & 0x38) == 0x10 && r->vec == GP)
			return true;
		/* An x87 store that raises an exception stores nothing and so cannot fault. */
		if ((op[0] & 0xf9) == 0xd9 && op[1] < 0xc0 && r->vec != UD)
			return true;
		/* movsxd to 16 bits: two bytes are read, or four. */
		if (c->code64 && op[0] == 0x63 && op[1] < 0xc0 && r->vec != UD)
			return true;
		/* vpextrd and vpinsrd with W, which 32-bit code has no use for: ignored, or #UD. */
		if (!c->code64 && op[0] == 0xc4 && (op[1] & 0x1f) == 3 && (op[2] & 0x80) &&
		    (op[3] == 0x16 || op[3] == 0x22))
			return true;
		/* cmps and scas: flags when an element in the middle faults, or is stepped to. */
		if ((op[0] == 0xa6 || op[0] == 0xa7 || op[0] == 0xae || op[0] == 0xaf) && r->vec != UD)
			return true;
	}
	return false;
}

bool vendor_decides_hand(const char *name)
{
	for (unsigned i = 0; !host_is_intel() && i < sizeof by_name / sizeof *by_name; i++)
		if (strcmp(name, by_name[i]) == 0)
			return true;
	return false;
}
