/*
 * cpu.h - one virtual CPU that executes guest code by same-ISA translation.
 *
 * cpu_run() executes guest instructions until an exact instruction count, or
 * until something happens that only the hypervisor can decide; it returns the
 * reason and never calls upward.  Between two cpu_run() calls all of the
 * guest's CPU state is in *cpu_state(): read and write it freely (fx: cpu_fx_written()).
 *
 * Exits leave state.rip at the instruction that caused them, with nothing of
 * it executed and nothing counted, except where stated.  The hypervisor then
 * either completes the instruction by hand and calls cpu_retire(), or leaves
 * it uncounted and redirects rip (a fault).
 */
#ifndef TTD_CPU_CPU_H
#define TTD_CPU_CPU_H

#include <stdbool.h>
#include <stdint.h>

#include "cpu/isa.h"
#include "mem/mmu.h"
#include "mem/watch.h"
#include "util/bytes.h"
#include "util/fx.h"

/*
 * One more whenever the same log would execute differently: instruction or branch
 * counting, what an instruction does, and also the order of the run loop (xen/run.c).
 * Then a log of another version is refused, and test/golden needs a new tour.
 */
enum { ENGINE_VERSION = 3 };

enum cpu_reg {
	RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI,
	R8, R9, R10, R11, R12, R13, R14, R15
};

/* Exceptions, by the architecture's numbers. */
enum cpu_vector {
	VEC_DE, VEC_DB, VEC_NMI, VEC_BP, VEC_OF, VEC_BR, VEC_UD, VEC_NM, VEC_DF,
	VEC_TS = 10, VEC_NP, VEC_SS, VEC_GP, VEC_PF, VEC_MF = 16, VEC_AC, VEC_MC, VEC_XM
};

enum cpu_seg { SEG_ES, SEG_CS, SEG_SS, SEG_DS, SEG_FS, SEG_GS, SEG_COUNT };

#define FLAG_CF 0x1u
#define FLAG_TF 0x100u
#define FLAG_IF 0x200u
#define FLAG_DF 0x400u
#define FLAG_IOPL 0x3000u
#define FLAG_NT 0x4000u
#define FLAG_RF 0x10000u
#define FLAG_VM 0x20000u
#define FLAG_AC 0x40000u

/*
 * Everything a guest can observe of its CPU.  rflags always has bit 1 and IF
 * set and IOPL clear: the virtual interrupt mask is Xen's upcall mask, not a
 * CPU flag.  seg_base is used for FS and GS in 64-bit code, for all segments
 * in 32-bit code.  GS: the active base is seg_base[SEG_GS]; the hypervisor
 * swaps it with gs_base_other when it toggles between kernel and user mode.
 */
struct cpu_state {
	uint64_t gpr[16];
	uint64_t rip;
	uint64_t rflags;
	uint64_t icount; /* instructions retired */
	uint64_t brctr;  /* branches retired: jcc, jmp, call, ret, loop, near */
	uint64_t seg_base[SEG_COUNT];
	uint64_t gs_base_other;
	uint16_t seg[SEG_COUNT];
	uint8_t mode;    /* enum mem_mode */
	uint8_t code64;  /* 1: CS.L; 0: 32-bit compatibility code */
	uint8_t ts;      /* CR0.TS: FP instructions raise #NM */
	uint8_t tsd;     /* CR4.TSD: rdtsc and rdtscp in user mode raise #GP; not in cpu_save() */
	/* TSC = tsc_offset + ((icount * tsc_mul) >> 32), wrapping. */
	uint64_t tsc_offset;
	uint64_t tsc_mul;
	uint32_t tsc_aux; /* rdtscp's ecx */
	uint8_t fx[FX_SIZE] __attribute__((aligned(16))); /* util/fx.h */
	uint8_t ymmh[16][16]; /* upper halves; this and xcr0 only where the guest has XSAVE */
	uint8_t xcr0;         /* cpu_set_xcr0(), */
	uint8_t fsgsbase;     /* CR4.FSGSBASE: cpu_set_fsgsbase() */
};

enum cpu_exit_reason {
	CPU_EXIT_TARGET,    /* state.icount == target */
	CPU_EXIT_KICK,      /* cpu_kick() was called; at some boundary before target */
	CPU_EXIT_EXCEPTION, /* vector, error, cr2; of #DB, error is what it sets in DR6 (below) */
	CPU_EXIT_INT,       /* int n, int3, int1, into: vector, len */
	CPU_EXIT_SYSCALL,   /* len; the hypervisor tells hypercall from guest syscall by mode */
	CPU_EXIT_SYSENTER,  /* len */
	CPU_EXIT_PRIV,      /* priv: an instruction for the hypervisor to emulate */
	CPU_EXIT_DEBUG,     /* debug: a breakpoint or a watch of cpu_set_breaks(), mem_set_watches() */
};

/* Instructions that leave the engine through CPU_EXIT_PRIV. */
enum cpu_priv_op {
	PRIV_CPUID,      /* also the Xen forced-emulation form 0f 0b 'x' 'e' 'n' 0f a2 */
	PRIV_RDMSR,
	PRIV_WRMSR,
	PRIV_RDPMC,
	PRIV_MOV_FROM_CR, /* index = CR number, reg = destination */
	PRIV_MOV_TO_CR,   /* index, value */
	PRIV_MOV_FROM_DR,
	PRIV_MOV_TO_DR,
	PRIV_CLTS,
	PRIV_LMSW,        /* value */
	PRIV_CLI,
	PRIV_STI,
	PRIV_HLT,
	PRIV_INVLPG,      /* ea */
	PRIV_INVD,        /* invd, wbinvd */
	PRIV_IN,          /* port, size; result to al/ax/eax */
	PRIV_OUT,         /* port, size, value */
	PRIV_INS,         /* string port I/O: port, size */
	PRIV_OUTS,
	PRIV_LDT_GDT,     /* lgdt, lidt, lldt, ltr: ea or value */
	PRIV_SWAPGS,
	PRIV_SYSRET,      /* sysret, sysexit, rsm, and other ring-0-only forms */
	PRIV_IRET,        /* size = operand size of the popped words */
	PRIV_FAR_RET,     /* lret [imm16]: size, value = imm16 */
	PRIV_FAR_JMP,     /* sel, value = target offset, size */
	PRIV_FAR_CALL,
	PRIV_LOAD_SEG,    /* mov/pop/lds...: index = enum cpu_seg, sel; extra effects in `after_*` */
	PRIV_LAR,         /* sel, reg = destination, size */
	PRIV_LSL,
	PRIV_VERR,        /* sel; result in ZF */
	PRIV_VERW,
	PRIV_SGDT,        /* store forms: ea and size say where, or reg when !mem */
	PRIV_SIDT,
	PRIV_SLDT,
	PRIV_STR,
	PRIV_SMSW,
	PRIV_XGETBV,
	PRIV_XSETBV,
	PRIV_MONITOR,     /* monitor, mwait */
};

struct cpu_priv {
	enum cpu_priv_op op;
	uint8_t index;   /* CR, DR or segment number */
	uint8_t reg;     /* enum cpu_reg of a register operand */
	uint8_t size;    /* operand size in bytes */
	bool mem;        /* the destination is memory at ea, not reg */
	uint16_t sel;    /* selector operand, already fetched from memory */
	uint16_t port;
	uint64_t value;  /* source operand, already fetched */
	gva_t ea;        /* linear address of a memory operand */
	/* PRIV_LOAD_SEG only: what completes together with the load. */
	bool after_reg;  /* gpr[reg] = after_value as well (lss, lfs, lgs, les, lds) */
	uint64_t after_value;
	uint8_t after_pop; /* bytes to add to rsp (pop sreg) */
};

/* Why CPU_EXIT_DEBUG. */
struct cpu_debug {
	bool watch;      /* else a breakpoint at rip, before that instruction */
	unsigned index;  /* of the break or the watch */
	struct mem_watch_hit hit; /* of a watch, told after the instruction */
	gva_t rip;       /* of a watch: the instruction's address; 0: it was the hypervisor */
};

struct cpu_exit {
	enum cpu_exit_reason reason;
	bool unfinished;  /* KICK: rip is at a string instruction that has begun: no place
	                     to give the guest anything, which a replay would give before it */
	uint8_t len;      /* of the instruction: SYSCALL, SYSENTER, INT, PRIV */
	uint8_t vector;   /* EXCEPTION, INT */
	bool has_error;   /* EXCEPTION: an error code belongs to the vector */
	uint32_t error;
	uint64_t cr2;     /* EXCEPTION with VEC_PF */
	struct cpu_priv priv;
	struct cpu_debug debug;
};

/* A store that the guest tried through a read-only mapping. */
struct cpu_store {
	mfn_t mfn;
	uint16_t off;
	uint8_t size;
	uint8_t bytes[16];
};

enum cpu_tier {
	CPU_OPTIMISED,
	CPU_REFERENCE, /* one-instruction blocks, nothing optimised across them */
};

struct cpu;

/* Fails with a clear error on a host without BMI2.  One vCPU per mem. */
struct cpu *cpu_create(struct mmu *u, enum cpu_tier tier, struct ttd_error *e);
/* The processor that this runs on: its vendor as CPUID has it, and its signature (leaf 1, eax). */
void cpu_host(char vendor[16], uint32_t *signature);
void cpu_destroy(struct cpu *c);
struct cpu_state *cpu_state(struct cpu *c);
/*
 * Before the first run: instruction sets beyond x86-64-v2 (isa.h), which the host must
 * have, and what rdrand and rdseed answer from.  Without, the guest's CPU has none of them.
 */
enum { CPU_SEED = 16 };
void cpu_show(struct cpu *c, uint64_t isa, const uint8_t seed[CPU_SEED]);
uint64_t cpu_isa(const struct cpu *c);
/* Registers that decide what is an instruction. */
bool cpu_xcr0_valid(uint64_t xcr0);
void cpu_set_xcr0(struct cpu *c, uint8_t xcr0); /* a valid one */
void cpu_set_fsgsbase(struct cpu *c, bool on);
/* To be called by whoever wrote to state.fx or ymmh, or used this thread's x87 registers. */
void cpu_fx_written(struct cpu *c);

/*
 * Runs until state.icount == target exactly, or an exit.  target > icount.
 * With state.rflags TF set, returns #DB after one instruction, or one element of a rep.
 * What it returns is valid until the next cpu_run() or cpu_step_store().
 */
const struct cpu_exit *cpu_run(struct cpu *c, uint64_t target);

/*
 * What the hypervisor can complete at once where the guest would leave, so that it goes on
 * without an exit.  Called with the guest's vector registers live and state.fx not up to
 * date: neither those nor libc may be used (*_hot.c), except for what cpu_outside() calls.
 * True: it is done, as if it had been handled, and rip and icount say so; no interrupt is due,
 * and where inputs or a stop are, cpu_kick() was called.  False: nothing was done, and
 * the exit is to come.
 */
struct cpu_quick_exit {
	uint8_t len;
	bool load_seg;  /* else syscall */
	uint8_t seg;    /* enum cpu_seg, not CS: is to be loaded with */
	uint16_t sel;
};
typedef bool cpu_quick_fn(void *ctx, struct cpu_state *s, const struct cpu_quick_exit *x);
void cpu_set_quick(struct cpu *c, cpu_quick_fn *fn, void *ctx);
/* From a cpu_quick_fn: calls fn(ctx) with the guest's vector registers put away. */
void cpu_outside(struct cpu *c, void (*fn)(void *ctx), void *ctx);

/*
 * Translated code runs with the host's rsp being the guest's, so no signal handler may
 * run on it.  cpu_run() gives SA_ONSTACK to whatever handler of the process is without,
 * when a thread first runs this CPU, at the first cpu_run() after a cpu_begin(), and
 * from time to time.
 */
void cpu_begin(struct cpu *c);

/*
 * The programs of one address space at a time may be run unchecked (mem/space.h), if
 * mem_space_enable() said so.  This many instructions of it before that is done: for tests, 1.
 */
void cpu_space_after(struct cpu *c, uint64_t n);

/* As mem_fork(), of the tables of the translations. */
void cpu_fork(struct cpu *c, bool too);

/* Makes cpu_run() return CPU_EXIT_KICK soon.  Any thread or signal handler. */
void cpu_kick(struct cpu *c);

/* The instruction at rip was emulated: rip += len, one more retired. */
void cpu_retire(struct cpu *c, unsigned len);

/*
 * Breakpoints, as DR0..3 and DR7 describe them.  One on an instruction raises
 * #DB before it, unless RF is set; one on data after the instruction, which
 * has retired then (but a string instruction may be at one of its elements).
 * So does TF.  The exit's error holds the DR6 bits: 1 << n, and CPU_DR6_BS.
 */
#define CPU_DR6_BS 0x4000u
/*
 * So it is of an instruction that the hypervisor completes (CPU_EXIT_PRIV), after its
 * cpu_retire(): by the next cpu_run(), before anything else.  After a load of ss the
 * processor holds back a watch's for one more instruction, and the single step's
 * altogether; if that instruction leads into the hypervisor otherwise, it is lost, as
 * on Xen, which meets it in its own code.  Until then nothing else may interrupt.
 */
bool cpu_debug_due(const struct cpu *c);
void cpu_set_debug(struct cpu *c, const uint64_t dr[4], uint64_t dr7);

/*
 * Breakpoints for a debugger outside, which the guest cannot notice.  cpu_run()
 * returns CPU_EXIT_DEBUG before the instruction, once for each time the CPU comes
 * there: the next cpu_run() executes it.  cpu_pass_break(): as if it had been
 * reported here already.  Where an exception leads away from an instruction
 * without retiring it, its handler's first instruction has the same icount.
 *
 * Watches (mem_set_watches()) are reported after the instruction has retired, or
 * where what interrupted it begins; a repeated string instruction counts as one.
 * Those by the hypervisor are reported before the next instruction.  A watch
 * comes before CPU_EXIT_TARGET at the same place, a breakpoint after it.
 */
struct cpu_break {
	gva_t va;
	uint8_t modes;   /* only in these: 1 << enum mem_mode; 0: in both */
	mfn_t root;      /* only while this is the kernel's root; MFN_NONE: always */
};
int cpu_set_breaks(struct cpu *c, const struct cpu_break *b, size_t n); /* replaces all; -1: no memory */
void cpu_pass_break(struct cpu *c);

/*
 * Executes the one instruction at rip, which just faulted on a write through
 * a read-only mapping, as if the page were writable, and hands the store out
 * instead of doing it.  0: retired, *w holds the store.  -1: it faulted in
 * another way or stores more than one aligned 1/2/4/8/16-byte datum; nothing
 * happened.
 */
int cpu_step_store(struct cpu *c, struct cpu_store *w);

/* The TSC at state.icount. */
uint64_t cpu_tsc(const struct cpu_state *s);

void cpu_save(const struct cpu *c, struct wbuf *w);
int cpu_load(struct cpu *c, struct rbuf *r); /* -1: malformed */

struct cpu_stats {
	uint64_t blocks;            /* translated so far */
	uint64_t guest_insns;       /* in them */
	uint64_t guest_bytes, host_bytes;
	uint64_t translate_ns;
	uint64_t cache_flushes;
	uint64_t exits[8];          /* by enum cpu_exit_reason */
	uint64_t tlb_slow, block_lookups, careful_steps, string_helpers;
	uint64_t code_invalidations, truncated_blocks;
};
const struct cpu_stats *cpu_stats(const struct cpu *c);

#endif
