/*
 * salvage.c - see salvage.h.
 */
#include "lib/salvage.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "event/drain.h"
#include "lib/runtime.h"

static int ring_path(char path[RUNTIME_PATH], const uint8_t session[LOG_SESSION], struct err *e)
{
	char name[2 * LOG_SESSION + 1];

	for (unsigned i = 0; i < LOG_SESSION; i++)
		snprintf(name + 2 * i, 3, "%02x", session[i]);
	return runtime_path(path, name, ".ring", e);
}

struct ring *salvage_ring(struct ring_size size, const uint8_t session[LOG_SESSION], struct err *e)
{
	char path[RUNTIME_PATH];
	struct ring *r = NULL;
	struct err none;

	if (ring_path(path, session, &none) == 0)
		r = ring_create_file(size, session, path, &none);
	return r != NULL ? r : ring_create(size, session, e);
}

/* -1: some of it is still to be written. */
static int append(const char *log, struct ring *r)
{
	struct log_writer *w;
	struct drain *d = NULL;
	uint64_t stream;
	struct err none;
	int rc = -1;

	w = log_append_open(log, ring_session(r), false, &stream, &none);
	if (w != NULL)
		d = drain_create(r, w, stream, &none);
	if (d != NULL && drain_last(d, &none) == DRAIN_DONE)
		rc = 0;
	drain_free(d);
	log_writer_close(w);
	return rc;
}

static bool session_of(const char *log, uint8_t session[LOG_SESSION])
{
	struct err none;
	struct log_reader *r = log_open(log, &none);

	if (r != NULL)
		memcpy(session, log_session(r), LOG_SESSION);
	log_reader_close(r);
	return r != NULL;
}

void salvage_log(const char *log)
{
	uint8_t session[LOG_SESSION];
	char path[RUNTIME_PATH];
	struct err none;
	struct ring *r;

	if (!session_of(log, session) || ring_path(path, session, NULL) != 0 ||
		access(path, F_OK) != 0 || (r = ring_find(path, &none)) == NULL)
		return;
	if (memcmp(ring_session(r), session, LOG_SESSION) == 0 &&
		(log_finished(log, session) || append(log, r) == 0))
		unlink(path);
	ring_free(r);
}
