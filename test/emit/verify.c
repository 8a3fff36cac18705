/*
 * verify.c - one stretch of host code, from its first byte to its last: no instruction
 * that has no business there, all operands covered, all jumps within the cache.
 *
 * Code is straight: it jumps forward to cold code or out of the block, and is come back
 * to only at sites, where nothing is known of the scratch registers.
 */
#include "test/emit/emit.h"

static const ZydisMnemonic forbidden[] = {
	ZYDIS_MNEMONIC_SYSCALL, ZYDIS_MNEMONIC_SYSENTER, ZYDIS_MNEMONIC_INT, ZYDIS_MNEMONIC_INT1,
	ZYDIS_MNEMONIC_INT3, ZYDIS_MNEMONIC_INTO, ZYDIS_MNEMONIC_UD0, ZYDIS_MNEMONIC_UD1,
	ZYDIS_MNEMONIC_UD2, ZYDIS_MNEMONIC_CALL, ZYDIS_MNEMONIC_RET, ZYDIS_MNEMONIC_IRET,
	ZYDIS_MNEMONIC_IRETD, ZYDIS_MNEMONIC_IRETQ, ZYDIS_MNEMONIC_PUSH, ZYDIS_MNEMONIC_POP,
	ZYDIS_MNEMONIC_PUSHFQ, ZYDIS_MNEMONIC_POPFQ, ZYDIS_MNEMONIC_LEAVE, ZYDIS_MNEMONIC_ENTER,
	ZYDIS_MNEMONIC_IN, ZYDIS_MNEMONIC_OUT, ZYDIS_MNEMONIC_HLT, ZYDIS_MNEMONIC_CLI,
	ZYDIS_MNEMONIC_STI, ZYDIS_MNEMONIC_XLAT, ZYDIS_MNEMONIC_MASKMOVQ,
	ZYDIS_MNEMONIC_MASKMOVDQU, ZYDIS_MNEMONIC_RDTSC, ZYDIS_MNEMONIC_RDTSCP,
	ZYDIS_MNEMONIC_RDPMC, ZYDIS_MNEMONIC_RDRAND, ZYDIS_MNEMONIC_RDSEED, ZYDIS_MNEMONIC_RDPID,
	ZYDIS_MNEMONIC_CPUID, ZYDIS_MNEMONIC_XGETBV, ZYDIS_MNEMONIC_XSETBV, ZYDIS_MNEMONIC_XSAVE,
	ZYDIS_MNEMONIC_XSAVE64, ZYDIS_MNEMONIC_XSAVEOPT, ZYDIS_MNEMONIC_XSAVEOPT64,
	ZYDIS_MNEMONIC_XRSTOR64, ZYDIS_MNEMONIC_VMASKMOVDQU, ZYDIS_MNEMONIC_VMASKMOVPS,
	ZYDIS_MNEMONIC_VMASKMOVPD, ZYDIS_MNEMONIC_VPMASKMOVD, ZYDIS_MNEMONIC_VPMASKMOVQ,
	ZYDIS_MNEMONIC_VGATHERDPS, ZYDIS_MNEMONIC_VGATHERDPD, ZYDIS_MNEMONIC_VGATHERQPS,
	ZYDIS_MNEMONIC_VGATHERQPD, ZYDIS_MNEMONIC_VPGATHERDD, ZYDIS_MNEMONIC_VPGATHERDQ,
	ZYDIS_MNEMONIC_VPGATHERQD, ZYDIS_MNEMONIC_VPGATHERQQ,
	ZYDIS_MNEMONIC_XRSTOR, ZYDIS_MNEMONIC_WRPKRU, ZYDIS_MNEMONIC_RDPKRU,
	ZYDIS_MNEMONIC_RDFSBASE, ZYDIS_MNEMONIC_RDGSBASE, ZYDIS_MNEMONIC_WRFSBASE,
	ZYDIS_MNEMONIC_WRGSBASE, ZYDIS_MNEMONIC_SGDT, ZYDIS_MNEMONIC_SIDT, ZYDIS_MNEMONIC_SLDT,
	ZYDIS_MNEMONIC_STR, ZYDIS_MNEMONIC_SMSW, ZYDIS_MNEMONIC_LAR, ZYDIS_MNEMONIC_LSL,
	ZYDIS_MNEMONIC_VERR, ZYDIS_MNEMONIC_VERW, ZYDIS_MNEMONIC_XBEGIN,
};

static void check_kind(const struct host *h)
{
	for (unsigned i = 0; i < sizeof forbidden / sizeof *forbidden; i++)
		if (h->i.mnemonic == forbidden[i])
			violation(h->at, "must not be emitted");
	if (h->i.attributes & ZYDIS_ATTRIB_HAS_LOCK)
		violation(h->at, "lock");
	if (h->i.meta.category == ZYDIS_CATEGORY_STRINGOP)
		violation(h->at, "a string instruction");
	for (unsigned k = 0; k < h->i.operand_count; k++)
		if (h->o[k].type == ZYDIS_OPERAND_TYPE_REGISTER &&
			ZydisRegisterGetClass(h->o[k].reg.value) == ZYDIS_REGCLASS_SEGMENT)
			violation(h->at, "a segment register");
}

/* A site of what may fault by itself is not come back to. */
static bool faults(const struct host *h)
{
	return h->i.meta.isa_ext != ZYDIS_ISA_EXT_BASE || h->i.mnemonic == ZYDIS_MNEMONIC_DIV ||
		h->i.mnemonic == ZYDIS_MNEMONIC_IDIV || h->i.mnemonic == ZYDIS_MNEMONIC_CMPXCHG16B ||
		h->i.mnemonic == ZYDIS_MNEMONIC_FXSAVE || h->i.mnemonic == ZYDIS_MNEMONIC_FXRSTOR;
}

/* Glue comes back here: with the bounce buffer in r11, or nothing. */
static void resume(struct state *s)
{
	s->r10.kind = R10_OTHER;
	s->passed.on = false;
	s->r11.kind = s->careful ? R11_BOUNCE : R11_OTHER;
	s->r11.size = s->bounce;
	s->r11.write = s->bounce_write;
	s->careful = false;
}

/* How many bytes the glue that is called just before `at` brings. */
static unsigned bounce_size(uint64_t at)
{
	unsigned size = 0;

	for (const struct site *s = subject.c->sites; s < subject.c->site_p; s++)
		if (s->host == (uint32_t)at && s->size != 0)
			size = s->size;
	return size;
}

static void check_jump(struct state *s, const struct host *h)
{
	const struct cpu *c = subject.c;
	uint64_t to;

	if (h->i.meta.category != ZYDIS_CATEGORY_COND_BR &&
		h->i.meta.category != ZYDIS_CATEGORY_UNCOND_BR)
		return;
	if (h->o[0].type == ZYDIS_OPERAND_TYPE_MEMORY)
		return; /* its operand has been looked at: the jump cache */
	if (h->o[0].type != ZYDIS_OPERAND_TYPE_IMMEDIATE)
		violation(h->at, "a jump through a register");
	to = h->at + h->i.length + (uint64_t)h->o[0].imm.value.s;
	if (to < (uint64_t)(uintptr_t)c->code || to >= (uint64_t)(uintptr_t)c->cold_end)
		violation(h->at, "a jump to %#lx", (long)to);
	if (h->i.mnemonic != ZYDIS_MNEMONIC_JMP)
		return;
	s->careful = (uint32_t)to == c->glue.careful_read || (uint32_t)to == c->glue.careful_write;
	s->bounce_write = (uint32_t)to == c->glue.careful_write;
	s->bounce = s->careful ? bounce_size(h->at + h->i.length) : 0;
	s->r10.kind = R10_OTHER;
	s->r11.kind = R11_OTHER;
}

void verify(uint64_t from, uint64_t to, bool cold)
{
	const struct site *site = subject.c->sites;
	struct host h = { .cold = cold };
	struct state s;

	state_init(&s);
	while (site < subject.c->site_p && site->host < (uint32_t)from)
		site++;
	for (uint64_t at = from; at < to; at += h.i.length) {
		if (!decode_host(&h, at))
			violation(at, "no instruction");
		counts.insns++;
		for (; site < subject.c->site_p && site->host <= (uint32_t)at; site++)
			if (site->host == (uint32_t)at && (s.careful || !faults(&h)))
				resume(&s);
		check_kind(&h);
		check_operands(&s, &h);
		transfer(&s, &h);
		check_jump(&s, &h);
	}
}
