/*
 * recorded.c - opening a trace to build its machine anew; see recorded.h.
 */
#include "lib/recorded.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/cpu.h"
#include "daemon/sink.h"
#include "lib/disks.h"
#include "lib/net.h"
#include "lib/scout.h"
#include "trace/origin.h"
#include "trace/trace.h"
#include "xen/domain.h"

/* With ttd-deviced, `trace` is the name of the domain whose log it has. */
static int find(struct recorded *r, const char *trace, bool deviced, struct ttd_error *e)
{
	char log[TTD_PATH_MAX];

	if (!deviced)
		return trace_find(trace, r->dir, r->path, e);
	if (trace == NULL || strchr(trace, '/') != NULL)
		return err_set(e, TTD_USAGE, "ttd-deviced wants the name of a domain");
	return sink_find(trace, log, e) == 0 ? trace_find(log, r->dir, r->path, e) : -1;
}

int recorded_open_log(struct recorded *r, struct ttd_error *e)
{
	r->log = log_open(r->path, e);
	if (r->log == NULL || log_tail(r->log, &r->tail, e) != 0) {
		recorded_close(r);
		return -1;
	}
	r->meta = log_meta(r->log);
	memcpy(r->run_id, log_run_id(r->log), RUN_ID);
	return 0;
}

int recorded_open(struct recorded *r, const char *trace, bool deviced, struct ttd_error *e)
{
	memset(r, 0, sizeof *r);
	if (find(r, trace, deviced, e) != 0 || recorded_open_log(r, e) != 0)
		return -1;
	r->ours = origin_ours(r->meta, r->path);
	return 0;
}

int recorded_look(struct recorded *r, const char *trace, bool deviced, struct ttd_error *e)
{
	memset(r, 0, sizeof *r);
	if (find(r, trace, deviced, e) != 0)
		return -1;
	r->scouted = malloc(sizeof *r->scouted);
	if (r->scouted == NULL)
		return err_set(e, TTD_HOST, "out of memory");
	if (scout_meta(r->path, r->scouted, r->run_id, e) != 0) {
		recorded_close(r);
		return -1;
	}
	r->meta = r->scouted;
	r->ours = origin_ours(r->meta, r->path);
	return 0;
}

void recorded_close(struct recorded *r)
{
	if (r->log != NULL)
		log_reader_close(r->log);
	r->log = NULL;
	disks_free(r->disks);
	r->disks = NULL;
	free(r->scouted);
	r->scouted = NULL;
	r->meta = NULL;
}

int recorded_file(const struct recorded *r, enum material kind, const char *named,
	char path[TTD_PATH_MAX], struct ttd_error *e)
{
	const struct log_meta *m = r->meta;

	return material_find(&(struct material_ask){ .kind = kind, .log = r->path, .ours = r->ours,
		.named = named, .disk = "", .file = kind == MATERIAL_KERNEL ? &m->kernel
		: &m->ramdisk }, path, e);
}

int recorded_base(const struct recorded *r, const struct log_disk *d, const struct ttd_disk *bases,
	unsigned n, char path[TTD_PATH_MAX], struct ttd_error *e)
{
	struct material_ask a = { .kind = MATERIAL_BASE, .log = r->path, .ours = r->ours,
		.disk = d->name, .target = d->target };

	for (unsigned i = 0; i < n; i++)
		if (strcmp(bases[i].name, d->name) == 0)
			a.named = bases[i].target;
	return material_find(&a, path, e);
}

int recorded_check(struct recorded *r, const struct ttd_files *files, bool any_file,
	struct ttd_error *e)
{
	const struct log_meta *m = r->meta;
	struct model model;

	if (m->engine != ENGINE_VERSION || m->abi != ABI_VERSION)
		return err_set(e, TTD_HOST, "the trace was recorded by ttd %s (engine %u, ABI %u); "
			"this one has engine %d, ABI %d and would execute it differently",
			m->version, m->engine, m->abi, ENGINE_VERSION, ABI_VERSION);
	if (m->tsc_mul != domain_tsc_mul() || m->memory_mb > TTD_MEMORY_MAX ||
		m->maxmem_mb > TTD_MEMORY_MAX)
		return err_set(e, TTD_DAMAGED, "the log's configuration makes no sense");
	if (model_recorded(&model, m, e) != 0)
		return -1;
	if (any_file && r->ours) {
		strcpy(r->kernel, m->kernel.path);
		strcpy(r->ramdisk, m->ramdisk.path);
		return 0;
	}
	if (recorded_file(r, MATERIAL_KERNEL, files != NULL ? files->kernel : NULL, r->kernel, e) != 0)
		return -1;
	return m->ramdisk.path[0] != '\0' ? recorded_file(r, MATERIAL_RAMDISK,
		files != NULL ? files->ramdisk : NULL, r->ramdisk, e) : 0;
}

void recorded_replay_meta(const struct recorded *r, struct log_meta *m)
{
	*m = *r->meta;
	m->is_replay = true;
	memcpy(m->replayed, r->run_id, RUN_ID);
	if (r->ours)
		origin_seal(m);
	else
		memset(m->seal, 0, sizeof m->seal);
}

uint64_t recorded_icount(const struct recorded *r)
{
	return r->tail.complete ? r->tail.end.icount : r->tail.icount;
}

uint64_t recorded_brctr(const struct recorded *r)
{
	return r->tail.complete ? r->tail.end.brctr : r->tail.brctr;
}

/* Whom --disk-base is for must be there. */
static int known(const struct log_meta *m, const struct ttd_disk *bases, unsigned n,
	struct ttd_error *e)
{
	if (n > LOG_DISKS)
		return err_set(e, TTD_USAGE, "too many bases of disks are given");
	for (unsigned i = 0; i < n; i++) {
		unsigned k = 0;

		while (k < m->ndisks && strcmp(m->disk[k].name, bases[i].name) != 0)
			k++;
		if (k == m->ndisks)
			return err_set(e, TTD_USAGE, "--disk-base %.40s: the trace has no such disk",
				bases[i].name);
	}
	return 0;
}

int recorded_bases(struct recorded *r, const struct ttd_files *files, struct ttd_error *e)
{
	const struct log_meta *m = r->meta;
	char (*path)[TTD_PATH_MAX] = calloc(LOG_DISKS, sizeof *path);
	int rc = path != NULL ? known(m, files->bases, files->nbases, e)
		: err_set(e, TTD_HOST, "out of memory");

	for (unsigned i = 0; rc == 0 && i < m->ndisks; i++)
		rc = recorded_base(r, &m->disk[i], files->bases, files->nbases, path[i], e);
	if (rc == 0)
		rc = disks_open_recorded(m, path, &r->disks, e);
	free(path);
	return rc != 0 ? -1 : 0;
}

int recorded_disks(struct recorded *r, const struct ttd_files *files, struct disks **out,
	struct ttd_error *e)
{
	*out = NULL;
	if (r->disks == NULL && recorded_bases(r, files, e) != 0)
		return -1;
	if (disks_replay_overlays(r->disks, r->path, log_run_id(r->log), e) != 0)
		return -1;
	*out = r->disks;
	r->disks = NULL;
	return 0;
}

void recorded_config(struct recorded *r, struct ttd_config *c, struct model *model)
{
	const struct log_meta *m = r->meta;
	struct ttd_error none;

	*c = (struct ttd_config)TTD_CONFIG_INIT;
	c->name = m->name;
	c->kernel = r->kernel;
	c->ramdisk = r->ramdisk[0] != '\0' ? r->ramdisk : NULL;
	c->cmdline = m->cmdline;
	c->restored = m->restored[0] != '\0';
	c->memory_mb = (uint32_t)m->memory_mb;
	c->maxmem_mb = (uint32_t)m->maxmem_mb;
	c->strict_mmu = m->strict_mmu != 0;
	c->clock = (enum ttd_clock)m->clock;
	model_recorded(model, m, &none); /* recorded_check() has been asked */
	c->stop_icount = m->stop_icount;
	memcpy(r->vif_lines, m->vifs, sizeof r->vif_lines);
	c->vifs = r->vifs;
	c->nvifs = net_lines(r->vif_lines, r->vifs);
}
