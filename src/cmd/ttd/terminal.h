/*
 * terminal.h - raw mode of standard input, undone whatever happens.
 */
#ifndef TTD_CMD_TTD_TERMINAL_H
#define TTD_CMD_TTD_TERMINAL_H

#include <stdbool.h>

/* Standard input is a terminal and we are in its foreground. */
bool terminal_ours(void);

/* Remembers the present mode and arranges to restore it at exit or a crash. */
void terminal_save(void);
void terminal_raw(void);
void terminal_restore(void); /* [async-signal-safe] */

#endif
