/*
 * kern.h - what the attacks of the hostile kernel are written with.
 */
#ifndef HOSTILE_KERN_H
#define HOSTILE_KERN_H

#include <stddef.h>
#include <stdint.h>

#define __XEN_INTERFACE_VERSION__ 0x00040e00
#include <xen/xen.h>

enum { PAGE = 4096, POOL_PAGES = 2048 };
#define VIRT_BASE UINT64_C(0xffffffff80000000)
#define M2P ((const uint64_t *)UINT64_C(0xffff800000000000))
#define ROOM UINT64_C(0xffffc00000000000) /* an L4 slot of our own to play with */
#define USER UINT64_C(0x400000)           /* user mode's code; stack above */

enum { P = 1, RW = 2, US = 4, A = 0x20, D = 0x40, PS = 0x80 };

struct attack {
	const char *name;
	void (*run)(void);
};

extern const struct attack cpu_attacks[], code_attacks[], mmu_attacks[], call_attacks[],
	sched_attacks[], grant_attacks[], tour_attacks[], memory_attacks[],
	strict_attacks[];

extern struct start_info *info;
extern struct shared_info *shared;
extern uint64_t param; /* n= of the command line */
extern uint8_t pool[POOL_PAGES][PAGE];
extern uint8_t stack_bottom[], stack_top[], trap_stubs[];
extern uint8_t *user_page[64]; /* what make_user() put at USER, as the kernel sees it */
extern int trapped;
extern uint64_t guard_rsp;

/* start.S */
int guarded(void (*fn)(uint64_t), uint64_t arg);
void enter_user(const uint64_t frame[9], const uint64_t gpr[16]);

/* kern.c */
void *memset(void *p, int c, size_t n);
void *memcpy(void *to, const void *from, size_t n);
void put(const char *s);
void put_hex(const char *what, uint64_t v);
__attribute__((noreturn)) void fail(const char *why);
__attribute__((noreturn)) void power_off(void);
void check(int ok, const char *what);
uint64_t rnd(void);
uint64_t rnd_below(uint64_t n);
uint64_t rnd_wild(void); /* an address or number out of a bag of bad ones */
void rnd_fill(void *p, size_t n);
void set_traps(void);
uint64_t mfn_of(const void *p); /* of memory in the kernel image */
uint64_t read_pte(uint64_t va, int level, uint64_t *maddr);
void write_pte(uint64_t maddr, uint64_t val);
void *new_page(void);
void map(uint64_t va, uint64_t pte); /* makes the tables it needs, from the pool */
void map_in(uint64_t root_mfn, uint64_t va, uint64_t pte);
void alias_room(uint64_t mfn, uint64_t flags); /* all of ROOM's 512 GB shows one frame */
uint64_t make_user(void); /* a user root with code, data and stack; its mfn */
void arm_timer(uint64_t ns);   /* for who waits with SCHEDOP_block: events stay masked */
void set_timeout(uint64_t ns); /* an event ends guarded() then */
void end_timeout(void);
int attempt(void (*fn)(uint64_t), uint64_t arg); /* guarded(), with a timeout */

static inline uint64_t tsc(void)
{
	uint32_t lo, hi;

	__asm__ volatile ("rdtsc" : "=a"(lo), "=d"(hi));
	return lo | (uint64_t)hi << 32;
}

static inline int64_t hc(uint64_t nr, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e)
{
	register uint64_t r10 __asm__("r10") = d;
	register uint64_t r8 __asm__("r8") = e;
	uint64_t rax = nr;

	__asm__ volatile ("syscall" : "+a"(rax), "+D"(a), "+S"(b), "+d"(c), "+r"(r10), "+r"(r8)
		: : "rcx", "r11", "memory");
	return (int64_t)rax;
}

static inline uint64_t addr(const void *p) { return (uint64_t)(uintptr_t)p; }

#endif
