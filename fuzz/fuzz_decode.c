/*
 * fuzz_decode.c - any bytes as guest code, in both modes: decoding must not
 * read beyond them, and what it says must be fit for the translator.
 *
 * The first byte chooses how many of the bytes there are before the page ends.
 */
#include <stdlib.h>
#include <string.h>

#include "cpu/cpu.h"
#include "cpu/insn.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void check(bool holds)
{
	if (!holds)
		abort();
}

static bool gpr_or_none(int r) { return r == NO_REG || (r >= RAX && r <= R15); }

static void check_mem(const struct insn *in, bool code64)
{
	const struct insn_mem *m = &in->mem;

	check(gpr_or_none(m->base) && gpr_or_none(m->index));
	check(m->scale == 1 || m->scale == 2 || m->scale == 4 || m->scale == 8 ||
		!in->has_modrm);
	check(m->seg == -1 || m->seg == SEG_FS || m->seg == SEG_GS);
	check(!m->rip || (code64 && m->base == NO_REG && m->index == NO_REG));
	check(!m->addr16 || !code64);
	check(!m->cs || !code64);
	check(m->size <= (in->kind == K_SPECIAL ? 576 : 512)); /* xsave, in C */
	check(code64 || (m->base < R8 && m->index < R8));
	/* What the translator emits accesses for has a size, unless it is an address. */
	if (in->kind == K_GENERIC || in->kind == K_MOFFS || in->kind == K_BT)
		check(m->size > 0 && (m->read || m->write));
}

static void check_insn(const struct insn *in, unsigned n, bool code64)
{
	check(in->len >= 1 && in->len <= 15 && in->len <= n);
	check(in->looked >= in->len && in->looked <= 15 && in->looked <= n);
	check(in->kind <= K_GP);
	check(gpr_or_none(in->reg) && gpr_or_none(in->rm) && gpr_or_none(in->opreg) &&
		gpr_or_none(in->vreg));
	check(code64 || (in->reg < R8 && in->rm < R8 && in->opreg < R8 && in->vreg < R8));
	check(code64 || in->rex == 0 || (in->has_vex && (in->rex & 7) == 0));
	check(in->map <= 3);
	check((in->fl_read & ~STATUS_FLAGS) == 0 && (in->fl_write & ~STATUS_FLAGS) == 0);
	check(in->imm_len == 0 || in->imm_off + in->imm_len == in->len);
	if (in->kind == K_UD || in->kind == K_GP)
		return;
	check(in->has_modrm || in->kind != K_LEA);
	if (in->has_mem)
		check_mem(in, code64);
	/*
	 * Two scratch registers stand in for operands, one of them beside memory; with VEX so
	 * many sources, and as many results.
	 */
	if (in->kind == K_GENERIC && in->has_vex)
		check(((in->vreg_use & USE_R) != 0) + ((in->rm_use & USE_R) != 0) <=
			(in->has_mem ? 1 : 2) && (in->reg_use & USE_R) == 0 &&
			((in->reg_use & USE_W) != 0) + ((in->vreg_use & USE_W) != 0) +
			((in->rm_use & USE_W) != 0) <= 2);
	else if (in->kind == K_GENERIC)
		check((in->reg != NO_REG) + (in->rm != NO_REG) + (in->opreg != NO_REG) <=
			(in->has_mem ? 1 : 2));
	if (in->kind == K_CALL_IND || in->kind == K_JMP_IND)
		check(in->has_mem || in->rm != NO_REG);
	if (in->kind == K_PUSH || in->kind == K_POP)
		check(in->has_mem || in->rm != NO_REG || in->opreg != NO_REG || in->imm_len);
	if (in->kind == K_JCC || in->kind == K_LOOP || in->kind == K_JMP || in->kind == K_CALL)
		check(in->imm_len == 1 || in->imm_len == 4);
}

/* The same bytes say the same, and what follows them does not matter. */
static void check_stable(const struct insn *in, const uint8_t *bytes, bool code64, uint64_t isa)
{
	uint8_t only[15];
	struct insn again;

	if (in->kind == K_UD || in->kind == K_GP)
		return;
	memcpy(only, bytes, in->len);
	check(insn_decode(&again, only, in->len, code64, isa) == 0);
	check(memcmp(&again, in, sizeof again) == 0);
	if (in->len > 1)
		check(insn_decode(&again, only, in->len - 1u, code64, isa) != 0 || again.kind == K_UD);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	if (n < 2)
		return 0;
	for (int i = 0; i < 4; i++) {
		bool code64 = (i & 1) != 0;
		uint64_t isa = i & 2 ? ISA_ALL : 0;
		size_t room = n - 1 < p[0] ? n - 1 : p[0];
		uint8_t *bytes = malloc(room + 1); /* exact, so that reading on is seen */
		struct insn in;

		memcpy(bytes, p + 1, room);
		bytes = realloc(bytes, room ? room : 1);
		if (room > 0 && insn_decode(&in, bytes, (unsigned)room, code64, isa) == 0) {
			check_insn(&in, (unsigned)room, code64);
			check_stable(&in, bytes, code64, isa);
		}
		free(bytes);
	}
	return 0;
}
