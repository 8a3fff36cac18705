/*
 * recorded.c - opening a trace to build its machine anew; see recorded.h.
 */
#include "lib/recorded.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/disks.h"
#include "lib/net.h"
#include "lib/packed.h"
#include "lib/sink.h"
#include "lib/trace.h"
#include "lib/version.h"

/* With ttd-deviced, `trace` is the name of the domain whose log it has. */
static int find(struct recorded *r, const char *trace, bool deviced, struct err *e)
{
	char log[TTD_PATH_MAX];

	if (!deviced)
		return trace_find(trace, r->dir, r->path, e);
	if (trace == NULL || strchr(trace, '/') != NULL)
		return err_set(e, ST_USAGE, "ttd-deviced wants the name of a domain");
	return sink_find(trace, log, e) == 0 ? trace_find(log, r->dir, r->path, e) : -1;
}

int recorded_open(struct recorded *r, const char *trace, bool deviced, struct err *e)
{
	memset(r, 0, sizeof *r);
	if (find(r, trace, deviced, e) != 0)
		return -1;
	r->log = log_open(r->path, e);
	if (r->log == NULL || log_tail(r->log, &r->tail, e) != 0) {
		recorded_close(r);
		return -1;
	}
	return 0;
}

void recorded_close(struct recorded *r)
{
	if (r->log != NULL)
		log_reader_close(r->log);
	r->log = NULL;
}

static bool is_file(const char *what, const char *path, const struct log_file *f, struct err *e)
{
	struct log_file now;

	if (trace_file(what, path, &now, e) != 0)
		return false;
	if (now.size == f->size && memcmp(now.digest, f->digest, sizeof f->digest) == 0)
		return true;
	err_set(e, ST_HOST, "%s %s is not the one that was recorded: it has changed since", what,
		path);
	return false;
}

int recorded_file(const char *log, const char *what, const struct log_file *f,
	char path[TTD_PATH_MAX], struct err *e)
{
	const char *name = strrchr(f->path, '/'), *slash = strrchr(log, '/');
	const char *names[] = {name != NULL ? name + 1 : f->path, what};
	char folder[TTD_PATH_MAX];
	struct err none;

	if (trace_join(path, f->path, "", "", e) != 0)
		return -1;
	if (is_file(what, path, f, e))
		return 0;
	snprintf(folder, sizeof folder, "%.*s", slash != NULL ? (int)(slash - log) : 1,
		slash != NULL ? log : ".");
	for (unsigned i = 0; i < 2; i++)
		if (trace_join(path, folder, "/", names[i], &none) == 0 &&
			is_file(what, path, f, &none))
			return 0;
	return -1;
}

int recorded_check(struct recorded *r, bool any_file, struct err *e)
{
	const struct log_meta *m = log_meta(r->log);

	if (m->engine != ENGINE_VERSION || m->abi != ABI_VERSION)
		return err_set(e, ST_HOST, "the trace was recorded by ttd %s (engine %u, ABI %u); "
			"this one has engine %d, ABI %d and would execute it differently",
			m->version, m->engine, m->abi, ENGINE_VERSION, ABI_VERSION);
	if (m->tsc_mul != domain_tsc_mul() || m->memory_mb > TTD_MEMORY_MAX)
		return err_set(e, ST_DAMAGED, "the log's configuration makes no sense");
	if (any_file) {
		strcpy(r->kernel, m->kernel.path);
		strcpy(r->ramdisk, m->ramdisk.path);
		return 0;
	}
	if (recorded_file(r->path, "kernel", &m->kernel, r->kernel, e) != 0)
		return -1;
	return m->ramdisk.path[0] != '\0'
		? recorded_file(r->path, "ramdisk", &m->ramdisk, r->ramdisk, e) : 0;
}

uint64_t recorded_icount(const struct recorded *r)
{
	return r->tail.complete ? r->tail.end.icount : r->tail.icount;
}

uint64_t recorded_brctr(const struct recorded *r)
{
	return r->tail.complete ? r->tail.end.brctr : r->tail.brctr;
}

static bool named(const struct ttd_disk *list, unsigned n, const char *name)
{
	for (unsigned i = 0; i < n; i++)
		if (strcmp(list[i].name, name) == 0)
			return true;
	return false;
}

int recorded_disks(const struct recorded *r, const struct ttd_disk *bases, unsigned nbases,
	struct disks **out, struct err *e)
{
	const struct log_meta *m = log_meta(r->log);
	struct ttd_disk all[LOG_DISKS] = {0};
	char (*path)[TTD_PATH_MAX] = calloc(LOG_DISKS, sizeof *path);
	unsigned n = 0;
	int rc;

	if (path == NULL || nbases > LOG_DISKS) {
		free(path);
		return err_set(e, ST_USAGE, "too many bases of disks are given");
	}
	for (; n < nbases; n++)
		all[n] = bases[n];
	/* Those of an unpacked trace lie beside the log. */
	for (unsigned i = 0; i < m->ndisks && n < LOG_DISKS; i++)
		if (!named(bases, nbases, m->disk[i].name) &&
			packed_base(r->path, m->disk[i].name, path[i])) {
			all[n].name = m->disk[i].name;
			all[n++].target = path[i];
		}
	rc = disks_open_recorded(m, all, n, out, e);
	free(path);
	if (rc != 0)
		return -1;
	if (disks_replay_overlays(*out, r->path, log_session(r->log), e) == 0)
		return 0;
	disks_free(*out);
	*out = NULL;
	return -1;
}

void recorded_config(struct recorded *r, struct ttd_config *c)
{
	const struct log_meta *m = log_meta(r->log);

	*c = (struct ttd_config)TTD_CONFIG_INIT;
	c->name = m->name;
	c->kernel = r->kernel;
	c->ramdisk = r->ramdisk[0] != '\0' ? r->ramdisk : NULL;
	c->cmdline = m->cmdline;
	c->memory_mb = (uint32_t)m->memory_mb;
	c->clock = (enum ttd_clock)m->clock;
	c->stop_icount = m->stop_icount;
	memcpy(r->vif_lines, m->vifs, sizeof r->vif_lines);
	c->vifs = r->vifs;
	c->nvifs = net_lines(r->vif_lines, r->vifs);
}
