/*
 * insn.h - the instruction test suite's shared types.
 *
 * One test case is a short code sequence and the CPU state it starts from.  It
 * runs on the real CPU (native.c) and on both tiers of the engine (engine.c),
 * over the same bytes at the same virtual addresses, and all that a program
 * could observe afterwards is compared (compare.c).  Cases come from a seeded
 * generator (gen*.c) or are written by hand (cases.c).
 */
#ifndef TTD_TEST_INSN_H
#define TTD_TEST_INSN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- the address space every case sees (layout.c) ---- */

enum {
	PAGE = 4096,
	NFRAMES = 12, /* frames holding code, data and stack */
	CODE_FRAME = 0,
	CODE_PAGES = 2,
	MAX_CODE = 1024,
};

#define CODE_VA 0x20000000ull   /* two pages rwx, then nothing */
#define CODE_ALIAS 0x21000000ull /* the same frames, rw, not executable */
#define DATA_VA 0x30000000ull   /* rw rw rw r- rw, then nothing */
#define RO_VA 0x30003000ull
#define DATA2_VA 0x30004000ull
#define HOLE_VA 0x30005000ull
#define DATA_ALIAS 0x30010000ull /* the first data frame again */
#define STACK_VA 0x30021000ull  /* two pages, nothing on either side */
#define STACK_END (STACK_VA + 2 * PAGE)
#define HIGH_VA 0x123430001000ull /* low half is an address in DATA */
#define AUX_VA 0x3f000000ull    /* only macros of the generator use it */

/* Offsets in the AUX page.  The save slots hold x87 environments, of which
 * FIP, FDP and FOP are not compared. */
enum {
	AUX_COUNT = 0x000,  /* 8-byte loop counters, each starts at 3 */
	AUX_SLOT = 0x100,   /* 8-byte cells for jump targets, mxcsr, fcw */
	AUX_ENV32 = 0x200,
	AUX_ENV16 = 0x280,
	AUX_SAVE = 0x300,
	AUX_FXSAVE = 0x400,
	AUX_LDENV = 0x800,  /* images to load from */
	AUX_RSTOR = 0x900,
	AUX_FXRSTOR = 0xa00,
	AUX_XSAVE = 0xc00,
	AUX_VECTOR = 0xf60,
};

enum { PROT_R = 1, PROT_W = 2, PROT_X = 4 };

struct region {
	uint64_t va;
	unsigned frame, pages, prot;
};

extern const struct region layout[];
extern const unsigned layout_count;

/* Fills the NFRAMES * PAGE bytes that every case starts from. */
void layout_fill(uint8_t *mem, uint64_t seed);

/* ---- cases ---- */

enum { MAX_INSN = 96, MAX_GROUP = 32 };

enum fix {
	FIX_NONE,
	FIX_REL8,  /* branch to the first instruction of group `target` */
	FIX_REL32,
	FIX_ABS32, /* address of group `target`, plus addend */
	FIX_RIP,   /* rip-relative operand: address va */
};

/* Instructions are kept in groups; a branch leads to the start of a group and
 * the shrinker drops whole groups. */
struct insn {
	uint8_t b[15], len;
	uint8_t fix, fixoff, group, target;
	int32_t addend;
	uint64_t va;
};

struct tcase {
	struct insn in[MAX_INSN];
	unsigned n, groups;
	unsigned start; /* offset of the first instruction from CODE_VA */
	uint64_t seed, number;
	uint64_t gpr[16], rflags, fsbase, gsbase;
	uint8_t fx[512] __attribute__((aligned(16)));
	uint8_t ymmh[16][16]; /* upper halves */
	uint8_t kernel, code64, check_ad;
	uint8_t branches; /* rip does not tell how many instructions were executed */
	uint8_t no_step;  /* must not be single-stepped natively to count */
	uint8_t no_cpu;   /* the CPU's result does not count: vendors differ */
	uint64_t icount0; /* counters start here */
	/* Made by assemble(). */
	uint8_t code[MAX_CODE];
	unsigned code_len;
	uint16_t off[MAX_INSN + 1];
};

/* Lays out c->in and appends the sentinel, ud2.  False: a branch is too far. */
bool assemble(struct tcase *c);
/* Do these bytes begin with a near branch? */
bool is_branch(const uint8_t b[15], bool code64);

/* How a run ended.  vec < 0: no fault seen (ttd only: it hit its limit, or
 * left through another exit, named in `odd`). */
struct result {
	uint64_t gpr[16], rip, rflags;
	uint8_t fx[512], ymmh[16][16];
	int vec;
	uint32_t err;
	uint64_t cr2;
	uint64_t icount, brctr; /* differences; native: see counted */
	bool counted;
	const char *odd;
	const uint8_t *frame[NFRAMES];
	uint64_t ad; /* digest of the page tables, engine only */
};

/* ---- random numbers ---- */

struct rng {
	uint64_t s;
};

uint64_t rnd(struct rng *r);
static inline unsigned rndn(struct rng *r, unsigned n) { return (unsigned)((rnd(r) >> 11) % n); }
static inline bool chance(struct rng *r, unsigned pct) { return rndn(r, 100) < pct; }

/* ---- the generator (gen.c, gen_ea.c, gen_macro.c, gen_table.c, gen_vex.c) ---- */

enum class {
	CL_INT, CL_STRING, CL_BRANCH, CL_STACK, CL_X87, CL_SSE, CL_SMC, CL_SYSTEM, CL_MIX,
	CL_COMPAT, CL_AVX, CL_COUNT
};
extern const char *const class_names[CL_COUNT];

/* only < 0: any class. */
void generate(struct tcase *c, uint64_t seed, uint64_t number, int only);

/* ---- the real CPU (native.c) ---- */

enum { BATCH = 64 };
struct native;

struct native *native_start(const uint8_t *init);
void native_stop(struct native *n);
struct tcase *native_case(struct native *n, unsigned slot);
/* Runs slots 0..count-1; returns how many completed, and starts the worker
 * again when the next one killed it or did not end. */
unsigned native_run(struct native *n, unsigned count);
const struct result *native_result(struct native *n, unsigned slot);

/* ---- the engine (engine.c) ---- */

struct engine;

/* The instruction sets beyond x86-64-v2 that cases may use: all that this host has. */
uint64_t test_isa(void);
struct engine *engine_start(bool reference, const uint8_t *init);
void engine_stop(struct engine *e);
struct cpu *engine_cpu(struct engine *e);
struct mem *engine_mem(struct engine *e);
/* Memory and registers as the case wants them; `warm` keeps the code bytes. */
void engine_load(struct engine *e, const struct tcase *c, bool warm);
/* Runs on until `icount` instructions of the case have retired. */
void engine_run(struct engine *e, const struct tcase *c, uint64_t icount, struct result *r);

/* ---- comparison (compare.c) ---- */

/* True when equal.  Otherwise `why` names the first field that differs. */
bool compare(const struct tcase *c, const char *na, const struct result *a,
	const char *nb, const struct result *b, char *why, size_t size);
void print_case(const struct tcase *c);
/* The mnemonic of the last instruction, for grouping failures. */
void case_tag(const struct tcase *c, char *tag, size_t size);

/* Adds the case's instructions to counts by ZydisMnemonic. */
void count_mnemonics(const struct tcase *c, unsigned *seen);

/* ---- where vendors differ (vendor.c) ---- */

/* On this CPU the case may end otherwise than by the engine's rules; r: how it ended. */
bool vendor_decides(const struct tcase *c, const struct result *r);
/* The same of a hand-written case, by its name. */
bool vendor_decides_hand(const char *name);

/* ---- what the host does not do (host.c) ---- */

struct host {
	bool faults_int1, no_32, no_wild_stack;
};
extern struct host host;

void host_look(void);
/* Was rsp what this host does not let a program go on with? */
bool host_loses(const struct tcase *c, const struct result *r);

/* The address sanitizer's shadow fills memory that must fault: no CPU to compare with. */
#ifdef __SANITIZE_ADDRESS__
enum { CPU_HAS_SHADOW = 1 };
#else
enum { CPU_HAS_SHADOW = 0 };
#endif

/* ---- checking one case (check.c) ---- */

struct rig {
	struct native *native;
	struct engine *opt, *ref;
	bool engines; /* false: compare the CPU with itself */
	bool no_cpu;  /* compare the engines with each other only */
	const uint8_t *init;
};

enum verdict { SAME, DIFFERENT, SKIPPED, CRASHED };

/* nat: the native result when it is already there, or NULL. */
enum verdict check_case(struct rig *rig, struct tcase *c, const struct result *nat, char *why,
	size_t size);
/* Runs f in a child with new engines, so that a crash or a hang is only a
 * verdict.  The rig's own engines are not touched. */
enum verdict in_child(struct rig *rig, enum verdict (*f)(struct rig *, void *, char *, size_t),
	void *arg, char *why, size_t size);
enum verdict check_forked(struct rig *rig, struct tcase *c, char *why, size_t size);
/* Drops what the case does not need to fail. */
void shrink_case(struct rig *rig, struct tcase *c, char *why, size_t size);

/* ---- hand-written cases (cases.c, cases_mem.c) ---- */

/* Runs them all, or those whose name contains `only`; returns the failures. */
unsigned run_hand_cases(struct rig *rig, const char *only, unsigned *ran);

#endif
