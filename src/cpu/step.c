/*
 * step.c - one instruction by the careful path, and its stores afterwards.
 */
#include <Zydis/Mnemonic.h>

#include "cpu/special.h"

/* Decodes 15 bytes; what leaves translated code does so again and again. */
static bool decode_whole(struct cpu *c, const uint8_t *p, struct insn *in)
{
	uint8_t key[16] = { [15] = (uint8_t)(1 + c->s.code64) };
	struct decoded *d;
	uint64_t head;

	memcpy(key, p, 15);
	memcpy(&head, p, sizeof head);
	d = &c->decoded[head * UINT64_C(0x9e3779b97f4a7c15) >> (64 - DECODED_BITS)];
	if (memcmp(key, d->key, sizeof key) != 0) {
		if (insn_decode(&d->in, p, 15, c->s.code64, c->isa) != 0) {
			d->key[15] = 0;
			return false;
		}
		memcpy(d->key, key, sizeof key);
	}
	*in = d->in;
	return true;
}

/* The instruction at rip; false when it cannot be fetched. */
bool insn_at(struct cpu *c, struct insn *in)
{
	uint8_t bytes[INSN_MAX];
	unsigned n = PAGE_SIZE - (c->s.rip & (PAGE_SIZE - 1));
	enum mem_mode mode = (enum mem_mode)c->s.mode;
	mfn_t mfn = mmu_fetch(c->mmu, mode, c->s.rip, NULL);

	if (mfn == MFN_NONE)
		return false;
	if (n >= 15)
		return decode_whole(c, mem_frame(c->mem, mfn) + PAGE_SIZE - n, in);
	memcpy(bytes, mem_frame(c->mem, mfn) + PAGE_SIZE - n, n);
	if (insn_decode(in, bytes, n, c->s.code64, c->isa) == 0)
		return true;
	mfn = mmu_fetch(c->mmu, mode, c->s.rip + n, NULL);
	if (mfn == MFN_NONE)
		return false;
	memcpy(bytes + n, mem_frame(c->mem, mfn), 15 - n);
	return insn_decode(in, bytes, 15, c->s.code64, c->isa) == 0;
}

/*
 * SSE operands of 16 bytes and FXSAVE areas must be aligned, except for some; of AVX only
 * those of some.
 */
static bool needs_alignment(const struct insn *in)
{
	switch (in->mnemonic) {
	case ZYDIS_MNEMONIC_MOVUPS:
	case ZYDIS_MNEMONIC_MOVUPD:
	case ZYDIS_MNEMONIC_MOVDQU:
	case ZYDIS_MNEMONIC_LDDQU:
	case ZYDIS_MNEMONIC_PCMPESTRI:
	case ZYDIS_MNEMONIC_PCMPESTRM:
	case ZYDIS_MNEMONIC_PCMPISTRI:
	case ZYDIS_MNEMONIC_PCMPISTRM:
	case ZYDIS_MNEMONIC_SHA1MSG1: /* (AMD's; Intel's want it) */
	case ZYDIS_MNEMONIC_SHA1MSG2:
	case ZYDIS_MNEMONIC_SHA1NEXTE:
	case ZYDIS_MNEMONIC_SHA1RNDS4:
	case ZYDIS_MNEMONIC_SHA256MSG1:
	case ZYDIS_MNEMONIC_SHA256MSG2:
	case ZYDIS_MNEMONIC_SHA256RNDS2:
		return false;
	default:
		return !in->has_vex && (in->mem.size == 512 || in->mem.size == 16);
	case ZYDIS_MNEMONIC_VMOVAPS:
	case ZYDIS_MNEMONIC_VMOVAPD:
	case ZYDIS_MNEMONIC_VMOVDQA:
	case ZYDIS_MNEMONIC_VMOVNTPS:
	case ZYDIS_MNEMONIC_VMOVNTPD:
	case ZYDIS_MNEMONIC_VMOVNTDQ:
	case ZYDIS_MNEMONIC_VMOVNTDQA:
		return true;
	}
}

static void general_protection(struct cpu *c)
{
	c->x.reason = CPU_EXIT_EXCEPTION;
	c->x.vector = VEC_GP;
	c->x.has_error = true;
	c->x.error = 0;
}

static bool uses_stack(const struct insn *in)
{
	switch (in->mnemonic) {
	case ZYDIS_MNEMONIC_PUSH: case ZYDIS_MNEMONIC_POP: case ZYDIS_MNEMONIC_CALL:
	case ZYDIS_MNEMONIC_RET: case ZYDIS_MNEMONIC_LEAVE: case ZYDIS_MNEMONIC_ENTER:
	case ZYDIS_MNEMONIC_PUSHF: case ZYDIS_MNEMONIC_PUSHFQ:
	case ZYDIS_MNEMONIC_POPF: case ZYDIS_MNEMONIC_POPFQ:
		return true;
	default:
		return false;
	}
}

/* Was the access at access_va one through rsp or rbp?  Then #GP is #SS. */
static bool stack_reference(const struct cpu *c, const struct insn *in)
{
	/* pop reads the stack first, and may name it as its operand too */
	if (in->mnemonic == ZYDIS_MNEMONIC_POP && c->access_va == c->s.gpr[RSP])
		return true;
	if (in->has_mem && !(uses_stack(in) && c->access_va != special_ea(c, in)))
		return in->mem.seg < 0 && (in->mem.base == RSP || in->mem.base == RBP);
	return uses_stack(in);
}

/* Bits of its status and control words. */
enum {
	X87_EXCEPTIONS = 0x3f,
	X87_NO_RESULT = 0x19, /* invalid, overflow, underflow: nothing is stored */
};

/* Has the x87 unit an unmasked exception to report? */
bool fpu_pending(const struct cpu *c)
{
	return (get16(c->s.fx + FX_FSW) & ~get16(c->s.fx + FX_FCW) & X87_EXCEPTIONS) != 0;
}

/*
 * An x87 store that meets an unmasked exception stores nothing, so it cannot
 * fault: it ends with the exception pending.  Tries; true: so it was.
 */
static bool x87_stores_nothing(struct cpu *c, const struct insn *in)
{
	const struct cpu_state before = c->s;
	const struct cpu_exit x = c->x;
	struct block *b;

	if (!in->fp_waits || !in->mem.write || (in->opcode & 0xf8) != 0xd8 || in->map != 0 ||
	    (~get16(c->s.fx + FX_FCW) & X87_NO_RESULT) == 0)
		return false;
	c->s.rflags &= ~(uint64_t)FLAG_AC;
	c->store_nowhere = true;
	b = block_at(c, cpu_block_mode(c) | BM_PLAIN | BM_CAREFUL, NULL);
	if (b != NULL)
		cpu_enter(c, b, b->n);
	c->store_nowhere = false;
	c->s.rflags |= before.rflags & FLAG_AC;
	if (get16(c->s.fx + FX_FSW) & ~get16(c->s.fx + FX_FCW) & X87_NO_RESULT)
		return true;
	c->s = before;
	fx_written(c);
	c->x = x;
	return false;
}

/*
 * What the fast paths leave to be sorted out about a memory fault: a pending
 * x87 exception comes before it, so does #GP for a misaligned operand, and a
 * non-canonical stack reference is #SS.
 */
bool refine_fault(struct cpu *c)
{
	bool pending = fpu_pending(c), unmasked = (~get16(c->s.fx + FX_FCW) & X87_NO_RESULT) != 0;
	bool misaligned = ((c->access_va & 15) != 0 &&
		(c->site->size == 16 || c->site->size == FX_SIZE)) ||
		((c->access_va & 31) != 0 && c->site->size == 32);
	struct insn in;

	if (c->x.reason != CPU_EXIT_EXCEPTION || (c->x.vector != VEC_PF && c->x.vector != VEC_AC &&
	    !c->noncanon && !(c->x.vector == VEC_GP && pending)))
		return true;
	if ((!c->noncanon && !misaligned && !pending && !unmasked) || !insn_at(c, &in))
		return true;
	if (pending && in.fp_waits) {
		c->x.vector = VEC_MF;
		c->x.has_error = false;
		c->x.error = 0;
	} else if (x87_stores_nothing(c, &in)) {
		return false;
	} else if (misaligned && c->x.vector != VEC_AC && needs_alignment(&in)) {
		general_protection(c);
	} else if (c->noncanon && stack_reference(c, &in)) {
		c->x.vector = VEC_SS;
	}
	return true;
}

static void commit_bounce(struct cpu *c, const struct bounce *b)
{
	unsigned off = b->va & (PAGE_SIZE - 1);
	unsigned first = b->size <= PAGE_SIZE - off ? b->size : PAGE_SIZE - off;

	mem_guest_store(c->mem, b->mfn[0], off, b->host, first);
	if (first < b->size)
		mem_guest_store(c->mem, b->mfn[1], 0, b->host + first, b->size - first);
}

/* true: an exit; false: executed.  The stores are still in c->bounce[]. */
static bool execute(struct cpu *c)
{
	struct block *b = block_at(c, cpu_block_mode(c) | BM_PLAIN | BM_CAREFUL, NULL);

	c->nbounce = 0;
	c->points.insn_rip = c->s.rip;
	if (b == NULL)
		return true;
	c->stats.careful_steps++;
	cpu_enter(c, b, b->n);
	switch (c->leave) {
	case LEAVE_FAULT:
		if (c->site->size == SITE_CALL)
			return true; /* what a call to a bad address pushed stays */
		c->nbounce = 0;
		return refine_fault(c);
	case LEAVE_SPECIAL:
		c->nbounce = 0;
		return special_execute(c);
	default:
		return false;
	}
}

bool step_careful(struct cpu *c)
{
	bool leaves = execute(c);

	for (unsigned i = 0; i < c->nbounce; i++) {
		debug_access(c, c->bounce[i].va, c->bounce[i].size, c->bounce[i].write);
		if (c->bounce[i].write) {
			mmu_watch_access(c->mmu, (enum mem_mode)c->s.mode, c->bounce[i].va,
				c->bounce[i].size, true);
			commit_bounce(c, &c->bounce[i]);
		}
	}
	return leaves;
}

int cpu_step_store(struct cpu *c, struct cpu_store *w)
{
	const struct cpu_state before = c->s;
	const struct bounce *b = NULL;
	unsigned stores = 0;
	bool failed;

	fault_enter(c);
	cache_drain(c);
	c->store_through = true;
	failed = execute(c);
	c->store_through = false;
	for (unsigned i = 0; i < c->nbounce; i++) {
		if (c->bounce[i].write) {
			b = &c->bounce[i];
			stores++;
		}
	}
	if (failed || stores != 1 || b->size > sizeof w->bytes || (b->size & (b->size - 1)) != 0 ||
	    (b->va & (b->size - 1u)) != 0) {
		c->s = before;
		fx_written(c);
		return -1;
	}
	w->mfn = b->mfn[0];
	w->off = (uint16_t)(b->va & (PAGE_SIZE - 1));
	w->size = (uint8_t)b->size;
	memcpy(w->bytes, b->host, b->size);
	return 0;
}
