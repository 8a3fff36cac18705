/*
 * net.h - the network interfaces of a machine.
 */
#ifndef TTD_LIB_NET_H
#define TTD_LIB_NET_H

#include "lib/vm.h"

/* live: with their host sides; a replay has none. */
int net_create(struct ttd_vm *vm, const struct ttd_config *cfg, bool live, struct err *e);
bool net_has_tap(const struct ttd_vm *vm);
void net_free(struct ttd_vm *vm); /* after the domain */

/* The specifications, one a line, as a log keeps them. */
int net_text(const struct ttd_config *cfg, char *text, size_t n, struct err *e);
/* ... and back; the array's strings are in `text`, which is cut up. */
unsigned net_lines(char *text, const char *line[TTD_VIFS_MAX]);

#endif
