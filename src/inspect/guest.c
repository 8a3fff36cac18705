/*
 * guest.c - tasks: the running one, all of them; see guest.h.
 *
 * `current` is a per-cpu variable: current_task up to Linux 6.1, a member of
 * pcpu_hot since.  The per-cpu area begins at the kernel's GS base, which is
 * the inactive one while user code runs.
 */
#include "inspect/guest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	TASK_COMM = 16, WORKER_DESC = 32,
	/* Linux include/linux/sched.h */
	TASK_UNINTERRUPTIBLE = 2, TASK_REPORT = 0x7f, TASK_NOLOAD = 0x400,
	TASK_RTLOCK_WAIT = 0x1000,
	PF_WQ_WORKER = 0x20, PF_KTHREAD = 0x200000,
	MM_SWAPENTS = 2, MM_COUNTERS = 4,
};

/* ---- one task ---- */

static bool clean(char *s, size_t n)
{
	for (size_t i = 0; i < n && s[i] != '\0'; i++)
		if ((unsigned char)s[i] < ' ' || s[i] == 0x7f)
			return false;
	return true;
}

bool guest_enter(const struct guest_view *v, const struct guest_task *t, struct guest_view *its)
{
	uint64_t pgd;
	mfn_t mfn;

	*its = *v;
	if (t->mm == 0)
		return true;
	if (!guest_get(v, t->mm, "mm_struct", "pgd", &pgd))
		return false;
	mfn = guest_frame(v, pgd);
	if (mfn == MFN_NONE)
		return false;
	its->root = mfn;
	return true;
}

static void command_line(const struct guest_view *v, struct guest_task *t)
{
	uint64_t start, end;
	struct guest_view its;
	size_t n;

	if (!guest_get(v, t->mm, "mm_struct", "arg_start", &start) ||
		!guest_get(v, t->mm, "mm_struct", "arg_end", &end) || end <= start ||
		!guest_enter(v, t, &its))
		return;
	n = end - start < sizeof t->command ? (size_t)(end - start) : sizeof t->command - 1;
	n = guest_read_some(&its, start, t->command, n);
	t->command[n] = '\0';
	while (n > 0 && t->command[n - 1] == '\0')
		n--;
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)t->command[i] < ' ' || t->command[i] == 0x7f)
			t->command[i] = ' ';
}

/* Where a thread of the kernel's keeps what it is: a struct kthread. */
static bool kthread_of(const struct guest_view *v, const struct guest_task *t, uint64_t *kthread)
{
	return guest_get(v, t->task, "task_struct", "worker_private", kthread) ||
		guest_get(v, t->task, "task_struct", "set_child_tid", kthread);
}

/* The name before it was cut to fit into comm. */
static void full_name(const struct guest_view *v, struct guest_task *t)
{
	char name[sizeof t->comm];
	uint64_t kthread, at;

	if (kthread_of(v, t, &kthread) && guest_get(v, kthread, "kthread", "full_name", &at) &&
		at != 0 && guest_string(v, at, name, sizeof name) > 0 && clean(name, sizeof name))
		strcpy(t->comm, name);
}

/* What a worker of a work queue last did is part of the name that /proc shows. */
static void worker_name(const struct guest_view *v, struct guest_task *t)
{
	uint64_t kthread, worker, pool, work = 0;
	char desc[WORKER_DESC + 1];
	struct type_member m;
	size_t at = strlen(t->comm);

	if (!kthread_of(v, t, &kthread) || !guest_get(v, kthread, "kthread", "data", &worker) ||
		!guest_get(v, worker, "worker", "pool", &pool) || pool == 0 ||
		!types_member(v->types, "worker", "desc", &m) || m.size == 0 || m.size > WORKER_DESC ||
		!guest_read(v, worker + m.offset, desc, m.size))
		return;
	desc[m.size] = '\0';
	guest_get(v, worker, "worker", "current_work", &work);
	if (desc[0] != '\0' && clean(desc, sizeof desc))
		snprintf(t->comm + at, sizeof t->comm - at, "%c%s", work != 0 ? '+' : '-', desc);
}

static char state_of(const struct guest_view *v, uint64_t task)
{
	static const char letter[] = "RSDTtXZP";
	uint64_t state, exit_state = 0;
	unsigned s, i = 0;

	if (!guest_get(v, task, "task_struct", "__state", &state) &&
		!guest_get(v, task, "task_struct", "state", &state))
		return '?';
	guest_get(v, task, "task_struct", "exit_state", &exit_state);
	if ((state & (TASK_UNINTERRUPTIBLE | TASK_NOLOAD)) == (TASK_UNINTERRUPTIBLE | TASK_NOLOAD))
		return 'I';
	s = (unsigned)((state | exit_state) & TASK_REPORT);
	if (state & TASK_RTLOCK_WAIT)
		s = TASK_UNINTERRUPTIBLE;
	while (s >> i != 0)
		i++;
	return letter[i];
}

/* Pages of a process: an array of longs up to Linux 6.1, of percpu_counters since. */
static uint64_t resident(const struct guest_view *v, uint64_t mm)
{
	uint64_t sum = 0, n, per_cpu = 0, list, part;
	struct type_member m;
	bool plain = types_member(v->types, "mm_struct", "rss_stat.count", &m) && m.count >= MM_COUNTERS;

	if (!plain && (!types_member(v->types, "mm_struct", "rss_stat", &m) || m.count < MM_COUNTERS))
		return 0;
	guest_variable(v, "__per_cpu_offset", &per_cpu);
	for (unsigned i = 0; i < MM_COUNTERS; i++) {
		uint64_t at = mm + m.offset + (uint64_t)i * (m.size / m.count);

		if (i == MM_SWAPENTS)
			continue;
		if (plain) {
			n = guest_read(v, at, &n, 8) ? n : 0;
		} else {
			int32_t cpu0 = 0;

			if (!guest_get(v, at, "percpu_counter", "count", &n))
				n = 0;
			if (guest_get(v, at, "percpu_counter", "counters", &list)) {
				part = list + per_cpu;
				guest_read(v, part, &cpu0, sizeof cpu0);
			}
			n += (uint64_t)(int64_t)cpu0;
		}
		sum += (int64_t)n > 0 ? n : 0;
	}
	return sum << PAGE_SHIFT;
}

static void fill_mm(const struct guest_view *v, struct guest_task *t)
{
	uint64_t exe, pages;

	command_line(v, t);
	if (guest_get(v, t->mm, "mm_struct", "exe_file", &exe) && exe != 0)
		guest_file_path(v, exe, t->binary);
	if (guest_get(v, t->mm, "mm_struct", "total_vm", &pages))
		t->vsz = pages << PAGE_SHIFT;
	t->rss = resident(v, t->mm);
}

static void fill_rest(const struct guest_view *v, struct guest_task *t)
{
	uint64_t parent, cred, n, flags = 0;

	if (guest_get(v, t->task, "task_struct", "real_parent", &parent) &&
		guest_get(v, parent, "task_struct", "tgid", &n))
		t->ppid = (int32_t)n;
	if (guest_get(v, t->task, "task_struct", "real_cred", &cred) &&
		guest_get(v, cred, "cred", "euid.val", &n))
		t->uid = (uint32_t)n;
	if (guest_get(v, t->task, "task_struct", "utime", &n))
		t->utime_ns = n;
	if (guest_get(v, t->task, "task_struct", "stime", &n))
		t->stime_ns = n;
	if (guest_get(v, t->task, "task_struct", "start_boottime", &n) ||
		guest_get(v, t->task, "task_struct", "real_start_time", &n))
		t->start_ns = n;
	guest_get(v, t->task, "task_struct", "flags", &flags);
	t->kthread = (flags & PF_KTHREAD) != 0;
	if (flags & PF_WQ_WORKER)
		worker_name(v, t);
	else if (t->kthread)
		full_name(v, t);
	t->state = state_of(v, t->task);
}

static bool current_at(const struct guest_view *v, uint64_t *task)
{
	uint64_t gs = v->cpu->mode == MEM_KERNEL ? v->cpu->seg_base[SEG_GS]
		: v->cpu->gs_base_other, var;
	uint32_t off = 0;

	if ((!guest_symbol(v, "current_task", &var) &&
		(!guest_symbol(v, "pcpu_hot", &var) ||
		!types_offset(v->types, "pcpu_hot", "current_task", &off))))
		return false;
	return gs >= KERNEL_START && guest_read(v, gs + var + off, task, sizeof *task) &&
		*task >= KERNEL_START;
}

bool guest_task_at(const struct guest_view *v, uint64_t task, struct guest_task *t)
{
	uint64_t pid, tgid, running;
	struct type_member comm;

	memset(t, 0, sizeof *t);
	t->task = task;
	if (!guest_get(v, task, "task_struct", "pid", &pid) ||
		!guest_get(v, task, "task_struct", "tgid", &tgid) ||
		!guest_get(v, task, "task_struct", "mm", &t->mm) ||
		!types_member(v->types, "task_struct", "comm", &comm) || comm.size > TASK_COMM ||
		!guest_read(v, task + comm.offset, t->comm, comm.size) ||
		!clean(t->comm, sizeof t->comm))
		return false;
	t->tid = (int32_t)pid;
	t->pid = (int32_t)tgid;
	t->current = current_at(v, &running) && running == task;
	fill_rest(v, t);
	if (t->mm != 0)
		fill_mm(v, t);
	return true;
}

bool guest_current(const struct guest_view *v, struct guest_task *t)
{
	uint64_t task;

	memset(t, 0, sizeof *t);
	return current_at(v, &task) && guest_task_at(v, task, t);
}

/* ---- all of them ---- */

struct entry {
	int32_t pid, tid;
	uint64_t task;
};

struct table {
	struct entry *p;
	size_t n, cap;
};

static bool note(const struct guest_view *v, struct table *t, uint64_t task)
{
	uint64_t pid, tid;

	if (t->n == mem_ram_pages(v->mem) /* each has a stack at least */ ||
		!guest_get(v, task, "task_struct", "tgid", &pid) ||
		!guest_get(v, task, "task_struct", "pid", &tid))
		return false;
	if (t->n == t->cap) {
		size_t cap = t->cap != 0 ? t->cap * 2 : 256;
		struct entry *p = realloc(t->p, cap * sizeof *p);

		if (p == NULL)
			return false;
		t->p = p;
		t->cap = cap;
	}
	t->p[t->n++] = (struct entry){ (int32_t)pid, (int32_t)tid, task };
	return true;
}

static void note_threads(const struct guest_view *v, struct table *t, uint64_t leader)
{
	struct guest_list l;
	uint64_t signal, task;
	uint32_t head;

	if (!guest_get(v, leader, "task_struct", "signal", &signal) ||
		!types_offset(v->types, "signal_struct", "thread_head", &head) ||
		!guest_list_start(&l, v, signal + head, "task_struct", "thread_node"))
		return;
	while ((task = guest_list_next(&l)) != 0)
		if (task != leader && !note(v, t, task))
			return;
}

static bool list_tasks(const struct guest_view *v, bool threads, struct table *t)
{
	struct guest_list l;
	uint64_t init, task;
	uint32_t off;

	*t = (struct table){0};
	if (!guest_symbol(v, "init_task", &init) ||
		!types_offset(v->types, "task_struct", "tasks", &off) ||
		!guest_list_start(&l, v, init + off, "task_struct", "tasks"))
		return false;
	while ((task = guest_list_next(&l)) != 0 && note(v, t, task))
		if (threads)
			note_threads(v, t, task);
	return true;
}

static int compare(const void *x, const void *y)
{
	const struct entry *a = x, *b = y;

	if (a->pid != b->pid)
		return a->pid < b->pid ? -1 : 1;
	return a->tid < b->tid ? -1 : a->tid > b->tid;
}

int guest_tasks(const struct guest_view *v, bool threads,
	bool (*fn)(void *ctx, const struct guest_task *t), void *ctx)
{
	struct guest_task task;
	struct table t;

	if (!list_tasks(v, threads, &t))
		return -1;
	if (t.n != 0)
		qsort(t.p, t.n, sizeof *t.p, compare);
	for (size_t i = 0; i < t.n; i++)
		if (guest_task_at(v, t.p[i].task, &task) && !fn(ctx, &task))
			break;
	free(t.p);
	return 0;
}

bool guest_task_find(const struct guest_view *v, int32_t tid, struct guest_task *task)
{
	struct table t;
	bool found = false;

	if (!list_tasks(v, true, &t))
		return false;
	for (size_t i = 0; i < t.n && !found; i++)
		found = t.p[i].tid == tid && guest_task_at(v, t.p[i].task, task);
	free(t.p);
	return found;
}
