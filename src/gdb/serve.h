/*
 * serve.h - clients of the protocol over sockets, one at a time.
 */
#ifndef TTD_GDB_SERVE_H
#define TTD_GDB_SERVE_H

#include "gdb/session.h"

/* A listening socket on the loopback interface; *port 0 becomes the one chosen. */
int gdb_listen_port(unsigned *port, struct err *e);
/* The same as a socket in the file system, which nobody else may use. */
int gdb_listen_path(const char *path, struct err *e);

/*
 * Waits for a client, but not once `wake` (-1: none) is readable.  Its descriptor;
 * -1: *e, or `wake`, when e->text is empty.
 */
int gdb_accept(int listener, int wake, struct err *e);

/* Serves a client until it goes, and closes fd.  `wake` ends it too. */
enum gdb_end gdb_serve(const struct gdb_target *target, int fd, int wake);

#endif
