/*
 * special.c - instructions that leave translated code and are executed in C.
 *
 * The unprivileged ones (pushf, popf, enter, xlat, string elements the fast
 * path would not do, ...) are completed here; the others are described in
 * cpu.x for the hypervisor.  One table row per mnemonic.
 */
#include <Zydis/Mnemonic.h>
#include <string.h>

#include "cpu/special.h"

static bool exit_priv(struct cpu *c, const struct insn *in, enum cpu_priv_op op)
{
	c->x.reason = CPU_EXIT_PRIV;
	c->x.len = in->len;
	c->x.priv = (struct cpu_priv){ .op = op, .size = in->width };
	return true;
}

bool special_exception(struct cpu *c, unsigned vector, bool has_error)
{
	c->x.reason = CPU_EXIT_EXCEPTION;
	c->x.vector = (uint8_t)vector;
	c->x.has_error = has_error;
	c->x.error = 0;
	return true;
}

bool special_fault(struct cpu *c, const struct mem_fault *f)
{
	set_fault(c, f);
	return true;
}

bool special_done(struct cpu *c, const struct insn *in)
{
	cpu_retire(c, in->len);
	return false;
}

uint64_t special_ea(const struct cpu *c, const struct insn *in)
{
	const struct insn_mem *m = &in->mem;
	uint64_t va = (uint64_t)m->disp;

	if (m->rip)
		va += c->s.rip + in->len;
	if (m->base != NO_REG)
		va += c->s.gpr[m->base];
	if (m->index != NO_REG)
		va += c->s.gpr[m->index] * m->scale;
	if (m->addr16)
		va = (uint16_t)va;
	else if (m->addr32 || !c->s.code64)
		va = (uint32_t)va;
	if (m->seg >= 0 || has_bases(c))
		va += c->s.seg_base[m->named];
	return c->s.code64 ? va : (uint32_t)va;
}

/* The faults that come before those of the pages.  -1: cpu.x is one. */
static int check_address(struct cpu *c, uint64_t va, unsigned n)
{
	c->access_va = va;
	if ((c->s.rflags & FLAG_AC) && mem_canonical(va) && (va & (ac_unit(n) - 1)) != 0) {
		special_exception(c, VEC_AC, true);
		return -1;
	}
	if (!mem_canonical(va) || !mem_canonical(va + n - 1)) {
		const struct mem_fault f = { .va = va, .noncanon = true };

		set_fault(c, &f);
		return -1;
	}
	return 0;
}

int special_reach(struct cpu *c, uint64_t va, unsigned n, enum mem_access access)
{
	struct mem_fault f = { .va = va, .noncanon = true };
	uint64_t last = va + n - 1;

	c->access_va = va;
	if (mem_canonical(va) && mem_canonical(last) &&
	    mmu_translate(c->mmu, (enum mem_mode)c->s.mode, va, access, &f) != MFN_NONE &&
	    (((va ^ last) & PAGE_MASK) == 0 || mmu_translate(c->mmu, (enum mem_mode)c->s.mode,
	    last & PAGE_MASK, access, &f) != MFN_NONE))
		return 0;
	special_fault(c, &f);
	return -1;
}

int special_load(struct cpu *c, uint64_t va, void *p, unsigned n)
{
	struct mem_fault f;

	if (check_address(c, va, n) != 0)
		return -1;
	debug_access(c, va, n, false);
	if (mmu_copy_in(c->mmu, (enum mem_mode)c->s.mode, p, va, n, &f) == 0)
		return 0;
	set_fault(c, &f);
	return -1;
}

int special_store(struct cpu *c, uint64_t va, const void *p, unsigned n)
{
	struct mem_fault f;

	if (check_address(c, va, n) != 0)
		return -1;
	debug_access(c, va, n, true);
	if (mmu_copy_out(c->mmu, (enum mem_mode)c->s.mode, va, p, n, &f) == 0)
		return 0;
	set_fault(c, &f);
	return -1;
}

uint64_t special_rsp(const struct cpu *c, int64_t by)
{
	uint64_t rsp = c->s.gpr[RSP] + (uint64_t)by;

	return c->s.code64 ? rsp : (uint32_t)rsp;
}

/* The ModRM operand, zero-extended from n bytes. */
int special_rm(struct cpu *c, const struct insn *in, unsigned n, uint64_t *v)
{
	*v = 0;
	if (in->has_mem)
		return special_load(c, special_ea(c, in), v, n);
	memcpy(v, &c->s.gpr[(in->modrm & 7) | (in->rex & 1) << 3], n);
	return 0;
}

/* ---- privileged: operands into cpu.x.priv ---- */

static int modrm_reg(const struct insn *in)
{
	return (in->modrm >> 3 & 7) | (in->rex & 4) << 1;
}

static int modrm_rm(const struct insn *in)
{
	return (in->modrm & 7) | (in->rex & 1) << 3;
}

static bool do_plain(struct cpu *c, const struct insn *in, int op)
{
	return exit_priv(c, in, (enum cpu_priv_op)op);
}

/* A selector in a register or memory operand. */
static bool do_selector(struct cpu *c, const struct insn *in, int op)
{
	uint64_t v;

	if (special_rm(c, in, 2, &v) != 0)
		return true;
	exit_priv(c, in, (enum cpu_priv_op)op);
	c->x.priv.sel = (uint16_t)v;
	c->x.priv.value = v;
	c->x.priv.reg = (uint8_t)modrm_reg(in);
	return true;
}

/* sgdt, sidt, sldt, str, smsw: where the result goes. */
static bool do_store_form(struct cpu *c, const struct insn *in, int op)
{
	exit_priv(c, in, (enum cpu_priv_op)op);
	c->x.priv.mem = in->has_mem;
	c->x.priv.reg = (uint8_t)modrm_rm(in);
	if (in->has_mem) {
		c->x.priv.ea = special_ea(c, in);
		c->x.priv.size = (uint8_t)in->mem.size;
	}
	return true;
}

static bool do_address(struct cpu *c, const struct insn *in, int op)
{
	exit_priv(c, in, (enum cpu_priv_op)op);
	c->x.priv.ea = in->has_mem ? special_ea(c, in) : 0;
	return true;
}

static bool do_port(struct cpu *c, const struct insn *in, int op)
{
	static const uint8_t sizes[] = { 1, 4 };
	unsigned size = sizes[in->opcode & 1];

	exit_priv(c, in, (enum cpu_priv_op)op);
	if (size == 4 && insn_opsize16(in))
		size = 2;
	c->x.priv.size = (uint8_t)size;
	c->x.priv.port = in->imm_len ? (uint8_t)in->imm : (uint16_t)c->s.gpr[RDX];
	c->x.priv.value = size == 1 ? (uint8_t)c->s.gpr[RAX] : size == 2
		? (uint16_t)c->s.gpr[RAX] : (uint32_t)c->s.gpr[RAX];
	return true;
}

static bool do_int(struct cpu *c, const struct insn *in, int vector)
{
	if (vector == VEC_OF && !(c->s.rflags & 0x800))
		return special_done(c, in);
	c->x.reason = CPU_EXIT_INT;
	c->x.len = in->len;
	c->x.vector = vector < 0 ? (uint8_t)in->imm : (uint8_t)vector;
	return true;
}

static bool do_sysenter(struct cpu *c, const struct insn *in, int unused)
{
	(void)unused;
	c->x.reason = CPU_EXIT_SYSENTER;
	c->x.len = in->len;
	return true;
}

/* ud2; in Xen's forced-emulation form a cpuid follows the letters "xen". */
static bool do_ud2(struct cpu *c, const struct insn *in, int unused)
{
	static const uint8_t fep[7] = { 0x0f, 0x0b, 'x', 'e', 'n', 0x0f, 0xa2 };
	uint8_t bytes[7];
	struct mem_fault f;

	(void)unused;
	if (mmu_copy_in(c->mmu, (enum mem_mode)c->s.mode, bytes, c->s.rip, 7, &f) == 0 &&
	    memcmp(bytes, fep, 7) == 0) {
		exit_priv(c, in, PRIV_CPUID);
		c->x.len = 7;
		return true;
	}
	return special_exception(c, VEC_UD, false);
}

static bool do_far_ret(struct cpu *c, const struct insn *in, int unused)
{
	(void)unused;
	exit_priv(c, in, PRIV_FAR_RET);
	c->x.priv.size = in->rex & 8 ? 8 : in->opsize ? 2 : 4;
	c->x.priv.value = in->imm_len ? (uint16_t)in->imm : 0;
	return true;
}

/* jmp and call to another code segment, through memory or by a constant. */
static bool do_far(struct cpu *c, const struct insn *in, int op)
{
	unsigned size = in->rex & 8 ? 8 : in->opsize ? 2 : 4;
	uint8_t ptr[10];

	if (in->has_mem) {
		if (special_load(c, special_ea(c, in), ptr, size + 2) != 0)
			return true;
	} else {
		memcpy(ptr, in->bytes + in->imm_off, size + 2);
	}
	exit_priv(c, in, (enum cpu_priv_op)op);
	c->x.priv.size = (uint8_t)size;
	memcpy(&c->x.priv.value, ptr, size);
	c->x.priv.sel = get16(ptr + size);
	return true;
}

static bool load_seg(struct cpu *c, const struct insn *in, unsigned seg, uint16_t sel)
{
	exit_priv(c, in, PRIV_LOAD_SEG);
	c->x.priv.index = (uint8_t)seg;
	c->x.priv.sel = sel;
	return true;
}

/* lds, les, lss, lfs, lgs */
static bool do_load_far(struct cpu *c, const struct insn *in, int seg)
{
	unsigned size = in->rex & 8 ? 8 : in->opsize ? 2 : 4;
	uint8_t ptr[10];

	if (!in->has_mem)
		return special_exception(c, VEC_UD, false);
	if (special_load(c, special_ea(c, in), ptr, size + 2) != 0)
		return true;
	load_seg(c, in, (unsigned)seg, get16(ptr + size));
	c->x.priv.size = (uint8_t)size;
	c->x.priv.reg = (uint8_t)modrm_reg(in);
	c->x.priv.after_reg = true;
	memcpy(&c->x.priv.after_value, ptr, size);
	if (size == 2)
		c->x.priv.after_value |= c->s.gpr[modrm_reg(in)] & ~(uint64_t)0xffff;
	return true;
}

/* ---- mov with segment, control and debug registers; push and pop of segments ---- */

static bool mov_from_seg(struct cpu *c, const struct insn *in)
{
	unsigned seg = in->modrm >> 3 & 7, n = 2;
	uint64_t v;

	if (seg >= SEG_COUNT)
		return special_exception(c, VEC_UD, false);
	v = c->s.seg[seg];
	if (in->has_mem) {
		if (special_store(c, special_ea(c, in), &v, 2) != 0)
			return true;
	} else {
		if (!insn_opsize16(in))
			n = 8;
		memcpy(&c->s.gpr[modrm_rm(in)], &v, n);
	}
	return special_done(c, in);
}

static bool mov_to_seg(struct cpu *c, const struct insn *in)
{
	unsigned seg = in->modrm >> 3 & 7;
	uint64_t v;

	if (seg >= SEG_COUNT || seg == SEG_CS)
		return special_exception(c, VEC_UD, false);
	if (special_rm(c, in, 2, &v) != 0)
		return true;
	return load_seg(c, in, seg, (uint16_t)v);
}

static bool mov_system(struct cpu *c, const struct insn *in)
{
	static const uint8_t ops[] = { PRIV_MOV_FROM_CR, PRIV_MOV_FROM_DR, PRIV_MOV_TO_CR,
		PRIV_MOV_TO_DR };

	exit_priv(c, in, (enum cpu_priv_op)ops[in->opcode & 3]);
	c->x.priv.index = (uint8_t)modrm_reg(in);
	c->x.priv.reg = (uint8_t)modrm_rm(in);
	c->x.priv.value = c->s.gpr[modrm_rm(in)];
	c->x.priv.size = 8;
	return true;
}

static bool do_mov(struct cpu *c, const struct insn *in, int unused)
{
	(void)unused;
	if (in->map == 0)
		return in->opcode == 0x8c ? mov_from_seg(c, in) : mov_to_seg(c, in);
	return mov_system(c, in);
}

/* Which segment a one- or two-byte push or pop names. */
static unsigned stack_seg(const struct insn *in)
{
	if (in->map == 1)
		return in->opcode >> 3 & 1 ? SEG_GS : SEG_FS;
	return in->opcode >> 3 & 3; /* es cs ss ds */
}

static bool is_stack_seg(const struct insn *in)
{
	return in->map == 1 || (in->opcode < 0x20 && (in->opcode & 6) == 6);
}

static unsigned stack_width(const struct cpu *c, const struct insn *in)
{
	return insn_opsize16(in) ? 2 : c->s.code64 ? 8 : 4;
}

static bool do_push(struct cpu *c, const struct insn *in, int unused)
{
	unsigned n = stack_width(c, in);
	uint64_t v;

	(void)unused;
	if (is_stack_seg(in)) {
		/* 32-bit code writes the selector only and leaves the slot's rest. */
		v = c->s.seg[stack_seg(in)];
		if (special_store(c, special_rsp(c, -(int)n), &v, n == 4 ? 2 : n) != 0)
			return true;
		c->s.gpr[RSP] = special_rsp(c, -(int)n);
		return special_done(c, in);
	}
	if (in->imm_len)
		v = (uint64_t)in->imm;
	else if (in->opreg != NO_REG)
		v = c->s.gpr[in->opreg];
	else if (special_rm(c, in, n, &v) != 0)
		return true;
	if (special_store(c, special_rsp(c, -(int)n), &v, n) != 0)
		return true;
	c->s.gpr[RSP] = special_rsp(c, -(int)n);
	return special_done(c, in);
}

static bool do_pop(struct cpu *c, const struct insn *in, int unused)
{
	unsigned n = stack_width(c, in);
	uint64_t v = 0, rsp = c->s.gpr[RSP];

	(void)unused;
	if (special_load(c, special_rsp(c, 0), &v, n) != 0)
		return true;
	if (is_stack_seg(in)) {
		load_seg(c, in, stack_seg(in), (uint16_t)v);
		c->x.priv.after_pop = (uint8_t)n;
		return true;
	}
	c->s.gpr[RSP] = special_rsp(c, (int)n);
	if (in->opreg != NO_REG) {
		memcpy(&c->s.gpr[in->opreg], &v, n);
	} else if (!in->has_mem) {
		memcpy(&c->s.gpr[modrm_rm(in)], &v, n);
	} else if (in->mem.cs ? special_exception(c, VEC_GP, true)
	    : special_store(c, special_ea(c, in), &v, n) != 0) {
		c->s.gpr[RSP] = rsp;
		return true;
	}
	return special_done(c, in);
}

/* ---- the table ---- */

struct row {
	special_fn *fn;
	int arg;
};

#define M(name) [ZYDIS_MNEMONIC_##name]

static const struct row rows[ZYDIS_MNEMONIC_MAX_VALUE + 1] = {
	M(CPUID) = { do_plain, PRIV_CPUID }, M(RDMSR) = { do_plain, PRIV_RDMSR },
	M(WRMSR) = { do_plain, PRIV_WRMSR }, M(RDPMC) = { do_plain, PRIV_RDPMC },
	M(CLTS) = { do_plain, PRIV_CLTS }, M(CLI) = { do_plain, PRIV_CLI },
	M(STI) = { do_plain, PRIV_STI }, M(HLT) = { do_plain, PRIV_HLT },
	M(INVD) = { do_plain, PRIV_INVD }, M(WBINVD) = { do_plain, PRIV_INVD },
	M(SWAPGS) = { do_plain, PRIV_SWAPGS }, M(SYSRET) = { do_plain, PRIV_SYSRET },
	M(SYSEXIT) = { do_plain, PRIV_SYSRET }, M(RSM) = { do_plain, PRIV_SYSRET },
	M(IRET) = { do_plain, PRIV_IRET }, M(IRETD) = { do_plain, PRIV_IRET },
	M(IRETQ) = { do_plain, PRIV_IRET },
	M(LMSW) = { do_selector, PRIV_LMSW }, M(LLDT) = { do_selector, PRIV_LDT_GDT },
	M(LTR) = { do_selector, PRIV_LDT_GDT }, M(LAR) = { do_selector, PRIV_LAR },
	M(LSL) = { do_selector, PRIV_LSL }, M(VERR) = { do_selector, PRIV_VERR },
	M(VERW) = { do_selector, PRIV_VERW },
	M(SGDT) = { do_store_form, PRIV_SGDT }, M(SIDT) = { do_store_form, PRIV_SIDT },
	M(SLDT) = { do_store_form, PRIV_SLDT }, M(STR) = { do_store_form, PRIV_STR },
	M(SMSW) = { do_store_form, PRIV_SMSW },
	M(MONITOR) = { do_plain, PRIV_MONITOR }, M(MWAIT) = { do_plain, PRIV_MONITOR },
	M(XGETBV) = { do_plain, PRIV_XGETBV }, M(XSETBV) = { do_plain, PRIV_XSETBV },
	M(INVLPG) = { do_address, PRIV_INVLPG }, M(LGDT) = { do_address, PRIV_LDT_GDT },
	M(LIDT) = { do_address, PRIV_LDT_GDT },
	M(IN) = { do_port, PRIV_IN }, M(OUT) = { do_port, PRIV_OUT },
	M(INSB) = { do_port, PRIV_INS }, M(INSW) = { do_port, PRIV_INS },
	M(INSD) = { do_port, PRIV_INS }, M(OUTSB) = { do_port, PRIV_OUTS },
	M(OUTSW) = { do_port, PRIV_OUTS }, M(OUTSD) = { do_port, PRIV_OUTS },
	M(INT) = { do_int, -1 }, M(INT1) = { do_int, VEC_DB }, M(INT3) = { do_int, VEC_BP },
	M(INTO) = { do_int, VEC_OF }, M(SYSENTER) = { do_sysenter, 0 }, M(UD2) = { do_ud2, 0 },
	M(RET) = { do_far_ret, 0 }, M(JMP) = { do_far, PRIV_FAR_JMP },
	M(CALL) = { do_far, PRIV_FAR_CALL },
	M(LDS) = { do_load_far, SEG_DS }, M(LES) = { do_load_far, SEG_ES },
	M(LFS) = { do_load_far, SEG_FS }, M(LGS) = { do_load_far, SEG_GS },
	M(LSS) = { do_load_far, SEG_SS },
	M(MOV) = { do_mov, 0 }, M(PUSH) = { do_push, 0 }, M(POP) = { do_pop, 0 },
	M(PUSHF) = { special_pushf, 0 }, M(PUSHFD) = { special_pushf, 0 },
	M(PUSHFQ) = { special_pushf, 0 }, M(POPF) = { special_popf, 0 },
	M(POPFD) = { special_popf, 0 }, M(POPFQ) = { special_popf, 0 },
	M(ENTER) = { special_enter, 0 }, M(LEAVE) = { special_leave16, 0 },
	M(XLAT) = { special_xlat, 0 },
	M(MASKMOVQ) = { special_maskmov, 8 }, M(MASKMOVDQU) = { special_maskmov, 16 },
	M(BOUND) = { special_bound, 0 }, M(ARPL) = { special_arpl, 0 },
	M(PUSHA) = { special_pusha, 0 }, M(PUSHAD) = { special_pusha, 0 },
	M(POPA) = { special_popa, 0 }, M(POPAD) = { special_popa, 0 },
	M(AAA) = { special_bcd, 0 }, M(AAS) = { special_bcd, 0 }, M(DAA) = { special_bcd, 0 },
	M(DAS) = { special_bcd, 0 }, M(AAM) = { special_bcd, 0 }, M(AAD) = { special_bcd, 0 },
	M(FXSAVE) = { special_fxsave32, 0 }, M(FXRSTOR) = { special_fxrstor32, 0 },
	M(SALC) = { special_salc, 0 },
	M(XSAVE) = { special_xsave, 0 }, M(XSAVE64) = { special_xsave, 0 },
	M(XSAVEOPT) = { special_xsave, 1 }, M(XSAVEOPT64) = { special_xsave, 1 },
	M(XRSTOR) = { special_xrstor, 0 }, M(XRSTOR64) = { special_xrstor, 0 },
	M(RDRAND) = { special_random, 0 }, M(RDSEED) = { special_random, 0 },
	M(RDFSBASE) = { special_rdbase, SEG_FS }, M(RDGSBASE) = { special_rdbase, SEG_GS },
	M(WRFSBASE) = { special_wrbase, SEG_FS }, M(WRGSBASE) = { special_wrbase, SEG_GS },
	M(VMASKMOVPS) = { special_vmaskmov, 4 }, M(VMASKMOVPD) = { special_vmaskmov, 8 },
	M(VPMASKMOVD) = { special_vmaskmov, 4 }, M(VPMASKMOVQ) = { special_vmaskmov, 8 },
	M(VMASKMOVDQU) = { special_maskmov, 16 },
	M(VZEROUPPER) = { special_vzero, 0 }, M(VZEROALL) = { special_vzero, 1 },
	M(VGATHERDPS) = { special_gather, 4 }, M(VGATHERDPD) = { special_gather, 4 },
	M(VGATHERQPS) = { special_gather, 8 }, M(VGATHERQPD) = { special_gather, 8 },
	M(VPGATHERDD) = { special_gather, 4 }, M(VPGATHERDQ) = { special_gather, 4 },
	M(VPGATHERQD) = { special_gather, 8 }, M(VPGATHERQQ) = { special_gather, 8 },
	M(JCXZ) = { special_loop16, 0 }, M(LOOP) = { special_loop16, 0 },
	M(LOOPE) = { special_loop16, 0 }, M(LOOPNE) = { special_loop16, 0 },
};

static bool do_string(struct cpu *c, const struct insn *in)
{
	struct mem_fault f;
	int r;

	c->flags = flags_pack(c->s.rflags);
	c->hostflags = c->s.rflags & FLAG_DF;
	r = string_slow(c, string_desc(in, c->s.code64), &f);

	if (r == STR_FAULT)
		return special_fault(c, &f);
	if (r == STR_MISALIGNED)
		return special_exception(c, VEC_AC, true);
	c->rep_cut = r == STR_MORE;
	if (r == STR_MORE)
		return false;
	c->s.rflags = flags_unpack(c->s.rflags, (uint16_t)c->flags);
	return special_done(c, in);
}

/* Is it one of those that special_execute() takes? */
bool special_knows(const struct insn *in)
{
	return in->kind == K_SPECIAL || in->kind == K_PUSHF || in->kind == K_IRET ||
		in->kind == K_STRING || in->kind == K_TO_SEG;
}

bool special_execute(struct cpu *c)
{
	struct insn in;

	memset(&c->x, 0, sizeof c->x);
	c->noncanon = false;
	c->points.insn_rip = c->s.rip;
	if (!insn_at(c, &in))
		return special_exception(c, VEC_UD, false);
	if (in.kind == K_STRING)
		return do_string(c, &in);
	if (in.near16)
		return special_near16(c, &in, in.near16);
	if (!special_knows(&in) || rows[in.mnemonic].fn == NULL)
		return special_exception(c, VEC_UD, false);
	if (!rows[in.mnemonic].fn(c, &in, rows[in.mnemonic].arg))
		return false;
	return refine_fault(c);
}
