/*
 * listen.h - where clients of the protocol come from.
 *
 * A socket in the file system is for who may open it: this user.  A TCP port takes the same
 * user's connections only, and of those only what begins as gdb does: a web page that a
 * browser of the user's sends there is none.  Others are closed, and waiting goes on.
 */
#ifndef TTD_GDB_LISTEN_H
#define TTD_GDB_LISTEN_H

#include <stdbool.h>

#include "util/err.h"

struct gdb_listener;

/* On the loopback interface; *port 0 becomes the one chosen.  NULL: *e. */
struct gdb_listener *gdb_listen_port(unsigned *port, struct ttd_error *e);
/*
 * In the file system, mode 0600.  A socket of that name that nobody listens to any more is
 * replaced.  Whoever made it removes it.
 */
struct gdb_listener *gdb_listen_path(const char *path, struct ttd_error *e);
void gdb_listener_close(struct gdb_listener *l);

/*
 * Waits for a client, but not once `wake` (-1: none) is readable.  Its descriptor;
 * -1: *e, or `wake`, when e->text is empty.
 */
int gdb_accept(const struct gdb_listener *l, int wake, struct ttd_error *e);

#endif
