/*
 * glue.c - the code between C and translated code, generated once per CPU.
 *
 * Into translated code: C saves its registers and stack pointer, restores the
 * guest's FP state and "goes on": loads the guest's registers and jumps to
 * cpu.resume.  Out of it, to a C function f(cpu, r10, r11): registers go to
 * cpu.s.gpr, the stack becomes C's again, f is called; when it returns nonzero
 * execution goes on, else FP state is saved and the C caller gets control back.
 * f runs with the guest's FP state live, so it must not touch it (*_hot.c).
 *
 * fxsave and fxrstor take a hundred cycles each, most of it for x87 registers that
 * hardly any code uses.  So these stay in the CPU, and only xmm0..15 and MXCSR are
 * stored and loaded, as long as cpu.whole_fx is 0.  That means: the x87 state, both
 * in cpu.s.fx and in this thread's CPU, is plain: as after reset.  (C does not use
 * x87 registers, but is not to find them full or its exceptions unmasked.)
 * It is set by translated code that is about to use x87 or MMX registers, by C
 * that has written to cpu.s.fx, and where the thread is another.  The next time
 * out saves all and looks whether it is plain again: enter_at() in run.c.
 */
#include "cpu/emit.h"
#include "cpu/internal.h"

static const int pushed[] = { RBX, RBP, R12, R13, R14, R15 };
enum { NPUSHED = sizeof pushed / sizeof *pushed };

static bool in_home(int reg) { return reg == R10 || reg == R11 || reg == R15; }

/* Loads or stores what of cpu.s.fx whole_fx asks for. */
static void move_fx(struct cpu *c, struct out *o, bool load)
{
	uint8_t *to_part, *to_end;

	e_rm(o, 0, X_ARITH8, EXT_CMP, EA_ABS(&c->whole_fx));
	e8(o, 0);
	to_part = e_jcc(o, CC_E);
	e_rm(o, 1, X_FPSTATE, load ? EXT_FXRSTOR : EXT_FXSAVE, EA_ABS(c->s.fx));
	if (!load) {
		e8(o, 0xdb); e8(o, 0xe3);          /* fninit */
	}
	e8(o, B_JMP);
	to_end = o->p;
	e32(o, 0);
	e_patch(to_part, o->p);
	for (int i = 0; i < 16; i++)
		e_rm(o, 0, load ? X_MOVAPS_R : X_MOVAPS, i,
			EA_ABS(c->s.fx + FX_XMM + FX_STEP * i));
	e_rm(o, 0, X_FPSTATE, load ? EXT_LDMXCSR : EXT_STMXCSR, EA_ABS(c->s.fx + FX_MXCSR));
	e_patch(to_end, o->p);
}

/* vinsertf128 $1, [h], ymm, ymm; vextractf128 $1, ymm, [h] */
static void move_upper(struct cpu *c, struct out *o, int r, bool load)
{
	e8(o, B_GS);
	e8(o, B_VEX);
	e8(o, (r < 8 ? 0x80u : 0) | 0x63);
	e8(o, (load ? (~(unsigned)r & 15) << 3 : 0x78) | 5);
	e8(o, load ? 0x18 : 0x19);
	e_modrm_ea(o, r, EA_ABS(c->s.ymmh[r]));
	e8(o, 1);
}

static void vzeroupper(struct out *o)
{
	e8(o, B_VEX2);
	e8(o, 0xf8);
	e8(o, B_VZERO);
}

/*
 * The upper halves of ymm registers are moved as long as cpu.high is not 0.  While it is,
 * they are zeros: translated code sets it before what may change that (trans.c).
 */
static void move_high(struct cpu *c, struct out *o, bool load)
{
	uint8_t *to_end;

	if (!c->avx)
		return;
	if (load)
		vzeroupper(o); /* what C has left there */
	e_rm(o, 0, X_ARITH8, EXT_CMP, EA_ABS(&c->high));
	e8(o, 0);
	to_end = e_jcc(o, CC_E);
	for (int r = 0; r < 16; r++)
		move_upper(c, o, r, load);
	if (!load)
		vzeroupper(o);
	e_patch(to_end, o->p);
}

/* Guest state into the host's registers, then to cpu.resume. */
static uint32_t build_go_on(struct cpu *c, struct out *o)
{
	uint32_t at = lo(o->p);

	e_rm(o, 0, X_UNARY, EXT_TEST, EA_ABS(&c->hostflags));
	e32(o, FLAG_DF);
	e8(o, B_JE8); e8(o, 1);
	e8(o, B_STD);
	for (int r = RAX; r <= R15; r++)
		if (!in_home(r))
			e_load(o, r, EA_ABS(&c->s.gpr[r]));
	e_load(o, R15, EA_ABS(&c->count));
	e_load(o, R11, EA_ABS(&c->ret));
	e_jmp_mem(o, EA_ABS(&c->resume));
	return at;
}

static uint32_t build_enter(struct cpu *c, struct out *o, uint32_t go_on)
{
	uint32_t at = lo(o->p);

	for (int i = 0; i < NPUSHED; i++)
		e_push(o, pushed[i]);
	e_lea(o, RSP, EA_BASE(RSP, -8)); /* 16-byte alignment for the calls */
	e_store(o, EA_ABS(&c->host_rsp), RSP);
	move_fx(c, o, true);
	move_high(c, o, true);
	e_jmp(o, go_on);
	return at;
}

/* rax = function to call; guest rax is already in its place. */
static uint32_t build_call(struct cpu *c, struct out *o, uint32_t go_on)
{
	uint32_t at = lo(o->p);

	for (int r = RCX; r <= R15; r++)
		if (!in_home(r))
			e_store(o, EA_ABS(&c->s.gpr[r]), r);
	e_store(o, EA_ABS(&c->count), R15);
	e_load(o, RSP, EA_ABS(&c->host_rsp));
	e8(o, B_PUSHF);
	e_pop(o, RCX);
	e_store(o, EA_ABS(&c->hostflags), RCX);
	e8(o, B_CLD);
	e_imm(o, RDI, (uint64_t)(uintptr_t)c);
	e_mov(o, RSI, R10);
	e_mov(o, RDX, R11);
	e_rr(o, 0, X_BRANCH, EXT_CALL, RAX);
	e_rr(o, 1, X_TEST, RAX, RAX);
	e8(o, B_TWO); e8(o, B_JCC | CC_NE);
	e32(o, go_on - (lo(o->p) + 4));
	move_fx(c, o, false);
	move_high(c, o, false);
	e_rm(o, 0, X_FPSTATE, EXT_LDMXCSR, EA_ABS(&c->host_mxcsr));
	e_lea(o, RSP, EA_BASE(RSP, 8));
	for (int i = NPUSHED - 1; i >= 0; i--)
		e_pop(o, pushed[i]);
	e8(o, B_RET);
	return at;
}

/* outside(f, x): calls f(x) from a hot function, FP state being C's meanwhile. */
static uint32_t build_outside(struct cpu *c, struct out *o)
{
	uint32_t at = lo(o->p);

	e_lea(o, RSP, EA_BASE(RSP, -8));
	move_fx(c, o, false);
	move_high(c, o, false);
	e_rm(o, 0, X_FPSTATE, EXT_LDMXCSR, EA_ABS(&c->host_mxcsr));
	e_mov(o, RAX, RDI);
	e_mov(o, RDI, RSI);
	e_rr(o, 0, X_BRANCH, EXT_CALL, RAX);
	move_fx(c, o, true);
	move_high(c, o, true);
	e_lea(o, RSP, EA_BASE(RSP, 8));
	e8(o, B_RET);
	return at;
}

/* Where a handler returns to when rsp is no canonical address: fault.c. */
static uint32_t build_wild(struct cpu *c, struct out *o)
{
	uint32_t at = lo(o->p);

	e_load(o, RSP, EA_ABS(&c->wild.rsp));
	e_jmp_mem(o, EA_ABS(&c->wild.rip));
	return at;
}

typedef uint64_t hot_fn(struct cpu *c, uint64_t a, uint64_t b);

static uint32_t build_stub(struct cpu *c, struct out *o, hot_fn *fn, uint32_t call)
{
	uint32_t at = lo(o->p);

	e_store(o, EA_ABS(&c->s.gpr[RAX]), RAX);
	e_imm(o, RAX, (uint64_t)(uintptr_t)fn);
	e_jmp(o, call);
	return at;
}

static uint64_t link_host(struct cpu *c, uint64_t l, uint64_t unused)
{
	(void)unused;
	return hot_link(c, l, FL_HOST);
}

static uint64_t link_saved(struct cpu *c, uint64_t l, uint64_t unused)
{
	(void)unused;
	return hot_link(c, l, FL_SAVED);
}

/*
 * r10 = site, r11 = address: makes its page the stack's, if that is in the table and
 * writable, and goes on at the next site.
 */
static uint32_t build_stack(struct cpu *c, struct out *o, enum mem_mode mode)
{
	struct tlb *t = mmu_tlb(c->mmu, mode);
	uint32_t at = lo(o->p);
	uint8_t *miss;

	e_store(o, EA_ABS(&c->tmp[3]), RAX);
	e_mov(o, RAX, R11);
	e_rr(o, 0, X_SHIFT, EXT_SHR, RAX);
	e8(o, PAGE_SHIFT - 2);
	e8(o, B_AND_EAX);                          /* TLB_INDEX() * 4 */
	e32(o, (TLB_SIZE - 1) << 2);
	e_and_imm(o, 1, R11, (uint32_t)PAGE_MASK);
	e_rm(o, 1, X_CMP_R, R11, EA_TABLE(RAX, &t->e[0].wtag));
	miss = e_jcc(o, CC_NE);
	e_load(o, RAX, EA_TABLE(RAX, &t->e[0].delta));
	e_store(o, EA_ABS(&t->stack.tag), R11);
	e_store(o, EA_ABS(&t->stack.delta), RAX);
	for (unsigned k = 0; k < STACK_LIMITS; k++) {
		e_rm(o, 1, X_MOV_IMM, 0, EA_ABS(&t->stack.limit[k]));
		e32(o, tlb_stack_limit(k));
	}
	e_rm(o, 0, X_MOV_R, R10, EA_REGION(R10, sizeof(struct site) + offsetof(struct site, host)));
	e_imm(o, RAX, REGION_BASE);
	e_rr(o, 1, X_ADD, RAX, R10);
	e_load(o, RAX, EA_ABS(&c->tmp[3]));
	e_rr(o, 0, X_BRANCH, EXT_JMP, R10);
	e_patch(miss, o->p);
	e_load(o, RAX, EA_ABS(&c->tmp[3]));
	e_jmp(o, c->glue.stack_miss);
	return at;
}

void glue_build(struct cpu *c)
{
	struct out o = { c->code + c->code_write };
	uint32_t go_on = build_go_on(c, &o), call = build_call(c, &o, go_on);
	const struct {
		uint32_t *at;
		hot_fn *fn;
	} stubs[] = {
		{ &c->glue.slow_read, hot_slow_read }, { &c->glue.slow_write, hot_slow_write },
		{ &c->glue.slow_group, hot_slow_group }, { &c->glue.stack_miss, hot_stack },
		{ &c->glue.careful_read, hot_careful_read },
		{ &c->glue.careful_write, hot_careful_write },
		{ &c->glue.link_host, link_host }, { &c->glue.link_saved, link_saved },
		{ &c->glue.indirect, hot_indirect }, { &c->glue.stop, hot_stop },
		{ &c->glue.special, hot_special }, { &c->glue.syscall, hot_syscall },
		{ &c->glue.fault, hot_fault }, { &c->glue.misaligned, hot_misaligned }, { &c->glue.end, hot_end },
		{ &c->glue.string, hot_string }, { &c->glue.rdtsc, hot_rdtsc },
		{ &c->glue.space, hot_space }, { &c->glue.space_careful, hot_space_careful },
		{ &c->glue.pushf, hot_pushf }, { &c->glue.iret, hot_iret },
		{ &c->glue.to_seg, hot_to_seg },
	};

	c->glue.enter = build_enter(c, &o, go_on);
	c->glue.outside = build_outside(c, &o);
	for (unsigned i = 0; i < sizeof stubs / sizeof *stubs; i++)
		*stubs[i].at = build_stub(c, &o, stubs[i].fn, call);
	for (int mode = 0; mode < 2; mode++)
		c->glue.stack[mode] = build_stack(c, &o, (enum mem_mode)mode);
	c->glue.wild = build_wild(c, &o); /* the last: up to glue_end */
	c->glue_end = o.p - c->code_write;
}
