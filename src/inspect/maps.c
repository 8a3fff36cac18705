/*
 * maps.c - the mappings of a process, as /proc/PID/maps shows them.
 *
 * They are in a maple tree since Linux 6.1 (lib/maple_tree.c), in a list
 * before.  A node's address has its type in bits 3 to 6; a node is pivots, the
 * last addresses of its slots, and slots.  The last pivot in use is zero or the
 * node's own end, and a leaf's slots hold the mappings.
 *
 * Mappings are handed out in ascending order only, so whatever the guest's
 * memory holds, going through them ends.
 */
#include <string.h>

#include "inspect/guest.h"

enum {
	TREE_DEPTH = 16, PIVOTS_MAX = 32,
	NODES_MAX = 1 << 18, /* of the tree, or mappings in a list */
	NODE_LEAF = 1, NODE_RANGE = 2, NODE_ARANGE = 3, /* enum maple_type */
	VM_READ = 1, VM_WRITE = 2, VM_EXEC = 4, VM_MAYSHARE = 0x80,
	MINOR_BITS = 20,
};

struct walk {
	const struct guest_view *v;
	const struct guest_task *task;
	bool (*fn)(void *ctx, const struct guest_map *m);
	void *ctx;
	uint64_t last;  /* end of the mapping handed out last */
	uint64_t want;  /* only the one that holds this address, unless it is all of them */
	unsigned nodes; /* GU1 */
	bool stop;
};
#define ALL UINT64_MAX

/* ---- one mapping ---- */

/* A name that the kernel gives: special mappings have one, others by where they are. */
static void name_it(const struct walk *w, uint64_t vma, struct guest_map *m)
{
	const struct guest_view *v = w->v;
	uint64_t ops = 0, fn, special, name, brk, start_brk, stack, own;
	char text[GUEST_TEXT - 8];

	guest_get(v, vma, "vm_area_struct", "vm_ops", &ops);
	if (ops != 0 && guest_get(v, ops, "vm_operations_struct", "name", &fn) && fn != 0 &&
		guest_symbol(v, "special_mapping_name", &special) && fn == special &&
		guest_get(v, vma, "vm_area_struct", "vm_private_data", &name) &&
		guest_get(v, name, "vm_special_mapping", "name", &name) &&
		guest_string(v, name, m->file, sizeof m->file) > 0)
		return;
	m->file[0] = '\0';
	if (guest_get(v, w->task->mm, "mm_struct", "brk", &brk) &&
		guest_get(v, w->task->mm, "mm_struct", "start_brk", &start_brk) &&
		m->start <= brk && m->end >= start_brk)
		strcpy(m->file, "[heap]");
	else if (guest_get(v, w->task->mm, "mm_struct", "start_stack", &stack) &&
		m->start <= stack && m->end >= stack)
		strcpy(m->file, "[stack]");
	else if (guest_get(v, vma, "vm_area_struct", "anon_name", &own) && own != 0) {
		uint32_t off;

		if (types_offset(v->types, "anon_vma_name", "name", &off) &&
			guest_string(v, own + off, text, sizeof text) > 0) {
			strcpy(m->file, "[anon:");
			strcat(m->file, text);
			strcat(m->file, "]");
		}
	}
}

static void fill_file(const struct walk *w, uint64_t file, struct guest_map *m)
{
	const struct guest_view *v = w->v;
	uint64_t inode, sb, dev;

	guest_file_path(v, file, m->file);
	guest_get(v, file, "file", "f_mapping", &m->mapping);
	if (!guest_get(v, file, "file", "f_inode", &inode))
		return;
	guest_get(v, inode, "inode", "i_ino", &m->inode);
	if (guest_get(v, inode, "inode", "i_sb", &sb) &&
		guest_get(v, sb, "super_block", "s_dev", &dev)) {
		m->major = (uint32_t)dev >> MINOR_BITS;
		m->minor = (uint32_t)dev & ((1u << MINOR_BITS) - 1);
	}
}

static bool fill(const struct walk *w, uint64_t vma, struct guest_map *m)
{
	const struct guest_view *v = w->v;
	uint64_t flags = 0, file = 0, pages = 0;

	memset(m, 0, sizeof *m);
	if (!guest_get(v, vma, "vm_area_struct", "vm_start", &m->start) ||
		!guest_get(v, vma, "vm_area_struct", "vm_end", &m->end) || m->start >= m->end)
		return false;
	guest_get(v, vma, "vm_area_struct", "vm_flags", &flags);
	m->flags[0] = flags & VM_READ ? 'r' : '-';
	m->flags[1] = flags & VM_WRITE ? 'w' : '-';
	m->flags[2] = flags & VM_EXEC ? 'x' : '-';
	m->flags[3] = flags & VM_MAYSHARE ? 's' : 'p';
	guest_get(v, vma, "vm_area_struct", "vm_file", &file);
	if (file == 0) {
		name_it(w, vma, m);
		return true;
	}
	guest_get(v, vma, "vm_area_struct", "vm_pgoff", &pages);
	m->offset = pages << PAGE_SHIFT;
	fill_file(w, file, m);
	return true;
}

static void hand_out(struct walk *w, uint64_t vma)
{
	struct guest_map m;

	if (vma < KERNEL_START || !fill(w, vma, &m) || m.start < w->last) {
		w->stop = true;
		return;
	}
	w->last = m.end;
	if (w->want != ALL && (w->want < m.start || w->want >= m.end))
		return;
	if (!w->fn(w->ctx, &m))
		w->stop = true;
}

/* ---- the tree ---- */

struct node {
	uint32_t pivots;
	uint64_t pivot[PIVOTS_MAX], slot[PIVOTS_MAX + 1];
};

static bool read_node(const struct guest_view *v, uint64_t entry, struct node *n)
{
	const char *type = (entry >> 3 & 15) == NODE_ARANGE ? "maple_arange_64"
		: "maple_range_64";
	uint64_t at = entry & ~UINT64_C(255);
	struct type_member pivot, slot;

	if (!types_member(v->types, type, "pivot", &pivot) || !types_member(v->types, type, "slot", &slot) ||
		pivot.count > PIVOTS_MAX || slot.count != pivot.count + 1 ||
		pivot.size != pivot.count * 8 || slot.size != slot.count * 8)
		return false;
	n->pivots = pivot.count;
	return guest_read(v, at + pivot.offset, n->pivot, pivot.size) &&
		guest_read(v, at + slot.offset, n->slot, slot.size);
}

static bool is_node(uint64_t entry)
{
	return (entry & 3) == 2 && entry > 4096;
}

/* The entries of a node whose addresses are min..max. */
static void walk_node(struct walk *w, uint64_t entry, uint64_t min, uint64_t max, unsigned depth)
{
	unsigned type = (unsigned)(entry >> 3) & 15;
	struct node n;

	if (depth == TREE_DEPTH || type < NODE_LEAF || type > NODE_ARANGE ||
		++w->nodes > NODES_MAX || !read_node(w->v, entry, &n)) {
		w->stop = true;
		return;
	}
	for (uint32_t i = 0; i <= n.pivots && !w->stop; i++) {
		bool last = i == n.pivots || n.pivot[i] >= max || (n.pivot[i] == 0 && i > 0);
		uint64_t end = last ? max : n.pivot[i];

		if (end < min)
			break;
		if (n.slot[i] != 0 && (w->want == ALL || (w->want >= min && w->want <= end))) {
			if (type == NODE_LEAF)
				hand_out(w, n.slot[i]);
			else
				walk_node(w, n.slot[i], min, end, depth + 1);
		}
		if (last)
			break;
		min = end + 1;
	}
}

static bool walk_tree(struct walk *w, uint64_t mm)
{
	uint64_t root;

	if (!guest_get(w->v, mm, "mm_struct", "mm_mt.ma_root", &root))
		return false;
	if (is_node(root))
		walk_node(w, root, 0, UINT64_MAX, 0);
	else if (root != 0)
		hand_out(w, root);
	return true;
}

static bool walk_list(struct walk *w, uint64_t mm)
{
	uint64_t vma;

	if (!guest_get(w->v, mm, "mm_struct", "mmap", &vma))
		return false;
	while (vma != 0 && !w->stop && ++w->nodes < NODES_MAX) {
		hand_out(w, vma);
		if (!guest_get(w->v, vma, "vm_area_struct", "vm_next", &vma))
			break;
	}
	return true;
}

/* ---- both ---- */

int guest_maps(const struct guest_view *v, const struct guest_task *t,
	bool (*fn)(void *ctx, const struct guest_map *m), void *ctx)
{
	struct walk w = { .v = v, .task = t, .fn = fn, .ctx = ctx, .want = ALL };

	if (v->types == NULL)
		return -1;
	return t->mm == 0 || walk_tree(&w, t->mm) || walk_list(&w, t->mm) ? 0 : -1;
}

static bool take(void *ctx, const struct guest_map *m)
{
	*(struct guest_map *)ctx = *m;
	return false;
}

bool guest_map_find(const struct guest_view *v, const struct guest_task *t, uint64_t va,
	struct guest_map *m)
{
	struct walk w = { .v = v, .task = t, .fn = take, .ctx = m, .want = va };

	memset(m, 0, sizeof *m);
	if (t->mm == 0 || va == ALL || (!walk_tree(&w, t->mm) &&
		!walk_list(&w, t->mm)))
		return false;
	return m->end != 0;
}
