/*
 * confine.c - finds out what the table in rights.c is about in this process, and gives up
 * the rest.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "daemon/control.h"
#include "daemon/deviced.h"
#include "lib/disks.h"
#include "lib/net.h"
#include "lib/recorded.h"
#include "lib/scout.h"
#include "lib/vm.h"
#include "mem/mem.h"
#include "sandbox/reader.h"
#include "trace/trace.h"
#include "util/options.h"
#include "util/runtime.h"

struct paths {
	char runtime[RUNTIME_PATH], deviced[RUNTIME_PATH];
	char traces[TTD_PATH_MAX], cache[TTD_PATH_MAX], logs[TTD_PATH_MAX];
	struct disks_again disks;
	struct net_needs net;
	char overlay[LOG_DISKS][TTD_PATH_MAX];
	const char *overlays[LOG_DISKS];
	unsigned noverlays;
	struct subject subject;
};

/* Where things usually are. */
static void usual_paths(struct paths *p)
{
	struct subject *s = &p->subject;

	if (runtime_dir(p->runtime, NULL) == 0)
		rights_one(s, KEY_RUNTIME, p->runtime);
	if (runtime_path(p->deviced, DEVICED_SOCKET, "", NULL) == 0)
		rights_one(s, KEY_DEVICED, p->deviced);
	if (ttd_trace_root(p->traces, NULL) == 0)
		rights_one(s, KEY_TRACES, p->traces);
	if (path_cache(p->cache, "", false, NULL) == 0)
		rights_one(s, KEY_CACHE, p->cache);
	rights_one(s, KEY_CONTROL, control_path());
}

static void of_machine(const struct ttd_vm *vm, struct paths *p)
{
	struct subject *s = &p->subject;
	char *slash;

	s->role = ROLE_RUN;
	rights_one(s, KEY_KERNEL, vm->kernel);
	rights_one(s, KEY_RAMDISK, vm->ramdisk);
	if (vm->recording != NULL)
		recording_rights(vm->recording, s);
	if (disks_again(vm->disks, &p->disks)) {
		rights_set(s, KEY_BASE, p->disks.base, p->disks.nbase);
		rights_set(s, KEY_DIRECT, p->disks.direct, p->disks.ndirect);
		rights_one(s, KEY_TEMP, p->disks.temp);
		s->when |= p->disks.nbd ? WHEN_NBD : 0u;
	}
	net_needs(vm, &p->net);
	s->when |= (p->net.outward ? WHEN_NET : 0u) | (p->net.forwards ? WHEN_FORWARDS : 0u) |
		(p->net.tap ? WHEN_TAP : 0u) | (p->net.udp ? WHEN_UDP : 0u);
	s->port = p->net.port;
	s->nports = p->net.nports;
	/* The daemon's next folder is beside this one. */
	if (s->one[KEY_LOGS] != NULL && path_join(p->logs, s->one[KEY_LOGS], "", "", NULL) == 0 &&
		(slash = strrchr(p->logs, '/')) != NULL) {
		*slash = '\0';
		rights_one(s, KEY_LOGS, p->logs);
	}
}

/*
 * The broker would keep a copy of each page that the guest changes, and huge pages would fall
 * apart: that made a boot 8 % slower.
 */
static int apply_without_memory(const struct ttd_vm *vm, struct paths *p, struct ttd_error *e)
{
	int rc;

	domain_fork(vm->domain, false);
	rc = rights_apply(&p->subject, e);
	domain_fork(vm->domain, true);
	return rc;
}

int ttd_vm_confine(struct ttd_vm *vm, unsigned flags, struct ttd_error *err)
{
	struct paths *p = calloc(1, sizeof *p);
	struct ttd_error spare, *e = err_begin(err, &spare);
	int rc = -1;

	if (p == NULL) {
		err_set(e, TTD_HOST, "out of memory");
	} else if (vm->replaying != NULL) {
		err_set(e, TTD_USAGE, "a replay is confined before its trace is read: give .confine");
	} else {
		usual_paths(p);
		of_machine(vm, p);
		p->subject.when |= flags & TTD_CONFINE_AGAIN ? WHEN_AGAIN : 0u;
		rc = apply_without_memory(vm, p, e);
	}
	free(p);
	return rc;
}

static int confine_daemon(const struct ttd_deviced *d, struct paths *p, struct ttd_error *e)
{
	struct subject *s = &p->subject;

	s->role = ROLE_DAEMON;
	rights_one(s, KEY_DAEMON_LOG, deviced_log(d));
	rights_one(s, KEY_DAEMON_DIR, deviced_dir(d));
	rights_one(s, KEY_CONTROL, ttd_deviced_socket(d));
	return rights_apply(&p->subject, e);
}

int ttd_deviced_confine(struct ttd_deviced *d, struct ttd_error *err)
{
	struct paths *p = calloc(1, sizeof *p);
	struct ttd_error spare, *e = err_begin(err, &spare);
	int rc = p != NULL ? confine_daemon(d, p, e) : err_set(e, TTD_HOST, "out of memory");

	free(p);
	return rc;
}

static int confine_reader(const struct ttd_confinement *theirs, struct scouted *s,
	struct ttd_error *e)
{
	struct ttd_confinement c;
	struct reader r;

	if (OPTIONS_TAKE(&c, theirs, into, "TTD_CONFINEMENT_INIT", e) != 0)
		return -1;
	for (unsigned i = 0; i < c.ntraces; i++)
		if (scout_trace(s, c.traces[i], !(c.flags & TTD_CONFINE_PACKED),
			c.flags & TTD_CONFINE_NAMES, e) != 0)
			return -1;
	if (c.flags & TTD_CONFINE_ALL)
		scout_traces(s);
	r = (struct reader){.inputs = c.inputs, .ninputs = c.ninputs, .outputs = c.outputs,
		.noutputs = c.noutputs, .into = c.into, .ntraces = s->n,
		.traces = (const char *const *)s->file};
	return sandbox_reader(&r, e);
}

int ttd_confine(const struct ttd_confinement *c, struct ttd_error *err)
{
	struct scouted s = {0};
	struct ttd_error spare, *e = err_begin(err, &spare);
	int rc = confine_reader(c, &s, e);

	scouted_free(&s);
	return rc;
}

static void of_recorded(const struct recorded *r, const struct recorded_how *how,
	const struct ttd_confinement *c, struct paths *p)
{
	struct subject *s = &p->subject;
	struct ttd_error none;

	s->role = how->role;
	s->when = (c->flags & TTD_CONFINE_CHILDREN ? WHEN_CHILDREN : 0u) |
		(how->deviced ? WHEN_DEVICED : 0u);
	rights_one(s, KEY_LOG, r->path);
	rights_one(s, KEY_KERNEL, r->kernel);
	rights_one(s, KEY_RAMDISK, r->ramdisk);
	rights_set(s, KEY_INPUT, c->inputs, c->ninputs);
	rights_set(s, KEY_OUTPUT, c->outputs, c->noutputs);
	/* The disks themselves are open. */
	for (unsigned i = 0; i < r->meta->ndisks; i++)
		if (disks_overlay_path(r->path, r->meta->disk[i].name, p->overlay[p->noverlays],
			&none) == 0) {
			p->overlays[p->noverlays] = p->overlay[p->noverlays];
			p->noverlays++;
		}
	rights_set(s, KEY_OVERLAY, p->overlays, p->noverlays);
	if (p->noverlays != 0)
		rights_one(s, KEY_TEMP, overlay_folder(NULL));
}

int confine_recorded(const struct recorded *r, const struct recorded_how *how,
	struct ttd_error *e)
{
	struct ttd_confinement own;
	struct paths *p;
	int rc;

	if (OPTIONS_TAKE(&own, how->confine, into, "TTD_CONFINEMENT_INIT", e) != 0)
		return -1;
	p = calloc(1, sizeof *p);
	if (p == NULL)
		return err_set(e, TTD_HOST, "out of memory");
	usual_paths(p);
	of_recorded(r, how, &own, p);
	rc = rights_apply(&p->subject, e);
	free(p);
	return rc;
}
