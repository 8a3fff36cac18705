/*
 * viewproc.c - looking into a machine: processes, mappings, messages.
 */
#include <stdio.h>
#include <string.h>

#include "lib/view.h"

/* ---- processes ---- */

static void convert(const struct guest_task *t, struct ttd_process *p)
{
	memset(p, 0, sizeof *p);
	p->pid = t->pid;
	p->tid = t->tid;
	p->ppid = t->ppid;
	p->uid = t->uid;
	p->state = t->state;
	p->kernel = t->kthread;
	p->current = t->current;
	p->vsz = t->vsz;
	p->rss = t->rss;
	p->utime_ns = t->utime_ns;
	p->stime_ns = t->stime_ns;
	p->start_ns = t->start_ns;
	p->task = t->task;
	snprintf(p->comm, sizeof p->comm, "%s", t->comm);
	snprintf(p->command, sizeof p->command, "%s", t->command);
	snprintf(p->binary, sizeof p->binary, "%s", t->binary);
}

struct each_process {
	int (*fn)(void *ctx, const struct ttd_process *p);
	void *ctx;
};

static bool one_process(void *ctx, const struct guest_task *t)
{
	struct each_process *x = ctx;
	struct ttd_process p;

	convert(t, &p);
	return x->fn(x->ctx, &p) == 0;
}

int ttd_view_processes(const struct ttd_view *view, int threads,
	int (*fn)(void *ctx, const struct ttd_process *p), void *ctx, struct ttd_error *err)
{
	struct each_process x = { fn, ctx };
	struct ttd_error spare, *e = err_begin(err, &spare);

	if (view_need(view, e) != 0)
		return -1;
	if (guest_tasks(&view->guest, threads != 0, one_process, &x) == 0)
		return 0;
	return err_set(e, TTD_HOST, "the list of processes is not to be found in the guest's kernel");
}

int ttd_view_current(const struct ttd_view *view, struct ttd_process *p)
{
	struct guest_task t;

	if (!guest_current(&view->guest, &t))
		return -1;
	convert(&t, p);
	return 0;
}

/* ---- mappings ---- */

struct each_map {
	int (*fn)(void *ctx, const struct ttd_mapping *m);
	void *ctx;
};

static bool one_map(void *ctx, const struct guest_map *m)
{
	struct each_map *x = ctx;
	struct ttd_mapping out = { .start = m->start, .end = m->end, .offset = m->offset,
		.inode = m->inode, .major = m->major, .minor = m->minor };

	_Static_assert(sizeof out.name == sizeof m->file && sizeof out.flags == sizeof m->flags,
		"same texts");
	memcpy(out.flags, m->flags, sizeof out.flags);
	memcpy(out.name, m->file, sizeof out.name);
	return x->fn(x->ctx, &out) == 0;
}

int ttd_view_maps(const struct ttd_view *view, int pid,
	int (*fn)(void *ctx, const struct ttd_mapping *m), void *ctx, struct ttd_error *err)
{
	struct each_map x = { fn, ctx };
	struct guest_task t;
	struct ttd_error spare, *e = err_begin(err, &spare);

	if (view_need(view, e) != 0)
		return -1;
	if (view_task(view, pid, &t, e) == 0) {
		if (guest_maps(&view->guest, &t, one_map, &x) == 0)
			return 0;
		err_set(e, TTD_HOST, "the mappings of process %d cannot be read: the guest's kernel "
			"keeps them in a form that is not known", pid);
	}
	return -1;
}

/* ---- messages ---- */

struct each_message {
	int (*fn)(void *ctx, const struct ttd_message *m);
	void *ctx;
};

static bool one_message(void *ctx, const struct guest_message *m)
{
	struct each_message *x = ctx;
	struct ttd_message out = { .seq = m->seq, .ts_ns = m->ts_ns, .facility = m->facility,
		.level = m->level, .open = m->open, .lost = m->lost, .caller = m->caller,
		.len = m->len, .text = m->text, .subsystem = m->subsystem, .device = m->device };

	return x->fn(x->ctx, &out) == 0;
}

int ttd_view_messages(const struct ttd_view *view,
	int (*fn)(void *ctx, const struct ttd_message *m), void *ctx, struct ttd_error *err)
{
	struct each_message x = { fn, ctx };
	struct ttd_error spare, *e = err_begin(err, &spare);

	if (view_need(view, e) != 0)
		return -1;
	return guest_messages(&view->guest, one_message, &x, e) == 0 ? 0 : -1;
}
