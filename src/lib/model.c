/*
 * model.c - the CPU's model: by name for a new guest, from the log for a replay.
 *
 * The seed of rdrand and rdseed is the host's randomness where time is the host's, too.
 * With a virtual clock runs are to be alike, so it is nothing but zeros.
 */
#include "lib/model.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "event/log.h"
#include "lib/restored.h"

/* -1: *e names what this host lacks. */
static int host_runs(uint64_t isa, const char *whose, struct ttd_error *e)
{
	uint64_t missing = isa_missing(isa);
	char list[200];

	if (missing == 0)
		return 0;
	isa_list(missing, list, sizeof list);
	return err_set(e, TTD_HOST, "%s CPU %s: this host lacks %s", whose, isa_name(isa), list);
}

int model_config(struct model *m, const struct ttd_config *cfg, struct ttd_error *e)
{
	const char *name = cfg->cpu;

	memset(m, 0, sizeof *m);
	if (cfg->restored) {
		if (restored_isa(cfg->kernel, &m->isa, e) != 0)
			return -1;
	} else if (name == NULL) {
		m->isa = isa_missing(isa_v3()) == 0 ? isa_v3() : ISA_V2;
	} else if (strcmp(name, "v3") == 0) {
		m->isa = isa_v3();
	} else if (strcmp(name, "max") == 0) {
		m->isa = isa_max();
	} else if (strcmp(name, "v2") != 0) {
		return err_set(e, TTD_USAGE, "cpu: '%s'; give v2, v3 or max", name);
	}
	if (host_runs(m->isa, "the guest's", e) != 0)
		return -1;
	if (m->isa != 0 && cfg->clock == TTD_CLOCK_HOST &&
	    getrandom(m->seed, sizeof m->seed, 0) != (ssize_t)sizeof m->seed)
		return err_set(e, TTD_HOST, "no random numbers: %s", strerror(errno));
	return 0;
}

int model_recorded(struct model *m, const struct log_meta *meta, struct ttd_error *e)
{
	memset(m, 0, sizeof *m);
	if (!isa_makes_sense(meta->isa))
		return err_set(e, TTD_DAMAGED, "the log's configuration makes no sense: no CPU is "
			"like that");
	m->isa = meta->isa;
	memcpy(m->seed, meta->seed, sizeof m->seed);
	return host_runs(m->isa, "the recorded", e);
}

void model_to_meta(const struct model *m, struct log_meta *meta)
{
	_Static_assert(sizeof m->seed == sizeof meta->seed, "same size");
	meta->isa = m->isa;
	memcpy(meta->seed, m->seed, sizeof meta->seed);
}

void model_text(uint64_t isa, char *text, size_t n)
{
	char more[100];

	isa_list(isa & ~isa_v3(), more, sizeof more);
	if (more[0] != '\0')
		snprintf(text, n, "%s (v3 %s)", isa_name(isa), more);
	else
		snprintf(text, n, "%s", isa_name(isa));
}
