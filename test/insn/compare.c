/*
 * compare.c - are two results the same to a program, and if not, where.
 *
 * Not compared, because the CPU or the host kernel does not keep it exact:
 * RF; FIP, FDP, FOP and MXCSR_MASK of FP images, also of those a case stored;
 * the P bit of #PF error codes for addresses above a process's (Linux always
 * reports it set); in 32-bit code r8..r15 and the upper halves.
 * the x87 stack after the fault of an MMX store (mmx_store_faulted).
 * Flags that the manuals call undefined are compared: the engine executes the
 * same opcode on the same CPU.
 */
#include <Zydis/Zydis.h>
#include <stdio.h>
#include <string.h>

#include "insn.h"
#include "util/fx.h"

#define FLAGS_SEEN 0x244dd5ull
#define LINUX_TASK_END 0x7ffffffff000ull

static const char *const reg_names[16] = {
	"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
	"r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
};

static ZydisMachineMode mode_of(const struct tcase *c)
{
	return c->code64 ? ZYDIS_MACHINE_MODE_LONG_64 : ZYDIS_MACHINE_MODE_LONG_COMPAT_32;
}

struct diff {
	const char *na, *nb;
	char *why;
	size_t size;
};

static bool differ(const struct diff *d, const char *what, uint64_t a, uint64_t b)
{
	if (a == b)
		return false;
	snprintf(d->why, d->size, "%s: %s %#llx, %s %#llx", what, d->na, (unsigned long long)a,
		d->nb, (unsigned long long)b);
	return true;
}

static bool bytes_differ(const struct diff *d, const char *what, const uint8_t *a,
	const uint8_t *b, unsigned n)
{
	char ha[40], hb[40];

	if (memcmp(a, b, n) == 0)
		return false;
	for (unsigned i = 0; i < n && i < 16; i++) {
		snprintf(ha + 2 * i, 3, "%02x", a[n - 1 - i]);
		snprintf(hb + 2 * i, 3, "%02x", b[n - 1 - i]);
	}
	snprintf(d->why, d->size, "%s: %s %s, %s %s", what, d->na, ha, d->nb, hb);
	return true;
}

static uint32_t pf_error(const struct tcase *c, const struct result *r)
{
	uint32_t err = r->err;

	if (r->vec != 14)
		return err;
	if (c->kernel)
		err &= ~4u;
	if (r->cr2 >= LINUX_TASK_END)
		err |= 1;
	return err;
}

static bool fault_differs(const struct tcase *c, const struct diff *d, const struct result *a,
	const struct result *b)
{
	if (a->odd || b->odd) {
		const char *oa = a->odd ? a->odd : "a fault", *ob = b->odd ? b->odd : "a fault";

		if (strcmp(oa, ob) == 0)
			return false;
		snprintf(d->why, d->size, "end: %s %s (vector %d), %s %s (vector %d)", d->na, oa,
			a->vec, d->nb, ob, b->vec);
		return true;
	}
	return differ(d, "vector", (uint64_t)a->vec, (uint64_t)b->vec) ||
		differ(d, "error code", pf_error(c, a), pf_error(c, b)) ||
		differ(d, "cr2", a->cr2, b->cr2);
}

static bool regs_differ(const struct tcase *c, const struct diff *d, const struct result *a,
	const struct result *b)
{
	uint64_t mask = c->code64 ? ~0ull : 0xffffffff;

	if (differ(d, "rip", a->rip, b->rip))
		return true;
	for (unsigned i = 0; i < (c->code64 ? 16u : 8u); i++)
		if (differ(d, reg_names[i], a->gpr[i] & mask, b->gpr[i] & mask))
			return true;
	return differ(d, "flags", a->rflags & FLAGS_SEEN, b->rflags & FLAGS_SEEN);
}

/* any_top: whether the x87 registers were renamed and emptied is left open. */
static bool upper_differs(const struct diff *d, const struct result *a, const struct result *b)
{
	char name[8];

	for (unsigned i = 0; i < 16; i++) {
		snprintf(name, sizeof(name), "ymmh%u", i);
		if (bytes_differ(d, name, a->ymmh[i], b->ymmh[i], 16))
			return true;
	}
	return false;
}

static bool fx_differs(const struct diff *d, const uint8_t *a, const uint8_t *b, bool any_top)
{
	uint64_t seen = any_top ? 0xc7ff : 0xffff;
	char name[8];

	if (bytes_differ(d, "fcw", a, b, 2) || differ(d, "fsw", (a[2] | a[3] << 8) & seen,
	    (b[2] | b[3] << 8) & seen) || (!any_top && bytes_differ(d, "ftw", a + 4, b + 4, 1)) ||
	    bytes_differ(d, "mxcsr", a + 24, b + 24, 4))
		return true;
	for (unsigned i = 0; i < 8 && !any_top; i++) {
		snprintf(name, sizeof(name), "st%u", i);
		if (bytes_differ(d, name, a + 32 + 16 * i, b + 32 + 16 * i, 10))
			return true;
	}
	for (unsigned i = 0; i < 16; i++) {
		snprintf(name, sizeof(name), "xmm%u", i);
		if (bytes_differ(d, name, a + 160 + 16 * i, b + 160 + 16 * i, 16))
			return true;
	}
	return false;
}

/* Bytes of the AUX page that hold FIP, FDP, FOP or MXCSR_MASK. */
static bool aux_ignored(unsigned off)
{
	return (off >= AUX_ENV32 + 12 && off < AUX_ENV32 + 28) ||
		(off >= AUX_ENV16 + 6 && off < AUX_ENV16 + 14) ||
		(off >= AUX_SAVE + 12 && off < AUX_SAVE + 28) ||
		(off >= AUX_FXSAVE + 6 && off < AUX_FXSAVE + 24) ||
		(off >= AUX_FXSAVE + 28 && off < AUX_FXSAVE + 32) ||
		(off >= AUX_XSAVE + 6 && off < AUX_XSAVE + 24) ||
		(off >= AUX_XSAVE + 28 && off < AUX_XSAVE + 32) ||
		/* XSTATE_BV: what is in its initial state may count as in use. */
		(off >= AUX_XSAVE + 512 && off < AUX_XSAVE + 520);
}

static uint64_t frame_va(unsigned frame)
{
	for (unsigned i = 0; i < layout_count; i++)
		if (frame >= layout[i].frame && frame < layout[i].frame + layout[i].pages)
			return layout[i].va + (frame - layout[i].frame) * PAGE;
	return 0;
}

/*
 * Did a fault stop an instruction that stores an MMX register?  Some processors
 * have entered MMX mode by then.
 */
static bool mmx_store_faulted(const struct tcase *c, const struct result *r)
{
	ZydisDecodedInstruction zi;
	ZydisDecodedOperand ops[ZYDIS_MAX_OPERAND_COUNT];
	ZydisDecoder dec;
	uint64_t at = r->rip - CODE_VA - c->start;

	if (r->vec < 12 || at >= c->code_len)
		return false;
	ZydisDecoderInit(&dec, mode_of(c), c->code64 ? ZYDIS_STACK_WIDTH_64 : ZYDIS_STACK_WIDTH_32);
	return ZYAN_SUCCESS(ZydisDecoderDecodeFull(&dec, c->code + at, c->code_len - at, &zi, ops)) &&
		zi.operand_count >= 2 && ops[0].type == ZYDIS_OPERAND_TYPE_MEMORY &&
		ops[1].type == ZYDIS_OPERAND_TYPE_REGISTER &&
		ZydisRegisterGetClass(ops[1].reg.value) == ZYDIS_REGCLASS_MMX;
}

static bool memory_differs(const struct diff *d, const struct result *a, const struct result *b)
{
	char name[40];

	for (unsigned f = 0; f < NFRAMES; f++) {
		if (memcmp(a->frame[f], b->frame[f], PAGE) == 0)
			continue;
		for (unsigned i = 0; i < PAGE; i++) {
			unsigned at = i & ~7u;

			if (a->frame[f][i] == b->frame[f][i] ||
			    (frame_va(f) == AUX_VA && aux_ignored(i)))
				continue;
			snprintf(name, sizeof(name), "memory at %#llx",
				(unsigned long long)(frame_va(f) + at));
			return bytes_differ(d, name, a->frame[f] + at, b->frame[f] + at, 8);
		}
	}
	return false;
}

/* How many instructions a native run without branches retired, from its rip. */
static bool straight_count(const struct tcase *c, const struct result *r, uint64_t *n)
{
	if (c->branches)
		return false;
	for (unsigned i = 0; i <= c->n; i++)
		if (CODE_VA + c->start + c->off[i] == r->rip) {
			*n = i;
			return true;
		}
	return false;
}

static bool counts_differ(const struct tcase *c, const struct diff *d, const struct result *a,
	const struct result *b)
{
	uint64_t n;

	if (a->counted && b->counted)
		return differ(d, "icount", a->icount, b->icount) ||
			differ(d, "brctr", a->brctr, b->brctr);
	if (!b->counted || !straight_count(c, a, &n))
		return false;
	return differ(d, "icount", n, b->icount) || differ(d, "brctr", 0, b->brctr);
}

/*
 * Did the engine leave for the hypervisor from bytes that the case never meant as
 * an instruction (a jump into the middle of one, code overwritten)?  The CPU has
 * executed them, or faulted: there is nothing to compare.
 */
static bool left_astray(const struct tcase *c, const struct result *cpu, const struct result *r)
{
	uint64_t off = r->rip - CODE_VA, page = off / PAGE, at = off % PAGE;

	if (cpu->odd || !r->odd || (strncmp(r->odd, "privileged", 10) != 0 &&
	    strncmp(r->odd, "int ", 4) != 0 && strncmp(r->odd, "sys", 3) != 0))
		return false;
	for (unsigned i = 0; i < c->n; i++)
		if (c->start + c->off[i] == off && (at + c->in[i].len > PAGE ||
		    memcmp(r->frame[CODE_FRAME + page] + at, c->in[i].b, c->in[i].len) == 0))
			return false;
	return true;
}

bool compare(const struct tcase *c, const char *na, const struct result *a, const char *nb,
	const struct result *b, char *why, size_t size)
{
	struct diff d = { na, nb, why, size };

	if (left_astray(c, a, b))
		return true;
	if (fault_differs(c, &d, a, b) || regs_differ(c, &d, a, b) ||
	    fx_differs(&d, a->fx, b->fx, mmx_store_faulted(c, a)) ||
	    upper_differs(&d, a, b) || memory_differs(&d, a, b) ||
	    counts_differ(c, &d, a, b))
		return false;
	return !(a->ad && b->ad && differ(&d, "A/D bits digest", a->ad, b->ad));
}

static void print_insns(const struct tcase *c)
{
	ZydisDisassembledInstruction di;

	for (unsigned i = 0; i < c->n; i++) {
		uint64_t va = CODE_VA + c->start + c->off[i];

		printf("    %08llx ", (unsigned long long)va);
		for (unsigned k = 0; k < c->in[i].len; k++)
			printf("%02x", c->in[i].b[k]);
		if (ZYAN_SUCCESS(ZydisDisassembleIntel(mode_of(c), va, c->in[i].b, c->in[i].len,
			&di)))
			printf("%*s %s\n", 2 * (15 - c->in[i].len), "", di.text);
		else
			printf("  ?\n");
	}
}

void print_case(const struct tcase *c)
{
	print_insns(c);
	printf("    %s mode, %d-bit, flags %#llx, fs %#llx gs %#llx, mxcsr %#x fcw %#x fsw %#x\n",
		c->kernel ? "kernel" : "user", c->code64 ? 64 : 32,
		(unsigned long long)c->rflags, (unsigned long long)c->fsbase,
		(unsigned long long)c->gsbase, *(const uint32_t *)(c->fx + FX_MXCSR),
		*(const uint16_t *)(c->fx + FX_FCW), *(const uint16_t *)(c->fx + FX_FSW));
	printf("   ");
	for (int i = 0; i < 16; i++)
		if (c->gpr[i])
			printf(" %s=%#llx", reg_names[i], (unsigned long long)c->gpr[i]);
	printf("\n");
}

void case_tag(const struct tcase *c, char *tag, size_t size)
{
	ZydisDisassembledInstruction di;

	snprintf(tag, size, "(empty)");
	for (unsigned i = 0; i < c->n; i++)
		if (ZYAN_SUCCESS(ZydisDisassembleIntel(mode_of(c), CODE_VA, c->in[i].b,
			c->in[i].len, &di)))
			snprintf(tag, size, "%s", ZydisMnemonicGetString(di.info.mnemonic));
}

void count_mnemonics(const struct tcase *c, unsigned *seen)
{
	ZydisDecodedInstruction zi;
	ZydisDecoder dec;

	ZydisDecoderInit(&dec, mode_of(c), c->code64 ? ZYDIS_STACK_WIDTH_64 : ZYDIS_STACK_WIDTH_32);
	for (unsigned i = 0; i < c->n; i++)
		if (ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(&dec, NULL, c->in[i].b,
			c->in[i].len, &zi)))
			seen[zi.mnemonic]++;
}
