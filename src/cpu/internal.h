/*
 * internal.h - the engine's own structures, for src/cpu only.
 *
 * How translated code runs.  A guest register lives in the host register of the same name,
 * rsp too.  The exceptions are r10, r11 and r15, which live in memory (cpu.s.gpr): the host's
 * r10 and r11 are scratch, and the host's r15 counts down,
 *	r15 = instructions left << 20 | 0xfffff - branches done
 * At each point of a block the guest's status flags are either in the host's flags or in
 * cpu.flags ("saved": ah as lahf leaves it, OF in al); see flags.c.  DF is always in the
 * host's flags.  Code, tables and struct cpu lie in the region (util/region.h), where an
 * address has 32 bits.
 *
 * Invariants
 *  C1. Wherever translated code can be left there is a site, and the site tells the exact
 *      state of the guest: rip, instructions and branches done, and where the flags are.
 *      From one instruction to the next, registers are kept where it says above or, in
 *      code of the mapped space, where the site says (RK1 to RK3 in regs.c).
 *  C2. A block is paid for in pieces, each of them subtracted from r15.  The first is paid at
 *      the block's head, where the budget is checked, and reaches to the first conditional
 *      branch; the next is paid after that branch, unchecked, and so on.  So a branch that is
 *      taken owes nothing, and an exit anywhere else gives back what its site says.
 *  C3. Code of user mode is position independent: where it runs is only in cpu.pcbase, the
 *      address of the page that is executed.  So one translation serves every mapping of its
 *      frame.  Code of kernel mode, and of the mapped space (BM_SPACE), has its address built
 *      in, and is looked up by it too.
 *  C4. Direct links join blocks of one page or of two.  Links between two pages, and both jump
 *      caches, are dropped when mmu_fetch_gen() says that a fetch translation has changed.  In
 *      user mode a link between pages joins two frames only if each is executed at a single
 *      address (mmu_fetched_once()): before a block runs at another, the link is gone.
 *  C5. A block with code of two frames consists of the one instruction that straddles them.  It
 *      is found by the first frame, and valid only while the second still follows.
 *  C6. In code of the mapped space an instruction's site comes before its first access of
 *      memory, and the guest can see nothing of the instruction before its last access has
 *      succeeded: a fault of the host's finds the guest as it was before the instruction.
 */
#ifndef TTD_CPU_INTERNAL_H
#define TTD_CPU_INTERNAL_H

#include <stddef.h>

#include "cpu/cpu.h"
#include "cpu/hot.h"
#include "cpu/insn.h"
#include "cpu/point.h"
#include "cpu/policy.h"
#include "cpu/recipe.h"
#include "mem/space.h"
#include "mem/tlb.h"
#include "util/region.h"

enum {
	CODE_SIZE = 35 << 20,
	COLD_SIZE = 21 << 20, /* fills at about the same time */
	META_SIZE = 64 << 20,
	PIECE = 2 << 20,      /* a huge page */
	CODE_SLACK = 128 << 10, /* room one block can need */
	META_SLACK = 64 << 10,
	HASH_BITS = 16,
	JC_SIZE = 1 << 16,
	COUNT_SHIFT = 20,
	COUNT_BRANCHES = (1 << COUNT_SHIFT) - 1,
	MAX_QUANTUM = 1 << 19,
	MAX_BLOCK = 48,      /* instructions in a block */
	MAX_RECIPES = 63,    /* in a block's sites */
	DECODED_BITS = 8, /* of the decode cache of what leaves translated code */
	LATE_CHECK = 16,     /* the check of a late one comes within this many */
	OVERRUN = MAX_BLOCK + LATE_CHECK, /* by fewer than this a budget may be overrun */
};

enum fstate { FL_HOST, FL_SAVED, FL_NONE, FL_RECIPE, FL_MASK = 3 };

/* What a block is keyed by, beside the physical address. */
enum block_mode {
	BM_USER = 1,
	BM_COMPAT = 2, /* 32-bit code */
	BM_TS = 4,     /* FP instructions raise #NM */
	BM_AC = 16,    /* operands must be aligned, else #AC */
	BM_PLAIN = 8,  /* every stack access checked by itself */
	BM_CAREFUL = 32, /* one instruction, by the careful path */
	BM_BASES = 64, /* 32-bit code with a segment whose base is not zero */
	BM_PASS = 128, /* breakpoints on its first instruction have been looked at */
	BM_SPACE = 256, /* user code of the mapped address space (mem/space.h): addresses as they are */
};

struct site {
	uint32_t host;  /* where to resume, in the region */
	uint32_t block; /* place of struct block in the region */
	uint16_t off;   /* guest instruction, in its page */
	uint8_t n, b;   /* instructions and branches paid for but not done */
	uint8_t fl;     /* enum fstate | number of the recipe << 2 */
	uint8_t len : 4;  /* of the instruction */
	uint8_t kept : 4; /* which of the guest's registers the host's r10 and r11 hold: regs.c */
	uint16_t size;  /* of the access; of a ret what it pops, of a call SITE_CALL */
};
enum { SITE_CALL = 0xffff, SITE_WRITE = 0x8000 /* a group's check, for writing */ };
enum { KEPT = 2, KEPT_BITS = 2 }; /* this many; bits of each in a site, r10's first */
/* A register as these bits have it, 0 being none; and back. */
static inline unsigned kept_code(int reg) { return reg == R10 ? 1 : reg == R11 ? 2 : 3; }
static inline int kept_reg(unsigned code) { return code == 1 ? R10 : code == 2 ? R11 : R15; }
_Static_assert(sizeof(struct site) == 16, "one site per instruction: keep it small");

struct block {
	uint64_t phys;  /* mfn << 12 | offset */
	uint64_t page;  /* kernel: virtual address of the page; user: 0 */
	mfn_t mfn2;     /* second frame of a straddling instruction, or MFN_NONE */
	struct block *hash_next, *frame_next, *frame2_next;
	struct link *in_links;
	struct recipe *recs;  /* by the numbers in its sites */
	struct recipe rec;    /* what its flags are on entry; REC_NONE: as the entries say */
	uint32_t entry_host;  /* guest flags in the host's */
	uint32_t entry_saved; /* guest flags in cpu.flags */
	uint32_t entry_far;   /* as saved, r11 = guest pc: from another page */
	uint16_t n;     /* instructions that retire in it: not one that leaves it */
	uint8_t first;  /* instructions paid for at its head (C2) */
	uint16_t mode;  /* enum block_mode */
	bool dead;
};

/*
 * A direct exit: a jump whose rel32 at `patch` goes to its stub or a block.  From one
 * page to another of user mode, where each switch of address spaces undoes the links,
 * the stub uses the jump cache until `left` is 0.
 */
struct link {
	struct link *next;  /* of the same target, or of the far list */
	struct block *from, *to;
	uint32_t patch, stub, left;
	uint64_t target;    /* kernel: guest virtual address; user: offset in page */
	uint8_t fl;
	struct recipe rec;  /* of the flags, at the back edge of a loop */
	bool plain;         /* to the target's plain translation */
	bool far;           /* target is in another page */
	bool listed;        /* is in cpu.far_links */
	struct link *far_next;
};
enum { LINK_USES = 16 }; /* so often the jump cache is used before a link is worth it */

struct jc_entry {
	uint64_t va, host;
};

/* A store of the careful path, not yet made. */
struct bounce {
	gva_t va;
	mfn_t mfn[2];
	uint16_t size;
	bool write;
	uint8_t *host;
};

/* Going on where rsp is no canonical address: fault.c. */
struct wild {
	uint64_t rsp, rip;  /* that it goes on with */
	uint64_t pc, count; /* where #GP came last, */
	unsigned tries;     /* this many times in a row */
};

struct cpu {
	struct cpu_state s; /* first: gpr[] are the homes and the spill area */

	/* What translated code names. */
	uint64_t flags;     /* saved status flags: low 16 bits, ah:al */
	uint64_t pcbase;
	uint64_t delta[16]; /* host minus guest address of a group's page, by base; not rsp */
	uint64_t tmp[4];
	uint64_t count;     /* r15 while outside */
	uint64_t host_rsp;
	uint64_t resume;    /* host address to go on at */
	uint64_t ret;       /* r11 when going on */
	uint64_t hostflags; /* RFLAGS on leaving translated code */
	uint32_t host_mxcsr, guest_df;
	uint8_t whole_fx;   /* x87 state too is to be loaded or saved, */
	uint8_t high;       /* and upper halves of ymm registers: glue.c */
	bool avx;           /* the guest may use these */

	/* What the slow paths tell the dispatcher. */
	enum leave leave;
	const struct site *site;
	struct link *link;
	struct cpu_exit x;
	uint64_t access_va; /* operand's address of the last slow access */
	bool noncanon;      /* cpu.x is #GP for a non-canonical address */

	/* Completes exits without leaving: quick_hot.c. */
	cpu_quick_fn *quick_fn;
	void *quick_ctx;
	bool quick;         /* what runs now may go on after one */

	struct mem *mem;
	struct mmu *mmu;    /* its own, of *mem */
	const bool *space_here; /* mem_space_here() */
	struct mem_fault space_fault; /* of the mapped space, */
	bool space_careful;           /* or this */
	enum cpu_tier tier;
	uint64_t shown, isa; /* sets of instructions: that CPUID shows; that execute now */
	uint8_t seed[CPU_SEED];
	uint64_t budget;    /* instructions handed out for this entry */
	uint64_t fetch_gen[2];
	volatile int kick;
	bool rep_cut;       /* left in the middle of a repeated string instruction, */
	uint64_t rep_at;    /* which is the one that icount has come to */

	/* Code cache. */
	uint8_t *code, *code_p, *code_end;
	uint8_t *cold, *cold_p, *cold_end; /* what rarely runs of it, apart */
	ptrdiff_t code_write;              /* from a place in either to where it is written */
	uint8_t *huge[2];                  /* both are in huge pages up to here */
	unsigned forks;                    /* of this process, when the code was its own */
	uint8_t *meta, *meta_p, *meta_end;
	struct site *sites, *site_p, *site_end;
	struct block **hash;
	struct block **frame_blocks; /* per frame */
	struct link *far_links[2];  /* by mem_mode */
	struct jc_entry (*jc)[JC_SIZE]; /* by mode */
	uint16_t *jc_used[2];
	uint32_t jc_nused[2];
	uint16_t jc_mode[2];        /* block mode of what is in it */
	uint8_t *glue_end;
	struct {
		uint32_t enter, slow_read, slow_write, slow_group, careful_read, careful_write;
		uint32_t link_host, link_saved, indirect, stop, special, syscall, fault, misaligned;
		uint32_t end, string, rdtsc, pushf, iret, to_seg, outside;
		uint32_t stack[2], stack_miss; /* by mem_mode */
		uint32_t space, space_careful, wild;
	} glue;
	struct wild wild;

	struct block *plain_next; /* run this one next instead of the block at rip */

	uint16_t string_flags; /* of the last comparison, until the instruction completes */

	/* Careful path. */
	struct bounce bounce[2];
	unsigned nbounce;
	bool store_nowhere; /* stores of the careful path always succeed and are lost */
	bool store_through; /* cpu_step_store(): ignore read-only */
	uint8_t *bounce_mem;

	/* Debug registers: debug_hot.c. */
	struct watch watch[4];
	bool watching, breaking;  /* some are on data, on instructions */
	uint8_t hits;             /* DR6 bits of the instruction just completed */
	uint16_t after;           /* of one that the hypervisor completes: if it does, they are */
	uint16_t held;            /* still to be reported: state, */
	bool shadow;              /* after one more instruction, as it was a load of ss */
	bool after_shadow;
	uint16_t breaks[BREAKS];  /* offsets in a page where translations stop */
	unsigned nbreaks;

	struct space_policy policy;
	struct points points;
	/* The instructions last decoded one by one, by their bytes and whether 64-bit. */
	struct decoded {
		uint8_t key[16];
		struct insn in;
	} decoded[1 << DECODED_BITS];

	struct cpu_stats stats;
	void *sigstack;
	uint64_t looked; /* when at the process's signals: fault.c */
};

/* (Not cpu_tsc() of a state made up for it: compilers call memset() to make one.) */
static inline uint64_t tsc_at(const struct cpu_state *s, uint64_t icount)
{
	return s->tsc_offset + (uint64_t)(((unsigned __int128)icount * s->tsc_mul) >> 32);
}

/* Somebody has written to cpu.s.fx or ymmh. */
static inline void fx_written(struct cpu *c)
{
	c->whole_fx = 1;
	c->high = c->avx;
}

static inline uint32_t lo(const void *p) { return (uint32_t)(uintptr_t)p; }
static inline struct block *site_block(const struct site *s)
{
	return region_at(s->block);
}
static inline bool has_bases(const struct cpu *c)
{
	return !c->s.code64 && (c->s.seg_base[SEG_ES] | c->s.seg_base[SEG_DS]) != 0;
}
static inline enum mem_mode block_mem_mode(const struct block *b)
{
	return b->mode & BM_USER ? MEM_USER : MEM_KERNEL;
}
/* Is its address built in?  (Else it is where pcbase says.) */
static inline bool mode_is_placed(unsigned mode) { return !(mode & BM_USER) || (mode & BM_SPACE); }
static inline uint64_t site_rip(const struct cpu *c, const struct site *s)
{
	const struct block *b = site_block(s);

	return (mode_is_placed(b->mode) ? b->page : c->pcbase) + s->off;
}

static inline unsigned block_hash(uint64_t phys, uint64_t page, unsigned mode)
{
	uint64_t h = phys * 0x9e3779b97f4a7c15u + page * 0xd6e8feb86659fd93u;

	return (unsigned)((h + mode * 0x7f4a7c15u) >> (64 - HASH_BITS));
}
static inline void link_set(const struct cpu *c, struct link *l, uint32_t to)
{
	put32((uint8_t *)region_at(l->patch) + c->code_write, to - (l->patch + 4));
}

/* cache.c: blocks, links, jump caches */
int cache_init(struct cpu *c, struct ttd_error *e);
void cache_free(struct cpu *c);
void cache_flush(struct cpu *c);       /* forget every translation */
void cache_own(struct cpu *c);         /* in a forked process: code of its own */
void cache_ahead(struct cpu *c);
void cache_drain(struct cpu *c);       /* obey what mem says changed */
bool cache_room(struct cpu *c);
struct block *cache_find(struct cpu *c, uint64_t va, unsigned mode, mfn_t mfn,
	const struct recipe *rec);
void cache_insert(struct cpu *c, struct block *b);
void cache_link(struct cpu *c, struct link *l, struct block *to); /* if that is allowed */
void *meta_alloc(struct cpu *c, size_t n);

/* glue.c */
void glue_build(struct cpu *c);
/* run.c */
void cpu_enter(struct cpu *c, const struct block *b, uint64_t budget);
struct block *block_at(struct cpu *c, unsigned mode, const struct recipe *rec);
bool x87_plain(const struct cpu *c);
/* step.c: one instruction at rip by the careful path; true: c->x is an exit */
bool step_careful(struct cpu *c);
bool insn_at(struct cpu *c, struct insn *in);
/* cpu.x is a fault: what comes before it or changes it.  False: there is none after all. */
bool refine_fault(struct cpu *c);
unsigned ac_unit(unsigned size); /* access.c */
/* trans.c */
enum trans_flags { TR_TEMP = 1, TR_CAREFUL = 2, TR_PASS = 4 /* like BM_PASS */ };
struct block *translate(struct cpu *c, uint64_t va, unsigned mode, unsigned limit,
	unsigned flags, const struct recipe *rec, struct mem_fault *f);
/* special.c: the instruction at rip; true: c->x is an exit for the hypervisor */
bool special_execute(struct cpu *c);
bool special_knows(const struct insn *in);
/* fault.c */
int fault_init(struct cpu *c, struct ttd_error *e);
void fault_enter(struct cpu *c); /* this thread runs c now */
void fault_forget(const struct cpu *c);

/* flags between rflags and cpu.flags */
uint16_t flags_pack(uint64_t rflags);
uint64_t flags_unpack(uint64_t rflags, uint16_t saved);

#endif
