/*
 * attach.h - this terminal as the console of a domain in another process.
 */
#ifndef TTD_CMD_TTD_ATTACH_H
#define TTD_CMD_TTD_ATTACH_H

#include "util/diag.h"

/* Until the domain ends (what it ended with) or Ctrl-] leaves it (0). */
int attach_console(const char *name, struct diag *diag);

#endif
