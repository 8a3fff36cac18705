/*
 * console.h - the guest's console on this process's standard input and output,
 * and the signals that end a run.
 *
 * Numbered so that they can be checked:
 *  CO1. The signals we care about are blocked in every thread from
 *      console_open() to console_close(); only the console thread takes them,
 *      from a signalfd.  No handler ever runs on the vCPU thread, whose stack
 *      pointer is the guest's - except for our own crashes, on an alternate
 *      stack, to give the terminal back.
 *  CO2. The terminal is raw only between console_open() and console_close(),
 *      and while the process is in the foreground and not stopped.
 *  CO3. `vm` is touched under the lock only, so a reboot may replace it.
 */
#ifndef TTD_CMD_TTD_CONSOLE_H
#define TTD_CMD_TTD_CONSOLE_H

#include <ttd/ttd.h>

#include <stdbool.h>

#include "util/diag.h"
#include "util/err.h"

struct console;

/* Why the run was ended from outside; a signal's number, or one of these. */
enum { CONSOLE_RUNNING = 0, CONSOLE_LEFT = -1, CONSOLE_OUTPUT_GONE = -2 };

/*
 * Starts the console thread; with `input` it takes over the terminal when
 * there is one, without it standard input is left alone.
 */
struct console *console_open(struct diag *diag, bool input, struct ttd_error *e);

/* Ends the console thread and gives the terminal back: only the report is left. */
void console_restore(struct console *c);

/* The same if it was not done, and frees it; safe with NULL. */
void console_close(struct console *c);

/* Whom input and stop requests go to; NULL between two machines. */
void console_attach(struct console *c, struct ttd_vm *vm);

/* The guest's output; matches ttd_config.console_out with the console as ctx. */
void console_out(void *console, const void *p, size_t n);

/* What console_out() writes to is a terminal. */
bool console_on_terminal(void);

/* CONSOLE_RUNNING unless somebody ended the run. */
int console_why(const struct console *c);

/* Readable from the moment that somebody ends it. */
int console_end_fd(const struct console *c);

#endif
