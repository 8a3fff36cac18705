/*
 * guest.c - the current task, its command line and its mappings; see guest.h.
 *
 * `current` is a per-cpu variable: current_task up to Linux 6.1, a member of
 * pcpu_hot since.  The per-cpu area begins at the kernel's GS base, which is
 * the inactive one while user code runs.  Offsets of structure members come
 * from the kernel's BTF.
 */
#include "inspect/guest.h"

#include <stdio.h>
#include <string.h>

enum {
	PATH_PARTS = 64, NAME_PART = 255,
	TREE_DEPTH = 16,
	NODE_LEAF = 1, NODE_RANGE = 2, NODE_ARANGE = 3, /* enum maple_type */
};

bool guest_read(const struct guest_view *v, uint64_t va, void *p, size_t n)
{
	uint8_t *to = p;

	while (n != 0) {
		size_t part = PAGE_SIZE - (va & (PAGE_SIZE - 1));
		mfn_t mfn = mem_peek(v->mem, MEM_KERNEL, va & PAGE_MASK, NULL);
		const uint8_t *frame = mfn != MFN_NONE ? mem_frame(v->mem, mfn) : NULL;

		if (frame == NULL)
			return false;
		if (part > n)
			part = n;
		memcpy(to, frame + (va & (PAGE_SIZE - 1)), part);
		va += part;
		to += part;
		n -= part;
	}
	return true;
}

/* A member of 8 (or fewer) bytes of the structure at `at`. */
static bool field(const struct guest_view *v, uint64_t at, const char *type, const char *member,
	void *p, size_t n)
{
	uint32_t off;

	return btf_offset(v->btf, type, member, &off) && guest_read(v, at + off, p, n);
}

static bool pointer(const struct guest_view *v, uint64_t at, const char *type,
	const char *member, uint64_t *p)
{
	return field(v, at, type, member, p, sizeof *p);
}

/* ---- paths ---- */

/* Puts "/name" in front of what is at text[at..]. */
static bool prepend(const struct guest_view *v, uint64_t dentry, char *text, size_t *at)
{
	char name[NAME_PART + 1] = "";
	uint32_t qstr, ptr;
	uint64_t p;
	size_t len = 0;

	if (!btf_offset(v->btf, "dentry", "d_name", &qstr) ||
		!btf_offset(v->btf, "qstr", "name", &ptr) ||
		!guest_read(v, dentry + qstr + ptr, &p, sizeof p))
		return false;
	while (len < NAME_PART && guest_read(v, p + len, name + len, 1) && name[len] != '\0')
		len++;
	if (len == 0 || len + 1 > *at)
		return false;
	*at -= len;
	memcpy(text + *at, name, len);
	text[--*at] = '/';
	return true;
}

/* The place where the mount that holds `mnt` (a vfsmount) is mounted. */
static bool mounted_on(const struct guest_view *v, uint64_t *mnt, uint64_t *dentry)
{
	uint64_t mount, parent;
	uint32_t off;

	if (!btf_offset(v->btf, "mount", "mnt", &off))
		return false;
	mount = *mnt - off;
	if (!pointer(v, mount, "mount", "mnt_parent", &parent) || parent == mount ||
		!pointer(v, mount, "mount", "mnt_mountpoint", dentry))
		return false;
	*mnt = parent + off;
	return true;
}

static void file_path(const struct guest_view *v, uint64_t file, char out[GUEST_TEXT])
{
	uint64_t mnt, dentry, parent;
	uint32_t path, off_mnt, off_dentry;
	char text[GUEST_TEXT];
	size_t at = sizeof text - 1;

	out[0] = text[at] = '\0';
	if (!btf_offset(v->btf, "file", "f_path", &path) ||
		!btf_offset(v->btf, "path", "mnt", &off_mnt) ||
		!btf_offset(v->btf, "path", "dentry", &off_dentry) ||
		!guest_read(v, file + path + off_mnt, &mnt, 8) ||
		!guest_read(v, file + path + off_dentry, &dentry, 8))
		return;
	for (unsigned i = 0; i < PATH_PARTS; i++) {
		if (!pointer(v, dentry, "dentry", "d_parent", &parent))
			break;
		if (parent == dentry) {
			if (!mounted_on(v, &mnt, &dentry))
				break;
			continue;
		}
		if (!prepend(v, dentry, text, &at))
			break;
		dentry = parent;
	}
	memcpy(out, text + at, sizeof text - at);
}

/* ---- the task ---- */

static bool printable(const char *s)
{
	for (; *s != '\0'; s++)
		if ((unsigned char)*s < ' ' || *s == 0x7f)
			return false;
	return true;
}

static void command_line(const struct guest_view *v, struct guest_task *t)
{
	uint64_t start, end;
	size_t n;

	if (!pointer(v, t->mm, "mm_struct", "arg_start", &start) ||
		!pointer(v, t->mm, "mm_struct", "arg_end", &end) || end <= start)
		return;
	n = end - start < sizeof t->command ? (size_t)(end - start) : sizeof t->command - 1;
	if (!guest_read(v, start, t->command, n)) {
		t->command[0] = '\0';
		return;
	}
	t->command[n] = '\0';
	while (n > 0 && t->command[n - 1] == '\0')
		n--;
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)t->command[i] < ' ' || t->command[i] == 0x7f)
			t->command[i] = ' ';
}

static bool current_at(const struct guest_view *v, uint64_t *task)
{
	uint64_t gs = v->cpu->mode == MEM_KERNEL ? v->cpu->seg_base[SEG_GS]
		: v->cpu->gs_base_other, var;
	uint32_t off = 0;

	if (!symbols_addr(v->symbols, "current_task", &var) &&
		(!symbols_addr(v->symbols, "pcpu_hot", &var) ||
		!btf_offset(v->btf, "pcpu_hot", "current_task", &off)))
		return false;
	return gs >= KERNEL_START && guest_read(v, gs + var + off, task, sizeof *task) &&
		*task >= KERNEL_START;
}

bool guest_current(const struct guest_view *v, struct guest_task *t)
{
	uint64_t exe;

	memset(t, 0, sizeof *t);
	if (!current_at(v, &t->task) ||
		!field(v, t->task, "task_struct", "pid", &t->tid, 4) ||
		!field(v, t->task, "task_struct", "tgid", &t->pid, 4) ||
		!field(v, t->task, "task_struct", "comm", t->comm, GUEST_COMM) ||
		!pointer(v, t->task, "task_struct", "mm", &t->mm) || !printable(t->comm))
		return false;
	if (t->mm == 0)
		return true;
	command_line(v, t);
	if (pointer(v, t->mm, "mm_struct", "exe_file", &exe) && exe != 0)
		file_path(v, exe, t->binary);
	return true;
}

/* ---- mappings: the maple tree of Linux 6.1 and later ---- */

static uint64_t child(const struct guest_view *v, uint64_t node, unsigned pivots, uint64_t va)
{
	uint64_t pivot[15], slot;
	unsigned i;

	if (!guest_read(v, node + 8, pivot, pivots * 8))
		return 0;
	for (i = 0; i < pivots; i++)
		if (va <= pivot[i] || (pivot[i] == 0 && i > 0))
			break;
	return guest_read(v, node + 8 + pivots * 8 + i * 8, &slot, 8) ? slot : 0;
}

static uint64_t find_vma(const struct guest_view *v, uint64_t mm, uint64_t va)
{
	uint32_t tree, root;
	uint64_t e;

	if (!btf_offset(v->btf, "mm_struct", "mm_mt", &tree) ||
		!btf_offset(v->btf, "maple_tree", "ma_root", &root) ||
		!guest_read(v, mm + tree + root, &e, 8))
		return 0;
	for (unsigned i = 0; i < TREE_DEPTH && (e & 3) == 2 && e > 4096; i++) {
		unsigned type = (unsigned)(e >> 3) & 15;
		uint64_t node = e & ~UINT64_C(255);

		if (type < NODE_LEAF || type > NODE_ARANGE)
			return 0;
		e = child(v, node, type == NODE_ARANGE ? 9 : 15, va);
		if (type == NODE_LEAF)
			return e;
	}
	return (e & 3) == 0 ? e : 0;
}

bool guest_map_find(const struct guest_view *v, const struct guest_task *t, uint64_t va,
	struct guest_map *m)
{
	uint64_t vma, file, pages;

	memset(m, 0, sizeof *m);
	vma = t->mm != 0 ? find_vma(v, t->mm, va) : 0;
	if (vma < KERNEL_START || !pointer(v, vma, "vm_area_struct", "vm_start", &m->start) ||
		!pointer(v, vma, "vm_area_struct", "vm_end", &m->end) ||
		va < m->start || va >= m->end)
		return false;
	if (pointer(v, vma, "vm_area_struct", "vm_file", &file) && file != 0 &&
		pointer(v, vma, "vm_area_struct", "vm_pgoff", &pages)) {
		file_path(v, file, m->file);
		m->offset = pages << PAGE_SHIFT;
	}
	return true;
}
