/*
 * checkpoints.c - taking checkpoints of a recording or a replay; see checkpoints.h.
 */
#include "lib/checkpoints.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "timeline/autosave.h"
#include "timeline/ckread.h"
#include "trace/trace.h"
#include "util/parse.h"

void checkpoints_id(struct ck_id *id, const struct log_meta *m,
	const uint8_t run_id[RUN_ID])
{
	memset(id, 0, sizeof *id);
	memcpy(id->run_id, run_id, RUN_ID);
	id->engine = m->engine;
	id->abi = m->abi;
}

static int parse(const char *text, struct ttd_checkpointing *c, struct ttd_error *e)
{
	size_t len = strspn(text, "0123456789");
	const char *unit = text + len;
	char number[24];
	uint64_t n;

	c->off = strcmp(text, "off") == 0;
	c->every_ns = c->every_insns = 0;
	if (c->off)
		return 0;
	if (len > 0 && len < sizeof number) {
		memcpy(number, text, len);
		number[len] = '\0';
		if (strcmp(unit, "s") == 0 && parse_u64(number, 1, 1000000, &n) == 0)
			c->every_ns = n * 1000000000;
		else if (strcmp(unit, "ms") == 0 && parse_u64(number, 10, 1000000000, &n) == 0)
			c->every_ns = n * 1000000;
		else if (*unit == '\0' && parse_u64(number, 100000, INT64_MAX, &n) == 0)
			c->every_insns = n;
	}
	if (c->every_ns != 0 || c->every_insns != 0)
		return 0;
	return err_set(e, TTD_USAGE, "give seconds as 2s, milliseconds from 10 as 500ms, a number of "
		"instructions from 100000, or off");
}

int ttd_checkpointing_parse(const char *text, struct ttd_checkpointing *c,
	struct ttd_error *err)
{
	struct ttd_error spare, *e = err_begin(err, &spare);

	return parse(text, c, e);
}

static int start(struct ttd_vm *vm, const struct checkpoints_params *p, struct ttd_error *e)
{
	char path[TTD_PATH_MAX];
	struct autosave_params a = {
		.writer = { .path = path, .id = p->id, .domain = vm->domain,
			.bytes = p->how->max_bytes },
		.every_ns = p->how->every_ns, .every_insns = p->how->every_insns,
		.records_at = p->records_at, .note = p->note, .ctx = p->ctx,
	};

	if (path_join(path, p->log, CHECKPOINTS_SUFFIX, "", e) != 0)
		return -1;
	vm->autosave = autosave_create(&a, e);
	return vm->autosave != NULL ? 0 : -1;
}

void checkpoints_start(struct ttd_vm *vm, const struct checkpoints_params *p)
{
	struct ttd_error e = TTD_ERROR_INIT;

	if (!p->how->off && start(vm, p, &e) != 0)
		p->note(p->ctx, e.text);
}

void checkpoints_finish(struct ttd_vm *vm, struct ttd_result *res)
{
	struct cksave_result r = {0};

	autosave_free(vm->autosave, &r);
	vm->autosave = NULL;
	res->checkpoints = r.checkpoints;
	res->checkpoint_bytes = r.bytes;
	res->checkpoint_ns = r.cost_ns;
	res->checkpoint_written = r.frames << PAGE_SHIFT;
}

void checkpoints_info(struct ttd_trace_info *t, const struct log_meta *m,
	const uint8_t run_id[RUN_ID])
{
	char path[TTD_PATH_MAX];
	struct ckread *f;
	struct ck_id id;
	struct stat st;
	struct ttd_error e = TTD_ERROR_INIT;

	checkpoints_id(&id, m, run_id);
	id.frames = domain_frames(m->maxmem_mb != 0 ? m->maxmem_mb : m->memory_mb);
	if (path_join(path, t->log, CHECKPOINTS_SUFFIX, "", &e) != 0 || stat(path, &st) != 0)
		return;
	t->checkpoint_bytes = (uint64_t)st.st_size;
	f = ckread_open(path, &id, &e);
	if (f == NULL) {
		snprintf(t->checkpoint_text, sizeof t->checkpoint_text, "%.255s", e.text);
		return;
	}
	t->checkpoints = ckread_count(f);
	if (t->checkpoints != 0) {
		t->checkpoint_first = ckread_at(f, 0)->icount;
		t->checkpoint_last = ckread_at(f, t->checkpoints - 1)->icount;
	}
	if (ckread_skipped(f) != 0)
		snprintf(t->checkpoint_text, sizeof t->checkpoint_text,
			"the file is damaged in %llu places", (unsigned long long)ckread_skipped(f));
	ckread_close(f);
}
