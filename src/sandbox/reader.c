/*
 * reader.c - see reader.h.
 */
#include "sandbox/reader.h"

#include <string.h>

#include "util/path.h"

int sandbox_reader(const struct reader *r, struct ttd_error *e)
{
	struct subject s = {.role = ROLE_READER, .when = r->into != NULL ? WHEN_INTO : 0u};
	char cache[TTD_PATH_MAX];

	if (path_cache(cache, "", false, NULL) == 0)
		rights_one(&s, KEY_CACHE, cache);
	rights_set(&s, KEY_TRACE, r->traces, r->ntraces);
	rights_set(&s, KEY_INPUT, r->inputs, r->ninputs);
	rights_set(&s, KEY_OUTPUT, r->outputs, r->noutputs);
	rights_one(&s, KEY_INTO, r->into);
	/* The broker has it open. */
	if (r->into != NULL && path_make_folders(r->into, e) != 0)
		return -1;
	return rights_apply(&s, e);
}
