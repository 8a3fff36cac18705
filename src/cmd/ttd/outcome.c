/*
 * outcome.c - how a run ended; see outcome.h.
 */
#include "cmd/ttd/outcome.h"

#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>

#include "cmd/ttd/console.h"

__attribute__((format(printf, 4, 5)))
static void say(const struct outcome *o, enum diag_level level, bool more, const char *fmt, ...)
{
	char line[2048];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof line, fmt, ap);
	va_end(ap);
	o->say(o->ctx, level, more, line);
}

void outcome_print(void *ctx, enum diag_level level, bool more, const char *line)
{
	(void)more;
	diag_print(ctx, level, "%s", line);
}

/* As a shell reports a process that a signal ended. */
static enum ttd_status stopped(int why)
{
	return (enum ttd_status)(why > 0 ? 128 + why : why == CONSOLE_OUTPUT_GONE ? TTD_HOST : TTD_OK);
}

enum ttd_status outcome_run(const struct outcome *o, struct ttd_vm *vm, enum ttd_end end)
{
	switch (end) {
	case TTD_END_CRASH:
		say(o, DIAG_ERROR, false, "%s crashed: %s", o->name, ttd_vm_crash_reason(vm));
		return TTD_CRASHED;
	case TTD_END_SUSPEND:
		say(o, DIAG_ERROR, false, "%s suspended itself; it cannot be resumed", o->name);
		return TTD_HOST;
	case TTD_END_STOPPED:
		if (o->why == CONSOLE_OUTPUT_GONE)
			say(o, DIAG_ERROR, false, "%s: stopped: cannot write to standard output",
				o->name);
		if (o->why == SIGXCPU)
			say(o, DIAG_ERROR, false, "%s: stopped: its CPU time is used up (ulimit -t)",
				o->name);
		return stopped(o->why);
	default:
		return TTD_OK;
	}
}

enum ttd_status outcome_recorded(const struct outcome *o, const struct ttd_result *r,
	enum ttd_status status)
{
	bool limit = r->outcome == TTD_RECORDED_LIMIT;

	if ((limit || r->outcome != TTD_RECORDED) && status == TTD_OK)
		status = TTD_HOST;
	if (!limit && r->outcome != TTD_RECORDED) {
		say(o, DIAG_ERROR, false, "%s%s%s",
			r->text[0] != '\0' ? r->text : "the log is not complete",
			r->trace[0] != '\0' ? "; what was recorded before replays: " : "", r->trace);
		return status;
	}
	if (limit)
		say(o, DIAG_ERROR, false, "%s: stopped: %s", o->name, r->text);
	say(o, DIAG_NOTE, false, "recorded %s: %" PRIu64 " instructions, %" PRIu64 " inputs, %"
		PRIu64 " witnesses, %" PRIu64 " bytes", r->trace, r->icount, r->inputs,
		r->witnesses, r->log_bytes);
	if (r->checkpoints != 0)
		say(o, DIAG_NOTE, true, "%" PRIu64 " checkpoints, %" PRIu64 " MB for %" PRIu64
			" MB that were written; they took %.2f s of CPU time", r->checkpoints,
			(r->checkpoint_bytes + (1 << 19)) >> 20,
			(r->checkpoint_written + (1 << 19)) >> 20, (double)r->checkpoint_ns / 1e9);
	return status;
}

static void counts(const struct outcome *o, bool more, const char *how,
	const struct ttd_result *r)
{
	say(o, DIAG_NOTE, more, "%s: %" PRIu64 " instructions, %" PRIu64 " inputs, %" PRIu64
		" witnesses and %" PRIu64 " digests equal", how, r->icount, r->inputs,
		r->witnesses, r->digests);
}

static void divergence_line(void *ctx, const char *what, const char *text)
{
	say(ctx, DIAG_NOTE, true, "%s: %s", what, text);
}

enum ttd_status outcome_replayed(const struct outcome *o, struct ttd_vm *vm,
	const struct ttd_result *r)
{
	switch (r->outcome) {
	case TTD_VERIFIED:
		counts(o, false, "replay verified to its end", r);
		return TTD_OK;
	case TTD_REPLAYED_CUT:
		counts(o, false, "the recording was cut short; replay verified to its last record", r);
		return TTD_OK;
	case TTD_REPLAY_DIVERGED:
		say(o, DIAG_ERROR, false, "%s", r->text);
		ttd_vm_divergence(vm, divergence_line, (void *)(uintptr_t)o);
		return TTD_DIVERGED;
	case TTD_REPLAY_FAILED:
		say(o, DIAG_ERROR, false, "%s", r->text);
		counts(o, true, "before that", r);
		return TTD_HOST;
	case TTD_REPLAY_DAMAGED:
		say(o, DIAG_ERROR, false, "%s", r->text);
		counts(o, true, "before the damage", r);
		return TTD_DAMAGED;
	default:
		if (o->why == SIGXCPU)
			say(o, DIAG_ERROR, false, "its CPU time is used up (ulimit -t)");
		counts(o, false, "replay stopped", r);
		return stopped(o->why);
	}
}
