/*
 * insn.c - decoding by Zydis, and the table that sorts mnemonics into kinds.
 */
#include <string.h>
#include <Zydis/Zydis.h>

#include "cpu/cpu.h"
#include "cpu/insn.h"
#include "cpu/isa.h"

#define M(name) [ZYDIS_MNEMONIC_##name]

/* What is not K_GENERIC. */
static const uint8_t kinds[ZYDIS_MNEMONIC_MAX_VALUE + 1] = {
	M(LEA) = K_LEA, M(CALL) = K_CALL, M(JMP) = K_JMP, M(RET) = K_RET,
	M(JB) = K_JCC, M(JBE) = K_JCC, M(JL) = K_JCC, M(JLE) = K_JCC, M(JNB) = K_JCC,
	M(JNBE) = K_JCC, M(JNL) = K_JCC, M(JNLE) = K_JCC, M(JNO) = K_JCC, M(JNP) = K_JCC,
	M(JNS) = K_JCC, M(JNZ) = K_JCC, M(JO) = K_JCC, M(JP) = K_JCC, M(JS) = K_JCC,
	M(JZ) = K_JCC,
	M(LOOP) = K_LOOP, M(LOOPE) = K_LOOP, M(LOOPNE) = K_LOOP, M(JRCXZ) = K_LOOP,
	M(JECXZ) = K_LOOP, M(JCXZ) = K_SPECIAL,
	M(PUSH) = K_PUSH, M(POP) = K_POP, M(LEAVE) = K_LEAVE,
	M(MOVSB) = K_STRING, M(MOVSW) = K_STRING, M(MOVSD) = K_STRING, M(MOVSQ) = K_STRING,
	M(STOSB) = K_STRING, M(STOSW) = K_STRING, M(STOSD) = K_STRING, M(STOSQ) = K_STRING,
	M(LODSB) = K_STRING, M(LODSW) = K_STRING, M(LODSD) = K_STRING, M(LODSQ) = K_STRING,
	M(SCASB) = K_STRING, M(SCASW) = K_STRING, M(SCASD) = K_STRING, M(SCASQ) = K_STRING,
	M(CMPSB) = K_STRING, M(CMPSW) = K_STRING, M(CMPSD) = K_STRING, M(CMPSQ) = K_STRING,
	M(RDTSC) = K_RDTSC, M(RDTSCP) = K_RDTSC,
	M(FXSAVE) = K_FXSAVE, M(FXSAVE64) = K_FXSAVE, M(FNSAVE) = K_FXSAVE, M(FNSTENV) = K_FXSAVE,
	M(SYSCALL) = K_SYSCALL, M(SYSENTER) = K_SPECIAL,
	M(NOP) = K_NOP, M(PAUSE) = K_NOP, M(ENDBR64) = K_NOP, M(ENDBR32) = K_NOP,
	M(PREFETCH) = K_NOP, M(PREFETCHNTA) = K_NOP, M(PREFETCHT0) = K_NOP,
	M(PREFETCHT1) = K_NOP, M(PREFETCHT2) = K_NOP, M(PREFETCHW) = K_NOP,
	M(LFENCE) = K_NOP, M(MFENCE) = K_NOP, M(SFENCE) = K_NOP,
	M(UD0) = K_UD, M(UD1) = K_UD, M(UD2) = K_SPECIAL,
	/* By hand in special.c: flags, stack frames, implicit operands. */
	M(PUSHF) = K_SPECIAL, M(PUSHFD) = K_SPECIAL, M(PUSHFQ) = K_PUSHF,
	M(POPF) = K_SPECIAL, M(POPFD) = K_SPECIAL, M(POPFQ) = K_SPECIAL,
	M(ENTER) = K_SPECIAL, M(XLAT) = K_SPECIAL, M(MASKMOVQ) = K_SPECIAL,
	M(MASKMOVDQU) = K_SPECIAL, M(BOUND) = K_SPECIAL, M(ARPL) = K_SPECIAL,
	M(PUSHA) = K_SPECIAL, M(PUSHAD) = K_SPECIAL, M(POPA) = K_SPECIAL, M(POPAD) = K_SPECIAL,
	M(AAA) = K_SPECIAL, M(AAS) = K_SPECIAL, M(DAA) = K_SPECIAL, M(DAS) = K_SPECIAL,
	M(AAM) = K_SPECIAL, M(AAD) = K_SPECIAL, M(SALC) = K_SPECIAL, M(INTO) = K_SPECIAL,
	/* For the hypervisor. */
	M(CPUID) = K_SPECIAL, M(RDMSR) = K_SPECIAL, M(WRMSR) = K_SPECIAL, M(RDPMC) = K_SPECIAL,
	M(CLTS) = K_SPECIAL, M(LMSW) = K_SPECIAL, M(SMSW) = K_SPECIAL, M(CLI) = K_SPECIAL,
	M(STI) = K_SPECIAL, M(HLT) = K_SPECIAL, M(INVLPG) = K_SPECIAL, M(INVD) = K_SPECIAL,
	M(WBINVD) = K_SPECIAL, M(IN) = K_SPECIAL, M(OUT) = K_SPECIAL, M(INSB) = K_SPECIAL,
	M(INSW) = K_SPECIAL, M(INSD) = K_SPECIAL, M(OUTSB) = K_SPECIAL, M(OUTSW) = K_SPECIAL,
	M(OUTSD) = K_SPECIAL, M(LGDT) = K_SPECIAL, M(LIDT) = K_SPECIAL, M(LLDT) = K_SPECIAL,
	M(LTR) = K_SPECIAL, M(SGDT) = K_SPECIAL, M(SIDT) = K_SPECIAL, M(SLDT) = K_SPECIAL,
	M(STR) = K_SPECIAL, M(SWAPGS) = K_SPECIAL, M(SYSRET) = K_SPECIAL, M(SYSEXIT) = K_SPECIAL,
	M(RSM) = K_SPECIAL, M(IRET) = K_SPECIAL, M(IRETD) = K_SPECIAL, M(IRETQ) = K_IRET,
	M(LAR) = K_SPECIAL, M(LSL) = K_SPECIAL, M(VERR) = K_SPECIAL, M(VERW) = K_SPECIAL,
	M(LDS) = K_SPECIAL, M(LES) = K_SPECIAL, M(LFS) = K_SPECIAL, M(LGS) = K_SPECIAL,
	M(LSS) = K_SPECIAL, M(INT) = K_SPECIAL, M(INT1) = K_SPECIAL, M(INT3) = K_SPECIAL,
	M(MONITOR) = K_SPECIAL, M(MWAIT) = K_SPECIAL,
	M(XGETBV) = K_SPECIAL, M(XSETBV) = K_SPECIAL,
	/* State, and what is not the host's: special_state.c. */
	M(XSAVE) = K_SPECIAL, M(XSAVE64) = K_SPECIAL, M(XSAVEOPT) = K_SPECIAL,
	M(XSAVEOPT64) = K_SPECIAL, M(XRSTOR) = K_SPECIAL, M(XRSTOR64) = K_SPECIAL,
	M(RDRAND) = K_SPECIAL, M(RDSEED) = K_SPECIAL, M(RDFSBASE) = K_SPECIAL,
	M(RDGSBASE) = K_SPECIAL, M(WRFSBASE) = K_SPECIAL, M(WRGSBASE) = K_SPECIAL,
	/* Of whose operand only some is touched: special_vector.c. */
	M(VMASKMOVPS) = K_SPECIAL, M(VMASKMOVPD) = K_SPECIAL, M(VPMASKMOVD) = K_SPECIAL,
	M(VPMASKMOVQ) = K_SPECIAL, M(VMASKMOVDQU) = K_SPECIAL,
	M(VGATHERDPS) = K_SPECIAL, M(VGATHERDPD) = K_SPECIAL, M(VGATHERQPS) = K_SPECIAL,
	M(VGATHERQPD) = K_SPECIAL, M(VPGATHERDD) = K_SPECIAL, M(VPGATHERDQ) = K_SPECIAL,
	M(VPGATHERQD) = K_SPECIAL, M(VPGATHERQQ) = K_SPECIAL,
};

/* BMI's are the only ones with VEX that do not touch vector registers. */
static bool is_bmi(const ZydisDecodedInstruction *d)
{
	return d->meta.isa_ext == ZYDIS_ISA_EXT_BMI1 || d->meta.isa_ext == ZYDIS_ISA_EXT_BMI2;
}

static bool is_fp(const ZydisDecodedInstruction *d)
{
	if (d->encoding == ZYDIS_INSTRUCTION_ENCODING_VEX)
		return !is_bmi(d);
	switch (d->meta.isa_ext) {
	case ZYDIS_ISA_EXT_AES:
	case ZYDIS_ISA_EXT_PCLMULQDQ:
	case ZYDIS_ISA_EXT_SHA:
	case ZYDIS_ISA_EXT_GFNI:
	case ZYDIS_ISA_EXT_XSAVE:
	case ZYDIS_ISA_EXT_XSAVEOPT:
		return d->mnemonic != ZYDIS_MNEMONIC_XGETBV && d->mnemonic != ZYDIS_MNEMONIC_XSETBV;
	case ZYDIS_ISA_EXT_X87:
	case ZYDIS_ISA_EXT_MMX:
	case ZYDIS_ISA_EXT_SSE:
	case ZYDIS_ISA_EXT_SSE2:
	case ZYDIS_ISA_EXT_SSE3:
	case ZYDIS_ISA_EXT_SSSE3:
		break;
	case ZYDIS_ISA_EXT_SSE4:
		return d->mnemonic != ZYDIS_MNEMONIC_POPCNT && d->mnemonic != ZYDIS_MNEMONIC_CRC32;
	default:
		return d->meta.isa_set == ZYDIS_ISA_SET_FXSAVE ||
			d->meta.isa_set == ZYDIS_ISA_SET_FXSAVE64;
	}
	switch (d->mnemonic) {
	case ZYDIS_MNEMONIC_MOVNTI:
	case ZYDIS_MNEMONIC_LFENCE:
	case ZYDIS_MNEMONIC_MFENCE:
	case ZYDIS_MNEMONIC_SFENCE:
		return false;
	default:
		return kinds[d->mnemonic] != K_NOP;
	}
}

static bool names_mmx(const ZydisDecodedInstruction *d, const ZydisDecodedOperand *ops)
{
	for (unsigned i = 0; i < d->operand_count; i++)
		if (ops[i].type == ZYDIS_OPERAND_TYPE_REGISTER &&
		    ZydisRegisterGetClass(ops[i].reg.value) == ZYDIS_REGCLASS_MMX)
			return true;
	return false;
}

static bool is_x87(const ZydisDecodedInstruction *d, const ZydisDecodedOperand *ops)
{
	return d->meta.isa_ext == ZYDIS_ISA_EXT_X87 || d->meta.isa_ext == ZYDIS_ISA_EXT_MMX ||
		d->mnemonic == ZYDIS_MNEMONIC_FXRSTOR || d->mnemonic == ZYDIS_MNEMONIC_FXRSTOR64 ||
		d->mnemonic == ZYDIS_MNEMONIC_FISTTP || /* SSE3's */
		names_mmx(d, ops);
}

/* Does it raise a pending unmasked x87 exception before anything else? */
static bool waits(const ZydisDecodedInstruction *d, const ZydisDecodedOperand *ops)
{
	switch (d->mnemonic) {
	case ZYDIS_MNEMONIC_FNCLEX:
	case ZYDIS_MNEMONIC_FNINIT:
	case ZYDIS_MNEMONIC_FNSAVE:
	case ZYDIS_MNEMONIC_FNSTCW:
	case ZYDIS_MNEMONIC_FNSTENV:
	case ZYDIS_MNEMONIC_FNSTSW:
		return false;
	default:
		break;
	}
	return names_mmx(d, ops) ||
		(d->opcode_map == ZYDIS_OPCODE_MAP_DEFAULT && (d->opcode & 0xf8) == 0xd8);
}

/* General register number, or NO_REG for anything else. */
static int gpr(ZydisRegister r, bool *high8)
{
	switch (ZydisRegisterGetClass(r)) {
	case ZYDIS_REGCLASS_GPR8:
		if (r >= ZYDIS_REGISTER_AH && r <= ZYDIS_REGISTER_BH) {
			*high8 = true;
			return r - ZYDIS_REGISTER_AH;
		}
		return ZydisRegisterGetId(r) < 4 ? ZydisRegisterGetId(r)
			: ZydisRegisterGetId(r) - 4;
	case ZYDIS_REGCLASS_GPR16:
	case ZYDIS_REGCLASS_GPR32:
	case ZYDIS_REGCLASS_GPR64:
		return ZydisRegisterGetId(r);
	default:
		return NO_REG;
	}
}

static void take_reg(struct insn *in, const ZydisDecodedOperand *o)
{
	uint8_t use = (uint8_t)(((o->actions & ZYDIS_OPERAND_ACTION_MASK_READ) ? USE_R : 0) |
		((o->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) ? USE_W : 0));
	bool high8 = false;
	int r = gpr(o->reg.value, &high8);

	if (r == NO_REG)
		return;
	/* A narrow or conditional write keeps the rest of the register. */
	if ((use & USE_W) && (o->size < 32 || (o->actions & ZYDIS_OPERAND_ACTION_CONDWRITE) ||
	    in->mnemonic == ZYDIS_MNEMONIC_BSF || in->mnemonic == ZYDIS_MNEMONIC_BSR))
		use |= USE_R;
	if (use & USE_W)
		in->writes |= (uint16_t)(1u << r);
	if (r == RSP && !high8 && (use & USE_W))
		in->writes_rsp = true;
	if (o->visibility == ZYDIS_OPERAND_VISIBILITY_HIDDEN)
		return;
	in->high8 |= high8;
	switch (o->encoding) {
	case ZYDIS_OPERAND_ENCODING_MODRM_REG:
		in->reg = (int8_t)r;
		in->reg_use |= use;
		break;
	case ZYDIS_OPERAND_ENCODING_MODRM_RM:
		in->rm = (int8_t)r;
		in->rm_use |= use;
		break;
	case ZYDIS_OPERAND_ENCODING_OPCODE:
		in->opreg = (int8_t)r;
		in->opreg_use |= use;
		break;
	case ZYDIS_OPERAND_ENCODING_NDSNDD:
		in->vreg = (int8_t)r;
		in->vreg_use |= use;
		break;
	default:
		break;
	}
}

static void take_address16(struct insn *in, const ZydisDecodedInstruction *d)
{
	static const int8_t base[] = { RBX, RBX, RBP, RBP, RSI, RDI, RBP, RBX };
	static const int8_t index[] = { RSI, RDI, RSI, RDI, NO_REG, NO_REG, NO_REG, NO_REG };
	struct insn_mem *m = &in->mem;
	unsigned rm = d->raw.modrm.rm;

	m->scale = 1;
	m->disp = d->raw.disp.size ? d->raw.disp.value : 0;
	if (d->raw.modrm.mod == 0 && rm == 6)
		return;
	m->base = base[rm];
	m->index = index[rm];
}

/* ModRM and SIB by hand: Zydis 4.0 takes [disp32] with REX.B for [r13]. */
static void take_address(struct insn *in, const ZydisDecodedInstruction *d)
{
	struct insn_mem *m = &in->mem;
	unsigned mod = d->raw.modrm.mod, rm = d->raw.modrm.rm, b = (in->rex & 1u) << 3;

	m->base = m->index = NO_REG;
	m->scale = 1;
	m->disp = d->raw.disp.size ? d->raw.disp.value : 0;
	if (rm == 4) {
		unsigned index = d->raw.sib.index | (in->rex & 2u) << 2;

		m->index = index == 4 ? NO_REG : (int8_t)index;
		m->scale = (uint8_t)(1u << d->raw.sib.scale);
		rm = d->raw.sib.base;
		if (mod == 0 && rm == 5)
			return;
	} else if (mod == 0 && rm == 5) {
		m->rip = d->machine_mode == ZYDIS_MACHINE_MODE_LONG_64;
		return;
	}
	m->base = (int8_t)(rm | b);
}

static int8_t segment_of(ZydisRegister r)
{
	switch (r) {
	case ZYDIS_REGISTER_ES: return SEG_ES;
	case ZYDIS_REGISTER_CS: return SEG_CS;
	case ZYDIS_REGISTER_SS: return SEG_SS;
	case ZYDIS_REGISTER_FS: return SEG_FS;
	case ZYDIS_REGISTER_GS: return SEG_GS;
	default: return SEG_DS;
	}
}

static void take_mem(struct insn *in, const ZydisDecodedInstruction *d,
	const ZydisDecodedOperand *o)
{
	struct insn_mem *m = &in->mem;

	in->has_mem = true;
	if (in->has_modrm && d->address_width == 16)
		take_address16(in, d);
	else if (in->has_modrm)
		take_address(in, d);
	else
		m->disp = o->mem.disp.value; /* moffs */
	m->seg = o->mem.segment == ZYDIS_REGISTER_FS ? SEG_FS
		: o->mem.segment == ZYDIS_REGISTER_GS ? SEG_GS : -1;
	m->cs = o->mem.segment == ZYDIS_REGISTER_CS && d->machine_mode != ZYDIS_MACHINE_MODE_LONG_64;
	m->named = segment_of(o->mem.segment);
	if (o->mem.type == ZYDIS_MEMOP_TYPE_AGEN)
		m->seg = -1;
	m->size = o->size / 8;
	m->read |= (o->actions & ZYDIS_OPERAND_ACTION_MASK_READ) != 0;
	m->write |= (o->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0;
}

static void take_operands(struct insn *in, const ZydisDecodedInstruction *d,
	const ZydisDecodedOperand *ops)
{
	for (unsigned i = 0; i < d->operand_count; i++) {
		const ZydisDecodedOperand *o = &ops[i];

		if (o->type == ZYDIS_OPERAND_TYPE_REGISTER) {
			take_reg(in, o);
		} else if (o->type == ZYDIS_OPERAND_TYPE_MEMORY &&
		    o->visibility == ZYDIS_OPERAND_VISIBILITY_EXPLICIT) {
			take_mem(in, d, o);
			if (o->encoding == ZYDIS_OPERAND_ENCODING_DISP16_32_64)
				in->kind = K_MOFFS;
		}
	}
}

/*
 * Does VEX.W mean a 64-bit general register?  32-bit code has none, and its W is ignored.
 * (vmovd, vcvtsi2sd, vcvtsd2si, vpextrd, vpinsrd, vpcmpestri and their like, and BMI.)
 */
static bool w_is_width(const struct insn *in, const ZydisDecodedInstruction *d)
{
	switch (in->map) {
	case 1:
		return (in->opcode == 0x6e || in->opcode == 0x7e) ? (in->vex & 3) == 1
			: in->opcode == 0x2a || in->opcode == 0x2c || in->opcode == 0x2d;
	case 3:
		return in->opcode == 0x16 || in->opcode == 0x22 || in->opcode == 0x60 ||
			in->opcode == 0x61 || is_bmi(d);
	default:
		return is_bmi(d);
	}
}

static void take_vex(struct insn *in, const ZydisDecodedInstruction *d)
{
	const uint8_t *p = in->bytes + d->raw.vex.offset;
	bool code64 = d->machine_mode == ZYDIS_MACHINE_MODE_LONG_64;
	uint8_t rxb = p[0] == 0xc5 ? (uint8_t)(p[1] | 0x60) : p[1];

	in->has_vex = true;
	in->vex = p[0] == 0xc5 ? p[1] & 0x7f : p[2];
	if (!code64 && w_is_width(in, d))
		in->vex &= 0x7f;
	/* vblendvps, vblendvpd, vpblendvb: the last byte names a register, one of eight. */
	if (!code64 && in->map == 3 && in->opcode >= 0x4a && in->opcode <= 0x4c)
		in->bytes[in->len - 1] &= 0x7f;
	/* Only eight registers are cleared: special_vector.c. */
	if (!code64 && in->map == 1 && in->opcode == 0x77)
		in->kind = K_SPECIAL;
	in->rex = (uint8_t)(0x40 | (in->vex >> 4 & 8) | (code64 ? ~rxb >> 5 & 7 : 0));
	in->ymm = (in->vex & 4) != 0;
}

static void take_raw(struct insn *in, const ZydisDecodedInstruction *d)
{
	in->has_modrm = (d->attributes & ZYDIS_ATTRIB_HAS_MODRM) != 0;
	if (in->has_modrm)
		in->modrm = in->bytes[d->raw.modrm.offset];
	if (d->attributes & ZYDIS_ATTRIB_HAS_REX)
		in->rex = in->bytes[d->raw.rex.offset];
	for (unsigned i = 0; i < d->raw.prefix_count; i++) {
		uint8_t v = d->raw.prefixes[i].value;

		if (d->raw.prefixes[i].type == ZYDIS_PREFIX_TYPE_IGNORED)
			continue;
		if (v == 0x66)
			in->opsize = true;
		else if ((v == 0xf2 || v == 0xf3) &&
		    d->raw.prefixes[i].type == ZYDIS_PREFIX_TYPE_MANDATORY)
			in->mandatory = v;
	}
	if (d->raw.imm[0].size != 0) {
		in->imm_off = d->raw.imm[0].offset;
		in->imm_len = (uint8_t)(d->length - in->imm_off);
		in->imm = d->raw.imm[0].is_signed || d->raw.imm[0].is_relative
			? d->raw.imm[0].value.s : (int64_t)d->raw.imm[0].value.u;
	}
	in->map = d->opcode_map == ZYDIS_OPCODE_MAP_0F ? 1
		: d->opcode_map == ZYDIS_OPCODE_MAP_0F38 ? 2
		: d->opcode_map == ZYDIS_OPCODE_MAP_0F3A ? 3 : 0;
	in->opcode = d->opcode;
	if (d->encoding == ZYDIS_INSTRUCTION_ENCODING_VEX)
		take_vex(in, d);
}

/*
 * Intel's processors compute SF, ZF, AF and PF of a product, AMD's keep what they
 * were.  Asked of the processor itself: a product of the same numbers, once with
 * the four flags set before, once with them clear.
 */
static bool product_keeps_flags(void)
{
	uint32_t set = 0xd400, clear = 0, n = 3;

	__asm__ ("sahf; imul %1, %1; lahf" : "+a"(set), "+r"(n) : : "cc");
	n = 3;
	__asm__ ("sahf; imul %1, %1; lahf" : "+a"(clear), "+r"(n) : : "cc");
	return ((set ^ clear) & 0xd400) != 0;
}

/*
 * Do BMI's leave the flags that their manuals call undefined as they were?  No processor
 * is known that does; asked all the same.
 */
static bool bmi_keeps_flags(void)
{
	uint64_t set, clear, n = 0x35, m = 0x1234;

	__asm__ volatile("sahf; andn %2, %1, %1; lahf" : "=a"(set), "+r"(n) : "r"(m), "0"(0xd500) : "cc");
	n = 0x35;
	__asm__ volatile("sahf; andn %2, %1, %1; lahf" : "=a"(clear), "+r"(n) : "r"(m), "0"(0) : "cc");
	return ((set ^ clear) & 0xd400) != 0;
}

/*
 * What an instruction leaves undefined counts as written when this family of
 * instructions computes it from its operands alone, and as not written (hence
 * preserved) when hardware keeps old flags there: bt*, div, and on some
 * processors mul, imul, bsf and bsr.  Shifts by cl or by zero write nothing for zero.
 */
static void take_flags(struct insn *in, const ZydisDecodedInstruction *d)
{
	const ZydisAccessedFlags *f = d->cpu_flags;
	uint32_t written;

	if (f == NULL)
		return;
	in->fl_read = (uint16_t)(f->tested & STATUS_FLAGS);
	written = f->modified | f->set_0 | f->set_1;
	switch (d->mnemonic) {
	case ZYDIS_MNEMONIC_BT: case ZYDIS_MNEMONIC_BTS: case ZYDIS_MNEMONIC_BTR:
	case ZYDIS_MNEMONIC_BTC: case ZYDIS_MNEMONIC_DIV: case ZYDIS_MNEMONIC_IDIV:
	case ZYDIS_MNEMONIC_BSF: case ZYDIS_MNEMONIC_BSR:
	case ZYDIS_MNEMONIC_TZCNT: case ZYDIS_MNEMONIC_LZCNT: /* keep OF, on some processors */
		in->fl_read = STATUS_FLAGS;
		written = STATUS_FLAGS;
		break;
	case ZYDIS_MNEMONIC_ANDN: case ZYDIS_MNEMONIC_BEXTR: case ZYDIS_MNEMONIC_BZHI:
	case ZYDIS_MNEMONIC_BLSI: case ZYDIS_MNEMONIC_BLSMSK: case ZYDIS_MNEMONIC_BLSR:
		if (bmi_keeps_flags())
			in->fl_read = STATUS_FLAGS;
		written = STATUS_FLAGS;
		break;
	case ZYDIS_MNEMONIC_MUL: case ZYDIS_MNEMONIC_IMUL:
		if (product_keeps_flags())
			in->fl_read = STATUS_FLAGS;
		written = STATUS_FLAGS;
		break;
	case ZYDIS_MNEMONIC_SHL: case ZYDIS_MNEMONIC_SHR: case ZYDIS_MNEMONIC_SAR:
	case ZYDIS_MNEMONIC_ROL: case ZYDIS_MNEMONIC_ROR: case ZYDIS_MNEMONIC_RCL:
	case ZYDIS_MNEMONIC_RCR: case ZYDIS_MNEMONIC_SHLD: case ZYDIS_MNEMONIC_SHRD: {
		bool shift = d->mnemonic == ZYDIS_MNEMONIC_SHL ||
			d->mnemonic == ZYDIS_MNEMONIC_SHR || d->mnemonic == ZYDIS_MNEMONIC_SAR;
		bool by_one = (in->opcode & 0xfe) == 0xd0;
		bool by_imm = in->imm_len != 0 && (in->imm & 31) != 0;

		written = STATUS_FLAGS;
		if (!shift || !(by_one || by_imm))
			in->fl_read = STATUS_FLAGS;
		break;
	}
	default:
		written |= f->undefined;
	}
	in->fl_write = (uint16_t)(written & STATUS_FLAGS);
}

/* From a register, and not cs, which is #UD, nor ss, which holds back traps. */
static bool loads_data_seg(const struct insn *in)
{
	unsigned seg = in->modrm >> 3 & 7;

	return in->map == 0 && in->opcode == 0x8e && !in->has_mem && seg < SEG_COUNT &&
		seg != SEG_CS && seg != SEG_SS;
}

static void refine_kind(struct insn *in, const ZydisDecodedInstruction *d,
	const ZydisDecodedOperand *ops)
{
	bool seg_operand = false;

	for (unsigned i = 0; i < d->operand_count_visible; i++)
		if (ops[i].type == ZYDIS_OPERAND_TYPE_REGISTER &&
		    (ZydisRegisterGetClass(ops[i].reg.value) == ZYDIS_REGCLASS_SEGMENT ||
		     ZydisRegisterGetClass(ops[i].reg.value) == ZYDIS_REGCLASS_CONTROL ||
		     ZydisRegisterGetClass(ops[i].reg.value) == ZYDIS_REGCLASS_DEBUG))
			seg_operand = true;
	if (seg_operand)
		in->kind = in->map == 0 && in->opcode == 0x8c &&
			(in->has_mem || !insn_opsize16(in)) && (in->modrm >> 3 & 7) < SEG_COUNT
			? K_FROM_SEG : loads_data_seg(in) ? K_TO_SEG : K_SPECIAL;
	if (in->kind == K_CALL || in->kind == K_JMP || in->kind == K_RET) {
		bool relative = d->raw.imm[0].is_relative;

		if (d->meta.branch_type == ZYDIS_BRANCH_TYPE_FAR)
			in->kind = K_SPECIAL;
		else if (in->kind != K_RET && !relative)
			in->kind = in->kind == K_CALL ? K_CALL_IND : K_JMP_IND;
	}
	if (in->kind == K_GENERIC && in->has_mem && (in->modrm >> 6) != 3 &&
	    in->reg != NO_REG && in->map == 1 &&
	    (in->opcode == 0xa3 || in->opcode == 0xab || in->opcode == 0xb3 || in->opcode == 0xbb))
		in->kind = K_BT;
	/* movsd and cmpsd are also SSE mnemonics. */
	if (in->kind == K_STRING && (in->map != 0 || in->has_modrm))
		in->kind = K_GENERIC;
	if (d->mnemonic == ZYDIS_MNEMONIC_CLFLUSH)
		in->mem.read = true, in->mem.write = false, in->mem.size = 1;
	/* arpl and pop come to their store late: special_user.c, special.c. */
	if (in->mem.cs && in->mem.write && in->mnemonic != ZYDIS_MNEMONIC_ARPL)
		in->kind = in->kind == K_POP ? K_SPECIAL : K_GP;
	/* Nothing is extended then: a mov, which reads two bytes on AMD's processors, too. */
	if (in->mnemonic == ZYDIS_MNEMONIC_MOVSXD && insn_opsize16(in))
		in->mem.size = 2, in->opcode = 0x8b;
	/* Hint encodings with a memory form never access it. */
	if (in->kind == K_NOP)
		in->has_mem = false;
	/* 16-bit stack operations and branches are too rare to be translated. */
	if (d->operand_width == 16 && in->kind >= K_JCC && in->kind <= K_RET && in->kind != K_LOOP)
		in->near16 = in->kind;
	if (d->operand_width == 16 && (in->near16 || in->kind == K_PUSH || in->kind == K_POP ||
	    in->kind == K_LEAVE))
		in->kind = K_SPECIAL;
}

int insn_decode(struct insn *in, const uint8_t *p, unsigned n, bool code64, uint64_t isa)
{
	ZydisDecoder dec;
	ZydisDecodedInstruction d;
	ZydisDecodedOperand ops[ZYDIS_MAX_OPERAND_COUNT];
	ZyanStatus st;

	memset(in, 0, sizeof *in);
	in->reg = in->rm = in->opreg = in->vreg = NO_REG;
	in->mem.base = in->mem.index = NO_REG;
	in->mem.seg = -1;
	ZydisDecoderInit(&dec, code64 ? ZYDIS_MACHINE_MODE_LONG_64 : ZYDIS_MACHINE_MODE_LONG_COMPAT_32,
		code64 ? ZYDIS_STACK_WIDTH_64 : ZYDIS_STACK_WIDTH_32);
	ZydisDecoderEnableMode(&dec, ZYDIS_DECODER_MODE_MPX, ZYAN_FALSE);
	ZydisDecoderEnableMode(&dec, ZYDIS_DECODER_MODE_CET, ZYAN_FALSE);
	ZydisDecoderEnableMode(&dec, ZYDIS_DECODER_MODE_LZCNT, (isa & ISA_BIT(LZCNT)) != 0);
	ZydisDecoderEnableMode(&dec, ZYDIS_DECODER_MODE_TZCNT, (isa & ISA_BIT(BMI1)) != 0);
	st = ZydisDecoderDecodeFull(&dec, p, n, &d, ops);
	if (st == ZYDIS_STATUS_NO_MORE_DATA)
		return -1;
	if (!ZYAN_SUCCESS(st)) {
		in->kind = st == ZYDIS_STATUS_INSTRUCTION_TOO_LONG ? K_GP : K_UD;
		in->len = 1;
		in->looked = (uint8_t)(n < INSN_MAX ? n : INSN_MAX);
		return 0;
	}
	in->len = in->looked = d.length;
	memcpy(in->bytes, p, d.length);
	in->mnemonic = (uint16_t)d.mnemonic;
	in->kind = kinds[d.mnemonic];
	if (isa_of(d.meta.isa_ext, d.encoding, d.mnemonic) & ~isa) {
		in->kind = K_UD;
		return 0;
	}
	in->fp = is_fp(&d);
	in->x87 = in->fp && is_x87(&d, ops);
	in->fp_waits = waits(&d, ops);
	in->width = (uint8_t)(d.operand_width / 8);
	in->mem.addr32 = d.address_width == 32;
	in->mem.addr16 = d.address_width == 16;
	if (in->mem.addr16 && in->kind == K_LOOP)
		in->kind = K_SPECIAL; /* counts in cx */
	if ((in->mnemonic == ZYDIS_MNEMONIC_FXSAVE || in->mnemonic == ZYDIS_MNEMONIC_FXRSTOR) &&
	    !code64)
		in->kind = K_SPECIAL; /* without xmm8..15 */
	take_raw(in, &d);
	take_operands(in, &d, ops);
	take_flags(in, &d);
	if (in->kind == K_STRING) /* not among the operands */
		in->writes |= 1u << RSI | 1u << RDI | 1u << RCX;
	refine_kind(in, &d, ops);
	return 0;
}
