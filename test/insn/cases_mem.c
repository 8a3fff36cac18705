/*
 * cases_mem.c - cases about what has no native counterpart: page tables and
 * their accessed and dirty bits, the two roots, opcodes that the guest's CPU
 * policy hides, and the exits that leave an instruction to the hypervisor.
 */
#include <stdio.h>
#include <string.h>

#include "cases_ctx.h"

/* ---- accessed and dirty ---- */

static bool ad_read(struct engine *e, char *why, size_t size)
{
	static const uint8_t code[] = { 0x8b, 0x03 }; /* mov eax, [rbx] */
	struct ctx c;

	open_ctx(&c, e, why, size);
	load(&c, code, sizeof(code));
	WANT(&c, "leaf before", read_pte(&c, DATA_VA, 0) & AD, 0);
	run(&c);
	if (!ended(&c))
		return false;
	WANT(&c, "leaf after a read", read_pte(&c, DATA_VA, 0) & AD, PTE_A);
	WANT(&c, "level 2 after a read", read_pte(&c, DATA_VA, 1) & AD, PTE_A);
	WANT(&c, "level 3 after a read", read_pte(&c, DATA_VA, 2) & AD, PTE_A);
	WANT(&c, "level 4 after a read", read_pte(&c, DATA_VA, 3) & AD, PTE_A);
	WANT(&c, "next page", read_pte(&c, DATA_VA + PAGE, 0) & AD, 0);
	WANT(&c, "code page", read_pte(&c, CODE_VA, 0) & AD, PTE_A);
	WANT(&c, "next code page", read_pte(&c, CODE_VA + PAGE, 0) & AD, 0);
	WANT(&c, "stack page", read_pte(&c, STACK_VA + PAGE, 0) & AD, 0);
	return true;
}

static bool ad_write(struct engine *e, char *why, size_t size)
{
	/* mov [rbx], eax; push rax */
	static const uint8_t code[] = { 0x89, 0x03, 0x50 };
	struct ctx c;

	open_ctx(&c, e, why, size);
	load(&c, code, sizeof(code));
	run(&c);
	if (!ended(&c))
		return false;
	WANT(&c, "leaf after a write", read_pte(&c, DATA_VA, 0) & AD, AD);
	WANT(&c, "level 2 after a write", read_pte(&c, DATA_VA, 1) & AD, PTE_A);
	WANT(&c, "stack page", read_pte(&c, STACK_VA, 0) & AD, AD);
	return true;
}

/* Read, clear A, read again: the bit is back; then write: D. */
static bool ad_again(struct engine *e, char *why, size_t size)
{
	static const uint8_t rd[] = { 0x8b, 0x03 }, wr[] = { 0x89, 0x03 };
	struct ctx c;
	uint64_t pte;

	open_ctx(&c, e, why, size);
	load(&c, rd, sizeof(rd));
	run(&c);
	pte = read_pte(&c, DATA_VA, 0);
	write_pte(&c, DATA_VA, pte & ~(uint64_t)AD);
	c.s->rip = CODE_VA + 0x100;
	run(&c);
	WANT(&c, "leaf read again", read_pte(&c, DATA_VA, 0) & AD, PTE_A);
	load(&c, wr, sizeof(wr));
	run(&c);
	WANT(&c, "leaf written", read_pte(&c, DATA_VA, 0) & AD, AD);
	write_pte(&c, DATA_VA, (pte | PTE_A) & ~PTE_D);
	c.s->rip = CODE_VA + 0x100;
	run(&c);
	WANT(&c, "leaf written again", read_pte(&c, DATA_VA, 0) & AD, AD);
	return true;
}

/* A write that faults on protection sets no D. */
static bool ad_fault(struct engine *e, char *why, size_t size)
{
	/* mov [RO_VA], eax */
	static const uint8_t code[] = { 0x89, 0x04, 0x25, 0x00, 0x30, 0x00, 0x30 };
	struct ctx c;

	open_ctx(&c, e, why, size);
	load(&c, code, sizeof(code));
	run(&c);
	WANT(&c, "vector", c.x.vector, 14);
	WANT(&c, "error code", c.x.error & ~PF_U, PF_P | PF_W);
	WANT(&c, "leaf", read_pte(&c, RO_VA, 0) & PTE_D, 0);
	return true;
}

/* ---- changing tables ---- */

/* Reads DATA, exchanges its frame for another, reads again. */
static bool remap(struct engine *e, char *why, size_t size)
{
	static const uint8_t code[] = { 0x48, 0x8b, 0x03 }; /* mov rax, [rbx] */
	struct ctx c;
	uint64_t pte, other = MEM_FIRST_MFN + 3;

	open_ctx(&c, e, why, size);
	load(&c, code, sizeof(code));
	run(&c);
	WANT(&c, "rax", c.s->gpr[RAX], get64(mem_frame(c.m, MEM_FIRST_MFN + 2)));
	pte = read_pte(&c, DATA_VA, 0);
	write_pte(&c, DATA_VA, with_frame(pte, other));
	c.s->rip = CODE_VA + 0x100;
	run(&c);
	WANT(&c, "rax from the other frame", c.s->gpr[RAX],
		get64(mem_frame(c.m, other)));
	write_pte(&c, DATA_VA, 0);
	c.s->rip = CODE_VA + 0x100;
	run(&c);
	WANT(&c, "vector", c.x.vector, 14);
	WANT(&c, "error code", c.x.error & ~PF_U, 0);
	WANT(&c, "cr2", c.x.cr2, DATA_VA);
	write_pte(&c, DATA_VA, pte);
	return true;
}

/* Makes a written page read-only. */
static bool protect(struct engine *e, char *why, size_t size)
{
	static const uint8_t code[] = { 0x89, 0x03 };
	struct ctx c;
	uint64_t pte;

	open_ctx(&c, e, why, size);
	load(&c, code, sizeof(code));
	run(&c);
	if (!ended(&c))
		return false;
	pte = read_pte(&c, DATA_VA, 0);
	write_pte(&c, DATA_VA, pte & ~PTE_RW);
	c.s->rip = CODE_VA + 0x100;
	run(&c);
	WANT(&c, "vector", c.x.vector, 14);
	WANT(&c, "error code", c.x.error & ~PF_U, PF_P | PF_W);
	write_pte(&c, DATA_VA, pte);
	return true;
}

/* The code's own page: remapped, the new bytes run; made NX, it faults. */
static bool remap_code(struct engine *e, char *why, size_t size)
{
	static const uint8_t code[] = { 0xb0, 0x11 }, other[] = { 0xb0, 0x22, 0x0f, 0x0b };
	struct ctx c;
	uint64_t pte, frame = MEM_FIRST_MFN + 4;

	open_ctx(&c, e, why, size);
	load(&c, code, sizeof(code));
	run(&c);
	WANT(&c, "al", c.s->gpr[RAX] & 255, 0x11);
	mem_write_frame(c.m, frame, 0x100, other, sizeof(other));
	pte = read_pte(&c, CODE_VA, 0);
	write_pte(&c, CODE_VA, with_frame(pte, frame));
	c.s->rip = CODE_VA + 0x100;
	run(&c);
	WANT(&c, "al after remapping", c.s->gpr[RAX] & 255, 0x22);
	write_pte(&c, CODE_VA, pte | PTE_NX);
	c.s->rip = CODE_VA + 0x100;
	run(&c);
	WANT(&c, "vector", c.x.vector, 14);
	WANT(&c, "error code", c.x.error & ~PF_U, PF_P | PF_I);
	write_pte(&c, CODE_VA, pte);
	return true;
}

/* The guest maps its own page table and changes it with ordinary stores. */
static bool guest_writes_pte(struct engine *e, char *why, size_t size)
{
	/* mov rax,[rbx]; mov rdx,[rsi]; mov [rdi],rdx; mov rcx,[rbx] */
	static const uint8_t code[] = { 0x48, 0x8b, 0x03, 0x48, 0x8b, 0x16, 0x48, 0x89, 0x17,
		0x48, 0x8b, 0x0b };
	struct ctx c;
	mfn_t table;
	unsigned off;
	uint64_t pte;

	open_ctx(&c, e, why, size);
	load(&c, code, sizeof(code));
	find_pte(&c, MEM_USER, DATA_VA, 0, &table, &off);
	pte = read_pte(&c, DATA2_VA, 0);
	/* DATA2 becomes a window on the table that maps DATA. */
	write_pte(&c, DATA2_VA, with_frame(pte, table));
	c.s->gpr[RSI] = DATA2_VA + off + 8; /* the entry of DATA + PAGE */
	c.s->gpr[RDI] = DATA2_VA + off;
	uint64_t old = get64(mem_frame(c.m, table) + off);
	run(&c);
	if (!ended(&c))
		return false;
	WANT(&c, "read before", c.s->gpr[RAX], get64(mem_frame(c.m, MEM_FIRST_MFN + 2)));
	WANT(&c, "read after", c.s->gpr[RCX], get64(mem_frame(c.m, MEM_FIRST_MFN + 3)));
	mem_write_frame(c.m, table, off, &old, 8);
	write_pte(&c, DATA2_VA, pte);
	return true;
}

/* A page in the kernel's root only. */
static bool two_roots(struct engine *e, char *why, size_t size)
{
	static const uint8_t code[] = { 0x48, 0x8b, 0x03 };
	struct ctx c;
	mfn_t user;
	unsigned off;
	uint64_t zero = 0, old;

	open_ctx(&c, e, why, size);
	load(&c, code, sizeof(code));
	c.s->gpr[RBX] = HIGH_VA;
	find_pte(&c, MEM_USER, HIGH_VA, 3, &user, &off);
	old = get64(mem_frame(c.m, user) + off);
	mem_write_frame(c.m, user, off, &zero, 8);
	run(&c);
	WANT(&c, "user vector", c.x.vector, 14);
	WANT(&c, "user error code", c.x.error, PF_U);
	c.s->mode = MEM_KERNEL;
	run(&c);
	WANT(&c, "kernel vector", c.x.vector, 6);
	WANT(&c, "rax", c.s->gpr[RAX], get64(mem_frame(c.m, MEM_FIRST_MFN + 9)));
	c.s->mode = MEM_USER;
	c.s->rip = CODE_VA + 0x100;
	run(&c);
	WANT(&c, "user vector again", c.x.vector, 14);
	mem_write_frame(c.m, user, off, &old, 8);
	return true;
}

/* A new root takes effect at once. */
static bool set_root(struct engine *e, char *why, size_t size)
{
	static const uint8_t code[] = { 0x48, 0x8b, 0x03 };
	struct ctx c;
	mfn_t old, copy = MEM_FIRST_MFN + 60;
	uint64_t zero = 0;

	open_ctx(&c, e, why, size);
	load(&c, code, sizeof(code));
	c.s->gpr[RBX] = HIGH_VA;
	run(&c);
	if (!ended(&c))
		return false;
	old = mmu_root(mem_mmu(c.m, 0), MEM_USER);
	mem_write_frame(c.m, copy, 0, mem_frame(c.m, old), PAGE);
	mem_write_frame(c.m, copy, (unsigned)(HIGH_VA >> 39) * 8, &zero, 8);
	mmu_set_root(mem_mmu(c.m, 0), MEM_USER, copy);
	c.s->rip = CODE_VA + 0x100;
	run(&c);
	WANT(&c, "vector without the entry", c.x.vector, 14);
	mmu_set_root(mem_mmu(c.m, 0), MEM_USER, old);
	run(&c);
	WANT(&c, "vector with it", c.x.vector, 6);
	return true;
}

/* Code changed by the hypervisor. */
static bool write_frame_code(struct engine *e, char *why, size_t size)
{
	static const uint8_t code[] = { 0xb0, 0x11 };
	struct ctx c;
	uint8_t v = 0x33;

	open_ctx(&c, e, why, size);
	load(&c, code, sizeof(code));
	run(&c);
	mem_write_frame(c.m, MEM_FIRST_MFN + CODE_FRAME, 0x101, &v, 1);
	c.s->rip = CODE_VA + 0x100;
	run(&c);
	WANT(&c, "al", c.s->gpr[RAX] & 255, 0x33);
	return true;
}

/* ---- exits ---- */

struct form {
	const char *name;
	uint8_t b[12], len;
	int reason, detail; /* vector, or priv.op */
};

static bool run_forms(struct engine *e, char *why, size_t size, const struct form *f, unsigned n)
{
	struct ctx c;
	char what[80];

	for (unsigned i = 0; i < n; i++) {
		/* inc ecx first, so that the form is not first in its block */
		uint8_t code[16] = { 0xff, 0xc1 };

		memcpy(code + 2, f[i].b, f[i].len);
		open_ctx(&c, e, why, size);
		load(&c, code, 2u + f[i].len);
		run(&c);
		snprintf(what, sizeof(what), "%s: exit reason", f[i].name);
		WANT(&c, what, c.x.reason, f[i].reason);
		snprintf(what, sizeof(what), "%s: vector or op", f[i].name);
		WANT(&c, what, f[i].reason == CPU_EXIT_PRIV ? (int)c.x.priv.op : c.x.vector,
			f[i].detail);
		snprintf(what, sizeof(what), "%s: rip", f[i].name);
		WANT(&c, what, c.s->rip, CODE_VA + 0x102);
		snprintf(what, sizeof(what), "%s: icount", f[i].name);
		WANT(&c, what, c.s->icount, 1);
		if (f[i].reason == CPU_EXIT_EXCEPTION)
			continue;
		snprintf(what, sizeof(what), "%s: length", f[i].name);
		WANT(&c, what, c.x.len, f[i].len);
		if (f[i].reason != CPU_EXIT_PRIV)
			continue;
		cpu_retire(c.c, c.x.len);
		run(&c);
		snprintf(what, sizeof(what), "%s: rip after retiring", f[i].name);
		WANT(&c, what, c.s->rip, CODE_VA + 0x102u + f[i].len);
		snprintf(what, sizeof(what), "%s: icount after retiring", f[i].name);
		WANT(&c, what, c.s->icount, 2);
	}
	return true;
}

#define UD CPU_EXIT_EXCEPTION, 6
#define PRIV(op) CPU_EXIT_PRIV, PRIV_##op

/* On a CPU of x86-64-v2.  (test_isa.c has what others show.) */
static bool hidden(struct engine *e, char *why, size_t size)
{
	static const struct form f[] = {
		{ "movbe", { 0x0f, 0x38, 0xf0, 0x03 }, 4, UD },
		{ "aesenc", { 0x66, 0x0f, 0x38, 0xdc, 0xc1 }, 5, UD },
		{ "aeskeygenassist", { 0x66, 0x0f, 0x3a, 0xdf, 0xc1, 1 }, 6, UD },
		{ "pclmulqdq", { 0x66, 0x0f, 0x3a, 0x44, 0xc1, 1 }, 6, UD },
		{ "rdrand", { 0x0f, 0xc7, 0xf0 }, 3, UD },
		{ "rdseed", { 0x0f, 0xc7, 0xf8 }, 3, UD },
		{ "rdpid", { 0xf3, 0x0f, 0xc7, 0xf8 }, 4, UD },
		{ "xsave", { 0x0f, 0xae, 0x23 }, 3, UD },
		{ "xrstor", { 0x0f, 0xae, 0x2b }, 3, UD },
		{ "xsaveopt", { 0x0f, 0xae, 0x33 }, 3, UD },
		{ "xsavec", { 0x0f, 0xc7, 0x23 }, 3, UD },
		{ "rdfsbase", { 0xf3, 0x48, 0x0f, 0xae, 0xc0 }, 5, UD },
		{ "wrgsbase", { 0xf3, 0x48, 0x0f, 0xae, 0xd8 }, 5, UD },
		{ "clflushopt", { 0x66, 0x0f, 0xae, 0x3b }, 4, UD },
		{ "clwb", { 0x66, 0x0f, 0xae, 0x33 }, 4, UD },
		{ "vpxor", { 0xc5, 0xf9, 0xef, 0xc1 }, 4, UD },
		{ "vzeroupper", { 0xc5, 0xf8, 0x77 }, 3, UD },
		{ "andn", { 0xc4, 0xe2, 0x70, 0xf2, 0xc2 }, 5, UD },
		{ "rorx", { 0xc4, 0xe3, 0x7b, 0xf0, 0xc1, 5 }, 6, UD },
		{ "evex vpxord", { 0x62, 0xf1, 0x75, 0x48, 0xef, 0xc2 }, 6, UD },
		{ "adcx", { 0x66, 0x0f, 0x38, 0xf6, 0xc1 }, 5, UD },
		{ "adox", { 0xf3, 0x0f, 0x38, 0xf6, 0xc1 }, 5, UD },
		{ "sha1msg1", { 0x0f, 0x38, 0xc9, 0xc1 }, 4, UD },
		{ "rdpkru", { 0x0f, 0x01, 0xee }, 3, UD },
		{ "xbegin", { 0xc7, 0xf8, 0, 0, 0, 0 }, 6, UD },
		{ "xtest", { 0x0f, 0x01, 0xd6 }, 3, UD },
		{ "vmcall", { 0x0f, 0x01, 0xc1 }, 3, UD },
	};

	cpu_show(engine_cpu(e), ISA_V2, (const uint8_t[CPU_SEED]){ 0 });
	return run_forms(e, why, size, f, sizeof(f) / sizeof(f[0]));
}

/* Without LZCNT and BMI1, f3 bsr and f3 bsf are bsr and bsf. */
static bool old_scans(struct engine *e, char *why, size_t size)
{
	/* f3 bsf eax, ecx; f3 bsr rdx, rcx; f3 bsf r11, [rbx] */
	static const uint8_t code[] = { 0xf3, 0x0f, 0xbc, 0xc1, 0xf3, 0x48, 0x0f, 0xbd, 0xd1,
		0xf3, 0x4c, 0x0f, 0xbc, 0x1b };
	uint64_t zero = 0;
	struct ctx c;

	cpu_show(engine_cpu(e), ISA_V2, (const uint8_t[CPU_SEED]){ 0 });
	open_ctx(&c, e, why, size);
	load(&c, code, sizeof(code));
	c.s->gpr[RCX] = 0x5000;
	c.s->gpr[R11] = 0x1122;
	mem_write_frame(c.m, MEM_FIRST_MFN + 2, 0, &zero, 8);
	run(&c);
	if (!ended(&c))
		return false;
	WANT(&c, "f3 bsf", c.s->gpr[RAX], 12);
	WANT(&c, "f3 bsr", c.s->gpr[RDX], 14);
	WANT(&c, "f3 bsf of zero: destination", c.s->gpr[R11], 0x1122);
	WANT(&c, "f3 bsf of zero: ZF", c.s->rflags & 0x40, 0x40);
	return true;
}

static bool exits(struct engine *e, char *why, size_t size)
{
	static const struct form f[] = {
		{ "syscall", { 0x0f, 0x05 }, 2, CPU_EXIT_SYSCALL, 0 },
		{ "int 0x80", { 0xcd, 0x80 }, 2, CPU_EXIT_INT, 0x80 },
		{ "int3", { 0xcc }, 1, CPU_EXIT_INT, 3 },
		{ "int 3, long", { 0xcd, 3 }, 2, CPU_EXIT_INT, 3 },
		{ "cpuid", { 0x0f, 0xa2 }, 2, PRIV(CPUID) },
		{ "xen cpuid", { 0x0f, 0x0b, 'x', 'e', 'n', 0x0f, 0xa2 }, 7, PRIV(CPUID) },
		{ "rdmsr", { 0x0f, 0x32 }, 2, PRIV(RDMSR) },
		{ "wrmsr", { 0x0f, 0x30 }, 2, PRIV(WRMSR) },
		{ "rdpmc", { 0x0f, 0x33 }, 2, PRIV(RDPMC) },
		{ "mov rax, cr0", { 0x0f, 0x20, 0xc0 }, 3, PRIV(MOV_FROM_CR) },
		{ "mov cr4, rax", { 0x0f, 0x22, 0xe0 }, 3, PRIV(MOV_TO_CR) },
		{ "mov rax, dr7", { 0x0f, 0x21, 0xf8 }, 3, PRIV(MOV_FROM_DR) },
		{ "clts", { 0x0f, 0x06 }, 2, PRIV(CLTS) },
		{ "cli", { 0xfa }, 1, PRIV(CLI) },
		{ "sti", { 0xfb }, 1, PRIV(STI) },
		{ "hlt", { 0xf4 }, 1, PRIV(HLT) },
		{ "invlpg", { 0x0f, 0x01, 0x3b }, 3, PRIV(INVLPG) },
		{ "wbinvd", { 0x0f, 0x09 }, 2, PRIV(INVD) },
		{ "in al, dx", { 0xec }, 1, PRIV(IN) },
		{ "in eax, imm", { 0xe5, 0x42 }, 2, PRIV(IN) },
		{ "out imm, al", { 0xe6, 0x42 }, 2, PRIV(OUT) },
		{ "insb", { 0x6c }, 1, PRIV(INS) },
		{ "outsb", { 0x6e }, 1, PRIV(OUTS) },
		{ "lgdt", { 0x0f, 0x01, 0x13 }, 3, PRIV(LDT_GDT) },
		{ "swapgs", { 0x0f, 0x01, 0xf8 }, 3, PRIV(SWAPGS) },
		{ "sysret", { 0x48, 0x0f, 0x07 }, 3, PRIV(SYSRET) },
		{ "iretq", { 0x48, 0xcf }, 2, PRIV(IRET) },
		{ "lret", { 0xcb }, 1, PRIV(FAR_RET) },
		{ "mov ds, eax", { 0x8e, 0xd8 }, 2, PRIV(LOAD_SEG) },
		{ "pop fs", { 0x0f, 0xa1 }, 2, PRIV(LOAD_SEG) },
		{ "lar", { 0x0f, 0x02, 0xc1 }, 3, PRIV(LAR) },
		{ "lsl", { 0x0f, 0x03, 0xc1 }, 3, PRIV(LSL) },
		{ "verw", { 0x0f, 0x00, 0xe8 }, 3, PRIV(VERW) },
		{ "sgdt", { 0x0f, 0x01, 0x03 }, 3, PRIV(SGDT) },
		{ "smsw", { 0x0f, 0x01, 0xe0 }, 3, PRIV(SMSW) },
		{ "xgetbv", { 0x0f, 0x01, 0xd0 }, 3, PRIV(XGETBV) },
		{ "str", { 0x0f, 0x00, 0xc8 }, 3, PRIV(STR) },
	};

	return run_forms(e, why, size, f, sizeof(f) / sizeof(f[0]));
}

static bool exit_details(struct engine *e, char *why, size_t size)
{
	/* mov cr3, r11; in eax, 0x42; out dx, ax; invlpg [rbx + 8]; mov rdx, dr6 */
	static const uint8_t code[] = { 0x41, 0x0f, 0x22, 0xdb, 0xe5, 0x42, 0x66, 0xef,
		0x0f, 0x01, 0x7b, 0x08, 0x0f, 0x21, 0xf2 };
	struct ctx c;

	open_ctx(&c, e, why, size);
	load(&c, code, sizeof(code));
	c.s->gpr[R11] = 0x123456789000;
	c.s->gpr[RDX] = 0x3f8;
	c.s->gpr[RAX] = 0x55667788;
	run(&c);
	WANT(&c, "mov cr: index", c.x.priv.index, 3);
	WANT(&c, "mov cr: value", c.x.priv.value, 0x123456789000);
	cpu_retire(c.c, c.x.len);
	run(&c);
	WANT(&c, "in: port", c.x.priv.port, 0x42);
	WANT(&c, "in: size", c.x.priv.size, 4);
	cpu_retire(c.c, c.x.len);
	run(&c);
	WANT(&c, "out: port", c.x.priv.port, 0x3f8);
	WANT(&c, "out: size", c.x.priv.size, 2);
	WANT(&c, "out: value", c.x.priv.value & 0xffff, 0x7788);
	cpu_retire(c.c, c.x.len);
	run(&c);
	WANT(&c, "invlpg: address", c.x.priv.ea, DATA_VA + 8);
	cpu_retire(c.c, c.x.len);
	run(&c);
	WANT(&c, "mov dr: index", c.x.priv.index, 6);
	WANT(&c, "mov dr: register", c.x.priv.reg, RDX);
	cpu_retire(c.c, c.x.len);
	run(&c);
	return ended(&c);
}

static bool rdtsc(struct engine *e, char *why, size_t size)
{
	/* nop; rdtsc; mov rsi, rax; mov rdi, rdx; rdtscp */
	static const uint8_t code[] = { 0x90, 0x0f, 0x31, 0x48, 0x89, 0xc6, 0x48, 0x89, 0xd7,
		0x0f, 0x01, 0xf9 };
	struct ctx c;

	open_ctx(&c, e, why, size);
	load(&c, code, sizeof(code));
	c.s->tsc_offset = 0xfffffffe00000000;
	c.s->tsc_mul = 3ull << 32;
	c.s->tsc_aux = 0x77;
	c.s->gpr[RAX] = c.s->gpr[RDX] = ~0ull;
	run(&c);
	if (!ended(&c))
		return false;
	WANT(&c, "rdtsc eax", c.s->gpr[RSI], 3);
	WANT(&c, "rdtsc edx", c.s->gpr[RDI], 0xfffffffe);
	WANT(&c, "rdtscp eax", c.s->gpr[RAX], 12);
	WANT(&c, "rdtscp ecx", c.s->gpr[RCX], 0x77);
	WANT(&c, "icount", c.s->icount, 5);
	return true;
}

/* FP instructions with CR0.TS: #NM, and nothing else does. */
static bool task_switched(struct engine *e, char *why, size_t size)
{
	static const uint8_t fp[][6] = { { 0xd9, 0xe8 }, { 0x0f, 0x58, 0xc1 }, { 0x0f, 0x77 },
		{ 0x0f, 0xae, 0x03 }, { 0x0f, 0xae, 0x5b, 0x08 }, { 0x66, 0x0f, 0x6f, 0x03 } };
	static const uint8_t len[] = { 2, 3, 2, 3, 4, 4 };
	static const uint8_t other[] = { 0x0f, 0xae, 0xf0, 0x0f, 0xc3, 0x03, 0x48, 0xff, 0xc0 };
	struct ctx c;
	char what[40];

	for (unsigned i = 0; i < sizeof(len); i++) {
		open_ctx(&c, e, why, size);
		load(&c, fp[i], len[i]);
		c.s->ts = 1;
		run(&c);
		snprintf(what, sizeof(what), "form %u: vector", i);
		WANT(&c, what, c.x.vector, 7);
		WANT(&c, "icount", c.s->icount, 0);
		c.s->ts = 0;
		run(&c);
		if (!ended(&c))
			return false;
	}
	load(&c, other, sizeof(other));
	c.s->ts = 1;
	run(&c);
	WANT(&c, "mfence, movnti: vector", c.x.vector, 6);
	WANT(&c, "mfence, movnti: icount", c.s->icount, 3);
	return true;
}

/* cpu_step_store() hands a store out and leaves memory as it was. */
static bool step_store(struct engine *e, char *why, size_t size)
{
	static const struct {
		uint8_t b[10], len, size, off;
		uint64_t rax, stored;
	} f[] = {
		{ { 0x48, 0x89, 0x03 }, 3, 8, 0, 0x1122334455667788, 0x1122334455667788 },
		{ { 0x48, 0x87, 0x03 }, 3, 8, 0, 0x99, 0x99 },
		{ { 0x80, 0x63, 0x01, 0xf0 }, 4, 1, 1, 0, 0x50 },
		{ { 0xf0, 0x80, 0x63, 0x01, 0xf0 }, 5, 1, 1, 0, 0x50 },
		{ { 0x3e, 0x80, 0x63, 0x01, 0xf0 }, 5, 1, 1, 0, 0x50 },
		{ { 0xf0, 0x48, 0x0f, 0xb1, 0x0b }, 5, 8, 0, 0x1234567890ab5678, 0x4444 },
		{ { 0x66, 0x89, 0x43, 0x02 }, 4, 2, 2, 0xbeef, 0xbeef },
		{ { 0x48, 0xc7, 0x03, 0x05, 0, 0, 0 }, 7, 8, 0, 0, 5 },
	};
	struct ctx c;
	uint64_t first = 0x1234567890ab5678, got;
	struct cpu_store w;
	char what[40];

	for (unsigned i = 0; i < sizeof(f) / sizeof(f[0]); i++) {
		open_ctx(&c, e, why, size);
		load(&c, f[i].b, f[i].len);
		c.s->mode = MEM_KERNEL;
		c.s->gpr[RBX] = RO_VA;
		c.s->gpr[RAX] = f[i].rax;
		c.s->gpr[RCX] = 0x4444;
		mem_write_frame(c.m, MEM_FIRST_MFN + 5, 0, &first, 8);
		run(&c);
		snprintf(what, sizeof(what), "form %u: vector", i);
		WANT(&c, what, c.x.vector, 14);
		snprintf(what, sizeof(what), "form %u: taken", i);
		WANT(&c, what, cpu_step_store(c.c, &w), 0);
		WANT(&c, "frame", w.mfn, MEM_FIRST_MFN + 5);
		WANT(&c, "offset", w.off, f[i].off);
		WANT(&c, "size", w.size, f[i].size);
		got = get64(w.bytes);
		if (w.size < 8)
			got &= (1ull << (8 * w.size)) - 1;
		WANT(&c, "bytes", got, f[i].stored);
		WANT(&c, "memory", get64(mem_frame(c.m, MEM_FIRST_MFN + 5)), first);
		WANT(&c, "rip", c.s->rip, CODE_VA + 0x100u + f[i].len);
		WANT(&c, "icount", c.s->icount, 1);
		run(&c);
		if (!ended(&c))
			return false;
	}
	return true;
}

/* A saved CPU goes on as it would have. */
static bool save_load(struct engine *e, char *why, size_t size)
{
	/* add rax, rbx; mov r15, rax; shl r15, 3; inc r11 */
	static const uint8_t code[] = { 0x48, 0x01, 0xd8, 0x49, 0x89, 0xc7, 0x49, 0xc1, 0xe7, 0x03,
		0x49, 0xff, 0xc3 };
	struct wbuf w = { 0 };
	struct rbuf r;
	struct ctx c;
	struct cpu_state end;

	open_ctx(&c, e, why, size);
	load(&c, code, sizeof(code));
	c.x = *cpu_run(c.c, 2);
	WANT(&c, "reason", c.x.reason, CPU_EXIT_TARGET);
	WANT(&c, "icount", c.s->icount, 2);
	cpu_save(c.c, &w);
	run(&c);
	end = *c.s;
	load(&c, code, sizeof(code));
	r = (struct rbuf){ .p = w.p, .len = w.len };
	WANT(&c, "load", cpu_load(c.c, &r), 0);
	WANT(&c, "icount loaded", c.s->icount, 2);
	run(&c);
	WANT(&c, "r15", c.s->gpr[R15], end.gpr[R15]);
	WANT(&c, "r11", c.s->gpr[R11], end.gpr[R11]);
	WANT(&c, "flags", c.s->rflags, end.rflags);
	WANT(&c, "icount", c.s->icount, end.icount);
	r = (struct rbuf){ .p = w.p, .len = w.len / 2 };
	WANT(&c, "load of half", cpu_load(c.c, &r), -1);
	wbuf_free(&w);
	return true;
}

/* cpu_kick() before a run stops it early, and is then forgotten. */
static bool kick(struct engine *e, char *why, size_t size)
{
	static const uint8_t code[] = { 0xff, 0xc0, 0xeb, 0xfc }; /* 1: inc eax; jmp 1b */
	struct ctx c;

	open_ctx(&c, e, why, size);
	load(&c, code, sizeof(code));
	cpu_kick(c.c);
	c.x = *cpu_run(c.c, 1000000000);
	WANT(&c, "reason", c.x.reason, CPU_EXIT_KICK);
	c.x = *cpu_run(c.c, c.s->icount + 1001);
	WANT(&c, "reason after", c.x.reason, CPU_EXIT_TARGET);
	WANT(&c, "eax and icount", (c.s->icount + 1) / 2, c.s->gpr[RAX]);
	WANT(&c, "brctr", c.s->icount / 2, c.s->brctr);
	return true;
}

/* A jump found in the cache leads to code of the right kind: with CR0.TS, #NM. */
static bool ts_jump(struct engine *e, char *why, size_t size)
{
	/* lea rax, [rip + 2]; jmp rax; fld1 */
	static const uint8_t code[] = { 0x48, 0x8d, 0x05, 0x02, 0, 0, 0, 0xff, 0xe0, 0xd9, 0xe8 };
	struct ctx c;

	open_ctx(&c, e, why, size);
	for (int i = 0; i < 4; i++) {
		load(&c, code, sizeof(code));
		c.s->ts = i & 1;
		run(&c);
		WANT(&c, "vector", c.x.vector, i & 1 ? 7 : 6);
		load(&c, code, sizeof(code));
		c.s->ts = i & 1;
		run(&c);
		WANT(&c, "vector again", c.x.vector, i & 1 ? 7 : 6);
	}
	return true;
}

/* x87 and SSE state is the same however often the engine is left (cpu/glue.c). */
static bool fx_kept(struct engine *e, char *why, size_t size)
{
	static const uint8_t code[] = {
		0x0f, 0x58, 0xc1, 0x90, 0x90, 0xd9, 0xe8, /* addps xmm0, xmm1; nop; nop; fld1 */
		0x0f, 0x58, 0xd1, 0xd9, 0xeb, 0xde, 0xc1, /* addps xmm2, xmm1; fldpi; faddp */
		0x90, 0x90, 0xdd, 0x1b,       /* nop; nop; fstp qword [rbx] */
		0xdb, 0xe3, 0x0f, 0x59, 0xda, /* fninit, the registers keep theirs; mulps xmm3, xmm2 */
		0x48, 0x0f, 0xae, 0x43, 0x40, /* fxsave64 [rbx + 0x40] */
		0xf2, 0x0f, 0xd6, 0xd8, 0x90, 0x90, /* movdq2q mm3, xmm0; nop; nop */
		0x0f, 0xae, 0x5b, 0x10,       /* stmxcsr [rbx + 0x10] */
		0x48, 0x0f, 0xae, 0x4b, 0x40, /* fxrstor64 [rbx + 0x40] */
		0x0f, 0x59, 0xdb, 0x90, 0x90, /* mulps xmm3, xmm3; nop; nop */
		0x48, 0x0f, 0xae, 0x83, 0x40, 0x02, 0, 0, /* fxsave64 [rbx + 0x240] */
		0x0f, 0x77,                   /* emms */
	};
	enum { INSNS = 23, IMAGES = 0x440, FX = 416 };
	uint8_t fx[FX], images[IMAGES];
	struct ctx c;

	open_ctx(&c, e, why, size);
	for (unsigned step = INSNS; step > 0; step--) {
		load(&c, code, sizeof(code));
		c.s->gpr[RBX] = DATA_VA;
		for (unsigned n = 0; n < INSNS; n += step)
			c.x = *cpu_run(c.c, c.s->icount + (step < INSNS - n ? step : INSNS - n));
		WANT(&c, "reason", c.x.reason, CPU_EXIT_TARGET);
		run(&c);
		if (!ended(&c))
			return false;
		fx_hide_pointers(c.s->fx);
		if (step == INSNS) {
			memcpy(fx, c.s->fx, FX);
			mmu_copy_in(mem_mmu(c.m, 0), (enum mem_mode)c.s->mode, images, DATA_VA, IMAGES, NULL);
			continue;
		}
		for (unsigned i = 0; i < FX; i++)
			WANT(&c, "a byte of the FXSAVE image", c.s->fx[i], fx[i]);
		for (unsigned i = 0; i < IMAGES; i++) {
			uint8_t byte;

			mmu_copy_in(mem_mmu(c.m, 0), (enum mem_mode)c.s->mode, &byte, DATA_VA + i, 1, NULL);
			WANT(&c, "a byte in memory", byte, images[i]);
		}
	}
	return true;
}

const struct engine_case mem_cases[] = {
	{ "ad-read", ad_read }, { "ad-write", ad_write }, { "ad-again", ad_again },
	{ "ad-fault", ad_fault }, { "remap", remap }, { "protect", protect },
	{ "remap-code", remap_code }, { "guest-writes-pte", guest_writes_pte },
	{ "two-roots", two_roots }, { "set-root", set_root },
	{ "write-frame-code", write_frame_code }, { "hidden", hidden }, { "exits", exits },
	{ "old-scans", old_scans },
	{ "exit-details", exit_details }, { "rdtsc", rdtsc }, { "task-switched", task_switched },
	{ "step-store", step_store }, { "save-load", save_load }, { "kick", kick },
	{ "ts-jump", ts_jump }, { "fx-kept", fx_kept }, { NULL, NULL },
};
