/*
 * counters.c - every counter of a machine, by name, out of three tables: one
 * row per field, so that a new counter is one more row.
 */
#include "lib/vm.h"

#include <stdio.h>

#include "cpu/cpu.h"
#include "event/replay.h"
#include "lib/disks.h"
#include "mem/mem.h"
#include "mem/space.h"

struct row {
	const char *name;
	size_t offset;
};

#define ROW(prefix, type, field) {prefix #field, offsetof(struct type, field)}

static const struct row domain_rows[] = {
	ROW("", domain_stats, hypercalls),
	ROW("", domain_stats, exceptions),
	ROW("", domain_stats, upcalls),
	ROW("", domain_stats, syscalls),
};

static const struct row cpu_rows[] = {
	ROW("cpu.", cpu_stats, blocks),
	ROW("cpu.", cpu_stats, guest_insns),
	ROW("cpu.", cpu_stats, guest_bytes),
	ROW("cpu.", cpu_stats, host_bytes),
	ROW("cpu.", cpu_stats, translate_ns),
	ROW("cpu.", cpu_stats, cache_flushes),
	ROW("cpu.", cpu_stats, tlb_slow),
	ROW("cpu.", cpu_stats, block_lookups),
	ROW("cpu.", cpu_stats, careful_steps),
	ROW("cpu.", cpu_stats, string_helpers),
	ROW("cpu.", cpu_stats, code_invalidations),
	ROW("cpu.", cpu_stats, truncated_blocks),
};

static const struct row mem_rows[] = {
	ROW("mem.", mem_stats, fills),
	ROW("mem.", mem_stats, walks),
	ROW("mem.", mem_stats, flushes),
	ROW("mem.", mem_stats, invalidations),
};

static const struct row space_rows[] = {
	ROW("space.", space_stats, begun),
	ROW("space.", space_stats, faults),
	ROW("space.", space_stats, pages),
	ROW("space.", space_stats, unmapped),
};

static const char *const exit_names[] = {
	[CPU_EXIT_TARGET] = "target",
	[CPU_EXIT_KICK] = "kick",
	[CPU_EXIT_EXCEPTION] = "exception",
	[CPU_EXIT_INT] = "int",
	[CPU_EXIT_SYSCALL] = "syscall",
	[CPU_EXIT_SYSENTER] = "sysenter",
	[CPU_EXIT_PRIV] = "priv",
	[CPU_EXIT_DEBUG] = "debug",
};
_Static_assert(sizeof exit_names / sizeof *exit_names ==
	sizeof((struct cpu_stats *)NULL)->exits / sizeof(uint64_t), "a name for each");

static const struct row disk_rows[] = {
	ROW("", blk_stats, reads), ROW("", blk_stats, read_bytes),
	ROW("", blk_stats, writes), ROW("", blk_stats, written_bytes),
	ROW("", blk_stats, flushes), ROW("", blk_stats, discards), ROW("", blk_stats, errors),
};

typedef void counter_fn(void *ctx, const char *name, uint64_t value);

static void table(const struct row *rows, size_t n, const void *base, counter_fn *fn, void *ctx)
{
	for (size_t i = 0; base != NULL && i < n; i++)
		fn(ctx, rows[i].name, *(const uint64_t *)((const char *)base + rows[i].offset));
}

static void hypercalls(const struct domain_stats *s, counter_fn *fn, void *ctx)
{
	char name[64];

	for (unsigned i = 0; i < sizeof s->hypercall_count / sizeof *s->hypercall_count; i++) {
		if (s->hypercall_count[i] == 0)
			continue;
		if (log_hypercall_name(i) != NULL)
			snprintf(name, sizeof name, "hypercall.%s", log_hypercall_name(i));
		else
			snprintf(name, sizeof name, "hypercall.%u", i);
		fn(ctx, name, s->hypercall_count[i]);
	}
}

static void exits(const struct cpu_stats *s, counter_fn *fn, void *ctx)
{
	char name[64];

	for (size_t i = 0; s != NULL && i < sizeof exit_names / sizeof *exit_names; i++) {
		snprintf(name, sizeof name, "cpu.exit.%s", exit_names[i]);
		fn(ctx, name, s->exits[i]);
	}
}

static void disks(const struct ttd_vm *vm, counter_fn *fn, void *ctx)
{
	for (unsigned i = 0; i < disks_count(vm->disks); i++) {
		struct blk *b = disks_blk(vm->disks, i);
		struct blk_stats s;
		char name[64];

		blk_get_stats(b, &s);
		for (size_t k = 0; k < sizeof disk_rows / sizeof *disk_rows; k++) {
			snprintf(name, sizeof name, "disk.%.16s.%s", disk_name(blk_disk(b)),
				disk_rows[k].name);
			fn(ctx, name, *(const uint64_t *)((const char *)&s + disk_rows[k].offset));
		}
	}
}

#define COUNT(rows) (sizeof rows / sizeof *(rows))

void ttd_vm_counters(struct ttd_vm *vm, counter_fn *fn, void *ctx)
{
	const struct cpu_stats *cs = domain_cpu_stats(vm->domain);
	struct domain_stats ds;

	domain_get_stats(vm->domain, &ds);
	table(domain_rows, COUNT(domain_rows), &ds, fn, ctx);
	hypercalls(&ds, fn, ctx);
	table(cpu_rows, COUNT(cpu_rows), cs, fn, ctx);
	exits(cs, fn, ctx);
	disks(vm, fn, ctx);
	table(mem_rows, COUNT(mem_rows), domain_mem_stats(vm->domain), fn, ctx);
	table(space_rows, COUNT(space_rows), domain_space_stats(vm->domain), fn, ctx);
}

void ttd_vm_position(struct ttd_vm *vm, struct ttd_position *pos)
{
	struct domain_stats ds;

	domain_get_stats(vm->domain, &ds);
	pos->icount = ds.icount;
	pos->brctr = ds.brctr;
	pos->guest_ns = ds.guest_ns;
	pos->mem_digest = ds.mem_digest;
}
