/*
 * serve.h - a client of the protocol over a socket.
 */
#ifndef TTD_GDB_SERVE_H
#define TTD_GDB_SERVE_H

#include "gdb/client.h"

/* Serves a client until it goes, and closes fd.  `wake` ends it too. */
enum gdb_end gdb_serve(const struct gdb_target *target, int fd, int wake);

#endif
