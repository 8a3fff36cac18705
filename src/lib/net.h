/*
 * net.h - the network interfaces of a machine.
 */
#ifndef TTD_LIB_NET_H
#define TTD_LIB_NET_H

#include "dev/vif_spec.h"
#include "lib/vm.h"

/* live: with their host sides; a replay has none. */
int net_create(struct ttd_vm *vm, const struct ttd_config *cfg, bool live, struct ttd_error *e);
/* What they ask of the host while they run, and if they are made again. */
struct net_needs {
	bool tap, outward, forwards, udp;
	unsigned nports;
	uint16_t port[TTD_VIFS_MAX * VIF_FORWARDS]; /* of the host's, by TCP */
};
void net_needs(const struct ttd_vm *vm, struct net_needs *n);
void net_free(struct ttd_vm *vm); /* after the domain */

/* The specifications, one a line, as a log keeps them. */
int net_text(const struct ttd_config *cfg, char *text, size_t n, struct ttd_error *e);
/* ... and back; the array's strings are in `text`, which is cut up. */
unsigned net_lines(char *text, const char *line[TTD_VIFS_MAX]);

#endif
