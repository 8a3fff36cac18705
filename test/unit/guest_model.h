/*
 * guest_model.h - a very small guest that is made by hand: BTF, symbols, three
 * tasks, a mapped program with unwind tables, messages, a module, a stack.
 * Tests look at it as it is, fuzzers after they have spoilt it.
 *
 * All addresses whose upper bits are equal are mapped, in both halves, again
 * and again onto the same MODEL_PAGES frames: so a wrong pointer, too, leads
 * somewhere, and a walk that follows it must end by itself.
 */
#ifndef TTD_TEST_GUEST_MODEL_H
#define TTD_TEST_GUEST_MODEL_H

#include <stdlib.h>
#include <string.h>

#include "inspect/user.h"
#include "util/bytes.h"

enum { MODEL_PAGES = 32, MODEL_TABLES = 4, MODEL_BYTES = MODEL_PAGES * PAGE_SIZE };
#define MODEL_BASE UINT64_C(0xffffffff81000000)
#define MODEL_USER UINT64_C(0x400000)

/* What a row leaves out is zero. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

/* ---- BTF ---- */

/* type: 1, 2, 4, 8 bytes; negative: an earlier structure, by its place in the table. */
struct model_member {
	const char *name;
	unsigned offset;
	int type;
	unsigned count; /* 0: no array */
	unsigned shift, width; /* of a bit field */
};
struct model_struct {
	const char *name;
	unsigned size;
	struct model_member m[20];
};

enum { S_LIST = 1, S_ATOMIC, S_KUID, S_THREAD, S_LPOS, S_DESCS, S_TEXT, S_DEV, S_MODARCH,
	S_LAYOUT, S_MAPLE, S_QSTR, S_HASH, S_PATH, S_XARRAY };

static const struct model_struct model_structs[] = {
	{ "list_head", 16, { { "next", 0, 8 }, { "prev", 8, 8 } } },
	{ "atomic", 8, { { "counter", 0, 8 } } },
	{ "kuid", 4, { { "val", 0, 4 } } },
	{ "thread_struct", 8, { { "sp", 0, 8 } } },
	{ "lpos", 16, { { "begin", 0, 8 }, { "next", 8, 8 } } },
	{ "descs", 40, { { "count_bits", 0, 4 }, { "descs", 8, 8 }, { "infos", 16, 8 },
		{ "head_id", 24, -S_ATOMIC }, { "tail_id", 32, -S_ATOMIC } } },
	{ "text", 16, { { "size_bits", 0, 4 }, { "data", 8, 8 } } },
	{ "dev", 64, { { "subsystem", 0, 1, 16 }, { "device", 16, 1, 48 } } },
	{ "modarch", 24, { { "num_orcs", 0, 4 }, { "orc_unwind_ip", 8, 8 }, { "orc_unwind", 16, 8 } } },
	{ "layout", 16, { { "base", 0, 8 }, { "size", 8, 4 } } },
	{ "maple_tree", 8, { { "ma_root", 0, 8 } } },
	{ "qstr", 8, { { "name", 0, 8 } } },
	{ "hash", 16, { { "next", 0, 8 }, { "pprev", 8, 8 } } },
	{ "path", 16, { { "mnt", 0, 8 }, { "dentry", 8, 8 } } },
	{ "xarray", 8, { { "xa_head", 0, 8 } } },
	{ "task_struct", 192, { { "pid", 0, 4 }, { "tgid", 4, 4 }, { "mm", 8, 8 },
		{ "comm", 16, 1, 16 }, { "tasks", 32, -S_LIST }, { "thread_node", 48, -S_LIST },
		{ "signal", 64, 8 }, { "stack", 72, 8 }, { "thread", 80, -S_THREAD },
		{ "__state", 88, 4 }, { "exit_state", 92, 4 }, { "flags", 96, 4 },
		{ "real_parent", 104, 8 }, { "real_cred", 112, 8 }, { "utime", 120, 8 },
		{ "stime", 128, 8 }, { "start_boottime", 136, 8 }, { "worker_private", 144, 8 } } },
	{ "signal_struct", 16, { { "thread_head", 0, -S_LIST } } },
	{ "cred", 8, { { "euid", 0, -S_KUID } } },
	{ "kthread", 8, { { "data", 0, 8 } } },
	{ "worker", 48, { { "pool", 0, 8 }, { "current_work", 8, 8 }, { "desc", 16, 1, 24 } } },
	{ "mm_rss_stat", 32, { { "count", 0, 8, 4 } } },
	{ "mm_struct", 160, { { "pgd", 0, 8 }, { "mm_mt", 8, -S_MAPLE }, { "arg_start", 16, 8 },
		{ "arg_end", 24, 8 }, { "exe_file", 32, 8 }, { "total_vm", 40, 8 },
		{ "rss_stat", 48, -21 }, { "brk", 80, 8 }, { "start_brk", 88, 8 },
		{ "start_stack", 96, 8 } } },
	{ "maple_range_64", 256, { { "parent", 0, 8 }, { "pivot", 8, 8, 15 }, { "slot", 128, 8, 16 } } },
	{ "maple_arange_64", 256, { { "parent", 0, 8 }, { "pivot", 8, 8, 9 }, { "slot", 80, 8, 10 } } },
	{ "vm_area_struct", 64, { { "vm_start", 0, 8 }, { "vm_end", 8, 8 }, { "vm_flags", 16, 8 },
		{ "vm_file", 24, 8 }, { "vm_pgoff", 32, 8 }, { "vm_ops", 40, 8 },
		{ "vm_private_data", 48, 8 } } },
	{ "file", 40, { { "f_path", 0, -S_PATH }, { "f_inode", 16, 8 }, { "f_mapping", 24, 8 } } },
	{ "dentry", 64, { { "d_name", 0, -S_QSTR }, { "d_parent", 8, 8 }, { "d_hash", 16, -S_HASH },
		{ "d_op", 32, 8 } } },
	{ "dentry_operations", 8, { { "d_dname", 0, 8 } } },
	{ "mount", 32, { { "mnt_parent", 0, 8 }, { "mnt_mountpoint", 8, 8 }, { "mnt", 16, 8 } } },
	{ "inode", 32, { { "i_ino", 0, 8 }, { "i_sb", 8, 8 }, { "i_size", 16, 8 } } },
	{ "super_block", 8, { { "s_dev", 0, 4 } } },
	{ "address_space", 24, { { "host", 0, 8 }, { "i_pages", 8, -S_XARRAY } } },
	{ "xa_node", 520, { { "shift", 0, 1 }, { "slots", 8, 8, 64 } } },
	{ "page", 64, { { "index", 0, 8 } } },
	{ "vm_operations_struct", 8, { { "name", 0, 8 } } },
	{ "vm_special_mapping", 8, { { "name", 0, 8 } } },
	{ "printk_ringbuffer", 56, { { "desc_ring", 0, -S_DESCS }, { "text_data_ring", 40, -S_TEXT } } },
	{ "prb_desc", 24, { { "state_var", 0, -S_ATOMIC }, { "text_blk_lpos", 8, -S_LPOS } } },
	{ "printk_info", 88, { { "seq", 0, 8 }, { "ts_nsec", 8, 8 }, { "text_len", 16, 2 },
		{ "facility", 18, 1 }, { "level", 19, 1, 0, 5, 3 }, { "caller_id", 20, 4 },
		{ "dev_info", 24, -S_DEV } } },
	{ "module", 160, { { "state", 0, 4 }, { "list", 8, -S_LIST }, { "name", 24, 1, 56 },
		{ "core_layout", 80, -S_LAYOUT }, { "kallsyms", 96, 8 }, { "arch", 104, -S_MODARCH } } },
	{ "mod_kallsyms", 32, { { "symtab", 0, 8 }, { "num_symtab", 8, 4 }, { "strtab", 16, 8 },
		{ "typetab", 24, 8 } } },
	{ "orc_entry", 6, { { "sp_offset", 0, 2 }, { "bp_offset", 2, 2 }, { "sp_reg", 4, 2, 0, 0, 4 },
		{ "bp_reg", 4, 2, 0, 4, 4 }, { "type", 5, 2, 0, 0, 2 }, { "end", 5, 2, 0, 2, 1 } } },
	{ "thread_union", 4096, { { "stack", 0, 8, 512 } } },
	{ "inactive_task_frame", 56, { { "bp", 40, 8 }, { "ret_addr", 48, 8 } } },
	{ "pt_regs", 168, { { "r15", 0, 8 }, { "r14", 8, 8 }, { "r13", 16, 8 }, { "r12", 24, 8 },
		{ "bp", 32, 8 }, { "bx", 40, 8 }, { "r11", 48, 8 }, { "r10", 56, 8 }, { "r9", 64, 8 },
		{ "r8", 72, 8 }, { "ax", 80, 8 }, { "cx", 88, 8 }, { "dx", 96, 8 }, { "si", 104, 8 },
		{ "di", 112, 8 }, { "ip", 128, 8 }, { "cs", 136, 8 }, { "flags", 144, 8 },
		{ "sp", 152, 8 } } },
};
enum { MODEL_STRUCTS = sizeof model_structs / sizeof *model_structs };

static uint32_t model_string(struct wbuf *s, const char *text)
{
	uint32_t at = (uint32_t)s->len;

	wbuf_put(s, text, strlen(text) + 1);
	return at;
}

/* Ids: 1 to 4 are integers, then the structures, then arrays as they are needed. */
static uint32_t model_type(int type)
{
	return type < 0 ? 4 + (uint32_t)-type : type == 1 ? 1 : type == 2 ? 2 : type == 4 ? 3 : 4;
}

static void model_one(struct wbuf *t, struct wbuf *s, const struct model_struct *st,
	struct wbuf *arrays, uint32_t *next)
{
	uint32_t n = 0;
	bool fields = false;

	while (n < 20 && st->m[n].name != NULL)
		fields |= st->m[n++].width != 0;
	wbuf_u32(t, model_string(s, st->name));
	wbuf_u32(t, 4u << 24 | n | (fields ? 1u << 31 : 0));
	wbuf_u32(t, st->size);
	for (uint32_t i = 0; i < n; i++) {
		const struct model_member *m = &st->m[i];
		uint32_t type = model_type(m->type);

		if (m->count != 0) {
			wbuf_u32(arrays, 0);
			wbuf_u32(arrays, 3u << 24);
			wbuf_u32(arrays, 0);
			wbuf_u32(arrays, type);
			wbuf_u32(arrays, 3);
			wbuf_u32(arrays, m->count);
			type = (*next)++;
		}
		wbuf_u32(t, model_string(s, m->name));
		wbuf_u32(t, type);
		wbuf_u32(t, (m->offset * 8 + m->shift) | m->width << 24);
	}
}

static void model_btf(struct wbuf *w)
{
	static const unsigned sizes[] = { 1, 2, 4, 8 };
	struct wbuf t = {0}, s = {0}, arrays = {0};
	uint32_t next = 5 + MODEL_STRUCTS;

	wbuf_u8(&s, 0);
	for (unsigned i = 0; i < 4; i++) {
		wbuf_u32(&t, model_string(&s, "int"));
		wbuf_u32(&t, 1u << 24);
		wbuf_u32(&t, sizes[i]);
		wbuf_u32(&t, sizes[i] * 8);
	}
	for (unsigned i = 0; i < MODEL_STRUCTS; i++)
		model_one(&t, &s, &model_structs[i], &arrays, &next);
	wbuf_put(&t, arrays.p, arrays.len);
	wbuf_u16(w, 0xeb9f);
	wbuf_u16(w, 1);
	wbuf_u32(w, 24);
	wbuf_u32(w, 0);
	wbuf_u32(w, (uint32_t)t.len);
	wbuf_u32(w, (uint32_t)t.len);
	wbuf_u32(w, (uint32_t)s.len);
	wbuf_put(w, t.p, t.len);
	wbuf_put(w, s.p, s.len);
	wbuf_free(&t);
	wbuf_free(&s);
	wbuf_free(&arrays);
}

/* ---- the guest ---- */

struct model {
	struct mem *mem;
	struct cpu_state cpu;
	struct guest_view v;
	uint8_t *at; /* the MODEL_BYTES after MODEL_BASE */
};

/* Offsets of things in those bytes; MODEL_BASE + offset is their address. */
enum {
	AT_INIT = 0x1000, AT_TASK1 = 0x1100, AT_TASK2 = 0x1200, AT_THREAD = 0x1300,
	AT_SIGNAL1 = 0x1400, AT_SIGNAL2 = 0x1420, AT_CRED = 0x1440, AT_MM = 0x1500,
	AT_NODE = 0x1600, AT_VMA1 = 0x1700, AT_VMA2 = 0x1740, AT_FILE = 0x1780, AT_DENTRY = 0x1800,
	AT_ROOT = 0x1840, AT_MOUNT = 0x1880, AT_INODE = 0x18c0, AT_SUPER = 0x18e0,
	AT_MAPPING = 0x18f0, AT_NAME = 0x1920, AT_PRB = 0x1a00, AT_PRBP = 0x1a80, AT_DESCS = 0x1b00,
	AT_INFOS = 0x1c00, AT_TEXTS = 0x2000, AT_MODULES = 0x2200, AT_MODULE = 0x2280,
	AT_MODSYMS = 0x2380, AT_SYMTAB = 0x23a0, AT_STRTAB = 0x2400, AT_ORCIP = 0x2500,
	AT_ORC = 0x2540, AT_CURRENT = 0x2600, AT_STACK1 = 0x3000, AT_STACK2 = 0x4000,
	AT_TEXT = 0x5000, AT_PAGES = 0x6000, AT_FRAMES = 0x6100, AT_PROGRAM = 0x8000,
	AT_USTACK = 0xa000, AT_MODCODE = 0xc000, AT_PGD = 0x1f000,
};
#define MODEL_ADDR(off) (MODEL_BASE + (off))

static void model_put(struct model *m, unsigned at, uint64_t value)
{
	put64(m->at + at, value);
}

static void model_tables(struct mem *mem)
{
	for (unsigned level = 0; level < MODEL_TABLES; level++) {
		uint8_t *t = mem_frame(mem, MEM_FIRST_MFN + MODEL_PAGES + level);

		for (unsigned i = 0; i < 512; i++) {
			mfn_t mfn = MEM_FIRST_MFN + (level == 3 ? i % MODEL_PAGES
				: MODEL_PAGES + level + 1);

			put64(t + i * 8, mfn << PAGE_SHIFT | PTE_P | PTE_A | PTE_RW | PTE_US);
		}
	}
	mmu_set_root(mem_mmu(mem, 0), MEM_KERNEL, MEM_FIRST_MFN + MODEL_PAGES);
	mmu_set_root(mem_mmu(mem, 0), MEM_USER, MEM_FIRST_MFN + MODEL_PAGES);
}

static void model_list(struct model *m, const unsigned *at, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		model_put(m, at[i], MODEL_ADDR(at[(i + 1) % n]));
		model_put(m, at[i] + 8, MODEL_ADDR(at[(i + n - 1) % n]));
	}
}

static void model_task(struct model *m, unsigned at, uint32_t tid, uint32_t pid, const char *comm,
	unsigned signal, unsigned stack)
{
	put32(m->at + at, tid);
	put32(m->at + at + 4, pid);
	strcpy((char *)m->at + at + 16, comm);
	model_put(m, at + 64, MODEL_ADDR(signal));
	model_put(m, at + 72, MODEL_ADDR(stack));
	model_put(m, at + 80, MODEL_ADDR(stack + 0xd00));
	put32(m->at + at + 88, 1);
	model_put(m, at + 104, MODEL_ADDR(AT_INIT));
	model_put(m, at + 112, MODEL_ADDR(AT_CRED));
	model_put(m, at + 136, 1000000000);
}

static void model_processes(struct model *m)
{
	static const unsigned tasks[] = { AT_INIT + 32, AT_TASK1 + 32, AT_TASK2 + 32 };
	static const unsigned threads1[] = { AT_SIGNAL1, AT_TASK1 + 48 };
	static const unsigned threads2[] = { AT_SIGNAL2, AT_TASK2 + 48, AT_THREAD + 48 };

	model_task(m, AT_INIT, 0, 0, "swapper", AT_SIGNAL1, AT_STACK1);
	model_task(m, AT_TASK1, 1, 1, "kthread", AT_SIGNAL1, AT_STACK1);
	model_task(m, AT_TASK2, 7, 7, "prog", AT_SIGNAL2, AT_STACK2);
	model_task(m, AT_THREAD, 8, 7, "thread", AT_SIGNAL2, AT_STACK2);
	model_list(m, tasks, 3);
	model_list(m, threads1, 2);
	model_list(m, threads2, 3);
	put32(m->at + AT_TASK1 + 96, 0x200000);
	put32(m->at + AT_CRED, 1234);
	model_put(m, AT_TASK2 + 8, MODEL_ADDR(AT_MM));
	model_put(m, AT_THREAD + 8, MODEL_ADDR(AT_MM));
	model_put(m, AT_CURRENT, MODEL_ADDR(AT_TASK2));
}

static void model_maps(struct model *m)
{
	model_put(m, AT_MM, MODEL_ADDR(AT_PGD));
	model_put(m, AT_MM + 8, MODEL_ADDR(AT_NODE) | 1 << 3 | 6);
	model_put(m, AT_MM + 16, MODEL_USER + AT_NAME);
	model_put(m, AT_MM + 24, MODEL_USER + AT_NAME + 5);
	model_put(m, AT_MM + 32, MODEL_ADDR(AT_FILE));
	model_put(m, AT_MM + 40, 3);
	model_put(m, AT_MM + 48, 2);
	model_put(m, AT_MM + 96, MODEL_USER + AT_USTACK + 64);
	model_put(m, AT_NODE + 8, MODEL_USER - 1);
	model_put(m, AT_NODE + 16, MODEL_USER + 0x8fff);
	model_put(m, AT_NODE + 24, MODEL_USER + 0x9fff);
	model_put(m, AT_NODE + 32, MODEL_USER + 0xafff);
	model_put(m, AT_NODE + 128 + 8, MODEL_ADDR(AT_VMA1));
	model_put(m, AT_NODE + 128 + 24, MODEL_ADDR(AT_VMA2));
	model_put(m, AT_VMA1, MODEL_USER + AT_PROGRAM);
	model_put(m, AT_VMA1 + 8, MODEL_USER + AT_PROGRAM + 0x1000);
	model_put(m, AT_VMA1 + 16, 5);
	model_put(m, AT_VMA1 + 24, MODEL_ADDR(AT_FILE));
	model_put(m, AT_VMA2, MODEL_USER + AT_USTACK);
	model_put(m, AT_VMA2 + 8, MODEL_USER + AT_USTACK + 0x1000);
	model_put(m, AT_VMA2 + 16, 3);
	model_put(m, AT_FILE, MODEL_ADDR(AT_MOUNT + 16));
	model_put(m, AT_FILE + 8, MODEL_ADDR(AT_DENTRY));
	model_put(m, AT_FILE + 16, MODEL_ADDR(AT_INODE));
	model_put(m, AT_FILE + 24, MODEL_ADDR(AT_MAPPING));
	model_put(m, AT_DENTRY, MODEL_ADDR(AT_NAME));
	model_put(m, AT_DENTRY + 8, MODEL_ADDR(AT_ROOT));
	model_put(m, AT_DENTRY + 24, 1);
	model_put(m, AT_ROOT, MODEL_ADDR(AT_NAME + 5));
	model_put(m, AT_ROOT + 8, MODEL_ADDR(AT_ROOT));
	model_put(m, AT_MOUNT, MODEL_ADDR(AT_MOUNT));
	model_put(m, AT_INODE, 42);
	model_put(m, AT_INODE + 8, MODEL_ADDR(AT_SUPER));
	model_put(m, AT_INODE + 16, 0x1000);
	put32(m->at + AT_SUPER, 3 << 20 | 9);
	model_put(m, AT_MAPPING, MODEL_ADDR(AT_INODE));
	/* One page, the one that is mapped: its struct page is the array's ninth. */
	model_put(m, AT_MAPPING + 8, MODEL_ADDR(AT_PAGES));
	strcpy((char *)m->at + AT_NAME, "prog");
}

static void model_message(struct model *m, unsigned i, const char *text)
{
	unsigned len = (unsigned)strlen(text), at = i * 64;

	model_put(m, AT_DESCS + i * 24, UINT64_C(2) << 62 | (100 + i));
	model_put(m, AT_DESCS + i * 24 + 8, at);
	model_put(m, AT_DESCS + i * 24 + 16, at + 64);
	model_put(m, AT_INFOS + i * 88, i);
	model_put(m, AT_INFOS + i * 88 + 8, i * UINT64_C(1500000000));
	put16(m->at + AT_INFOS + i * 88 + 16, (uint16_t)len);
	m->at[AT_INFOS + i * 88 + 19] = (uint8_t)(i << 5);
	model_put(m, AT_TEXTS + at, 100 + i);
	memcpy(m->at + AT_TEXTS + at + 8, text, len);
}

static void model_printk(struct model *m)
{
	model_put(m, AT_PRBP, MODEL_ADDR(AT_PRB));
	put32(m->at + AT_PRB, 2);
	model_put(m, AT_PRB + 8, MODEL_ADDR(AT_DESCS));
	model_put(m, AT_PRB + 16, MODEL_ADDR(AT_INFOS));
	model_put(m, AT_PRB + 24, 102);
	model_put(m, AT_PRB + 32, 100);
	put32(m->at + AT_PRB + 40, 8);
	model_put(m, AT_PRB + 48, MODEL_ADDR(AT_TEXTS));
	model_message(m, 0, "first");
	model_message(m, 1, "two\nlines");
	model_message(m, 2, "open");
	/* Ids are their place in the array, modulo four: 100 % 4 is 0. */
	model_put(m, AT_DESCS + 2 * 24, UINT64_C(1) << 62 | 102);
}

static void model_module(struct model *m)
{
	static const unsigned modules[] = { AT_MODULES, AT_MODULE + 8 };

	model_list(m, modules, 2);
	strcpy((char *)m->at + AT_MODULE + 24, "mod");
	model_put(m, AT_MODULE + 80, MODEL_ADDR(AT_MODCODE));
	put32(m->at + AT_MODULE + 88, 0x1000);
	model_put(m, AT_MODULE + 96, MODEL_ADDR(AT_MODSYMS));
	model_put(m, AT_MODSYMS, MODEL_ADDR(AT_SYMTAB));
	put32(m->at + AT_MODSYMS + 8, 2);
	model_put(m, AT_MODSYMS + 16, MODEL_ADDR(AT_STRTAB));
	put32(m->at + AT_SYMTAB + 24, 1);
	m->at[AT_SYMTAB + 24 + 4] = 2;
	model_put(m, AT_SYMTAB + 24 + 8, MODEL_ADDR(AT_MODCODE + 0x100));
	strcpy((char *)m->at + AT_STRTAB + 1, "mod_open");
}

/* { sp_offset, bp_offset, regs, type } of code from AT_TEXT + off on. */
static void model_orc(struct model *m, unsigned i, unsigned off, int16_t sp, unsigned type)
{
	uint8_t *e = m->at + AT_ORC + i * 6;

	put32(m->at + AT_ORCIP + i * 4, (uint32_t)(AT_TEXT + off - (AT_ORCIP + i * 4)));
	put16(e, (uint16_t)sp);
	put16(e + 2, 0);
	e[4] = 5; /* sp_reg SP, bp_reg undefined */
	e[5] = (uint8_t)type;
}

/*
 * switch_to (0x10) <- sleep (0x100, 16 bytes of its own) <- syscall (0x200),
 * which has saved the program's registers.
 */
static void model_stack(struct model *m, unsigned stack)
{
	unsigned sp = stack + 0xd00;

	model_put(m, sp + 48, MODEL_ADDR(AT_TEXT + 0x10));
	model_put(m, sp + 56, MODEL_ADDR(AT_TEXT + 0x110));
	model_put(m, sp + 64 + 16, MODEL_ADDR(AT_TEXT + 0x210));
	sp = stack + 0x1000 - 168;
	model_put(m, sp + 128, MODEL_USER + AT_PROGRAM + 0x210);
	model_put(m, sp + 136, 0xe033);
	model_put(m, sp + 152, MODEL_USER + AT_USTACK + 0x20);
}

static void model_kernel_stacks(struct model *m)
{
	model_orc(m, 0, 0, 8, 0);
	model_orc(m, 1, 0x100, 24, 0);
	/* After two frames sp is stack + 0xd58. */
	model_orc(m, 2, 0x200, 0x1000 - 168 - 0xd58, 1);
	model_orc(m, 3, 0x300, 0, 4);
	model_stack(m, AT_STACK1);
	model_stack(m, AT_STACK2);
}

/* ---- the program ---- */

static void model_leb(struct wbuf *w, const char *bytes, size_t n)
{
	wbuf_put(w, bytes, n);
}

/* A record of .eh_frame: its length is filled in. */
static void model_record(struct wbuf *w, const struct wbuf *body)
{
	wbuf_u32(w, (uint32_t)body->len);
	wbuf_put(w, body->p, body->len);
}

/* Two functions, 0x200 with 8 bytes of its own and 0x300, which nobody called. */
static void model_eh_frame(struct wbuf *w, uint32_t addr)
{
	struct wbuf b = {0};
	uint32_t cie = (uint32_t)w->len;

	wbuf_u32(&b, 0);
	model_leb(&b, "\x01zR\0\x01\x78\x10\x01\x1b", 9); /* ra 16, pc-relative */
	model_leb(&b, "\x0c\x07\x08\x90\x01", 5); /* cfa = rsp + 8, rip at cfa - 8 */
	model_leb(&b, "\0\0", 2);
	model_record(w, &b);
	for (unsigned i = 0; i < 2; i++) {
		b.len = 0;
		wbuf_u32(&b, (uint32_t)w->len + 4 - cie);
		wbuf_u32(&b, 0x200 + i * 0x100 - (addr + (uint32_t)w->len + 8));
		wbuf_u32(&b, 0x100);
		if (i == 0)
			model_leb(&b, "\0\x41\x0e\x10\0\0\0", 7); /* from byte 1 on: cfa = rsp + 16 */
		else
			model_leb(&b, "\0\x07\x10\0\0\0\0", 7); /* rip is undefined */
		model_record(w, &b);
	}
	wbuf_u32(w, 0);
	wbuf_free(&b);
}

static void model_program(struct model *m)
{
	uint8_t *p = m->at + AT_PROGRAM;
	struct wbuf w = {0};

	memcpy(p, "\x7f" "ELF\x02\x01\x01", 7);
	put64(p + 32, 64); /* e_phoff */
	put16(p + 54, 56);
	put16(p + 56, 2);
	put32(p + 64, 1); /* PT_LOAD, all of the page at 0 */
	put64(p + 64 + 32, 0x1000);
	put32(p + 120, 0x6474e550); /* PT_GNU_EH_FRAME */
	put64(p + 120 + 8, 0x800);
	put64(p + 120 + 16, 0x800);
	put64(p + 120 + 32, 8);
	memcpy(p + 0x800, "\x01\x1b\xff\xff", 4);
	put32(p + 0x804, 0x900 - 0x804);
	model_eh_frame(&w, 0x900);
	memcpy(p + 0x900, w.p, w.len);
	wbuf_free(&w);
	/* 0x210 was called from 0x305. */
	model_put(m, AT_USTACK + 0x20 + 8, MODEL_USER + AT_PROGRAM + 0x305);
}

static struct symbols *model_symbols(void)
{
	static const struct { const char *name; unsigned at; char type; } list[] = {
		{ "init_task", AT_INIT, 'D' }, { "prb", AT_PRBP, 'd' }, { "modules", AT_MODULES, 'D' },
		{ "_stext", AT_TEXT, 'T' },
		{ "_etext", AT_TEXT + 0x400, 'T' }, { "switch_to", AT_TEXT + 0x10, 't' },
		{ "sleep", AT_TEXT + 0x100, 'T' }, { "syscall", AT_TEXT + 0x200, 'T' },
		{ "start", AT_TEXT + 0x300, 'T' }, { "__start_orc_unwind_ip", AT_ORCIP, 'R' },
		{ "__stop_orc_unwind_ip", AT_ORCIP + 16, 'R' },
		{ "__start_orc_unwind", AT_ORC, 'R' }, { "vmemmap_base", AT_FRAMES, 'D' },
		{ "page_offset_base", AT_FRAMES + 8, 'D' }, { "_end", MODEL_BYTES, 'B' },
	};
	struct symbols *s = symbols_new();

	for (unsigned i = 0; i < sizeof list / sizeof *list; i++)
		symbols_add(s, MODEL_ADDR(list[i].at), list[i].type, list[i].name,
			strlen(list[i].name));
	symbols_add(s, AT_CURRENT, 'D', "current_task", 12); /* from the per-cpu area's start */
	symbols_sort(s);
	return s;
}

static inline void model_make(struct model *m)
{
	struct wbuf btf = {0};

	memset(m, 0, sizeof *m);
	m->mem = mem_create(MODEL_PAGES + MODEL_TABLES, 0, NULL);
	model_tables(m->mem);
	m->at = mem_frame(m->mem, MEM_FIRST_MFN);
	model_processes(m);
	model_maps(m);
	memcpy(m->at + AT_PGD, mem_frame(m->mem, MEM_FIRST_MFN + MODEL_PAGES), PAGE_SIZE);
	model_printk(m);
	model_module(m);
	model_kernel_stacks(m);
	model_program(m);
	model_put(m, AT_FRAMES, MODEL_ADDR(AT_PAGES) - (AT_PROGRAM >> PAGE_SHIFT) * 64);
	model_put(m, AT_FRAMES + 8, MODEL_BASE);
	model_btf(&btf);
	m->v.mem = m->mem;
	m->v.mmu = mem_mmu(m->mem, 0);
	m->v.cpu = &m->cpu;
	m->v.types = types_from_btf(btf.p, btf.len); /* takes the bytes over */
	m->v.symbols = model_symbols();
	m->cpu.mode = MEM_USER;
	m->cpu.gs_base_other = MODEL_BASE;
	m->cpu.rip = MODEL_USER + AT_PROGRAM + 0x210;
	m->cpu.gpr[RSP] = MODEL_USER + AT_USTACK + 0x20;
}

static inline void model_free(struct model *m)
{
	types_free((struct types *)(uintptr_t)m->v.types);
	symbols_free((struct symbols *)(uintptr_t)m->v.symbols);
	mem_destroy(m->mem);
}

#endif
