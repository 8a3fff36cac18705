/*
 * peer.h - whose a TCP connection is that comes over the loopback interface.
 *
 * Any user, and any web page in a browser, can connect to a port.  The kernel knows which user
 * has the other end, and tells by a socket that is made before the process is confined.
 */
#ifndef TTD_GDB_PEER_H
#define TTD_GDB_PEER_H

#include <netinet/in.h>
#include <sys/types.h>

#include "util/err.h"

/* The socket to ask; close() it.  -1: *e. */
int peer_open(struct ttd_error *e);

/* The user of the socket at `peer` that is connected to `self`.  -1: there is none, or none is told. */
int peer_uid(int fd, const struct sockaddr_in *peer, const struct sockaddr_in *self, uid_t *uid);

#endif
