/*
 * reader.c - see reader.h.
 */
#include "cmd/ttd/reader.h"

int reader_confine(const struct ttd_confinement *c, bool no_sandbox, struct diag *diag)
{
	struct ttd_error e = TTD_ERROR_INIT;

	if (no_sandbox || ttd_confine(c, &e) == 0)
		return TTD_OK;
	diag_print(diag, DIAG_ERROR, "%s", e.text);
	return (int)e.status;
}

int reader_confine_to(const char *trace, const char *output, unsigned flags, bool no_sandbox,
	struct diag *diag)
{
	struct ttd_confinement c = TTD_CONFINEMENT_INIT;

	c.flags = flags;
	c.traces = &trace;
	c.ntraces = 1;
	c.outputs = &output;
	c.noutputs = output != NULL;
	return reader_confine(&c, no_sandbox, diag);
}
