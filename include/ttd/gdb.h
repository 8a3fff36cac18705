/*
 * gdb.h - a session (see ttd.h) under gdb: its remote serial protocol, forwards and
 * backwards.  Part of <ttd/ttd.h>.
 *
 * One client at a time.  It may detach and attach again: the machine stays where
 * it is.  Nothing that a client does changes the recording; 'monitor fork' makes
 * the session's machine leave it.
 */
#ifndef TTD_GDB_H
#define TTD_GDB_H

#include <ttd/session.h>

#ifdef __cplusplus
extern "C" {
#endif

struct ttd_gdb;

/* The session must outlive it, and is not to be moved by others meanwhile. */
TTD_API struct ttd_gdb *ttd_gdb_open(struct ttd_session *s, struct ttd_error *err);
TTD_API void ttd_gdb_close(struct ttd_gdb *g);

/* Has its machine left the recording? */
TTD_API int ttd_gdb_live(const struct ttd_gdb *g);

/*
 * Where clients come from: a port of the loopback interface, where *port 0 becomes the
 * one that was chosen, or a socket in the file system, which you remove.  Both are for
 * this user only; a port also closes what does not begin as a client of gdb's protocol
 * does, and keeps a socket open to ask the kernel whose a connection is.  To be made before
 * the session is confined.  NULL: *err.
 */
struct ttd_gdb_listener;
TTD_API struct ttd_gdb_listener *ttd_gdb_listen_port(unsigned *port, struct ttd_error *err);
TTD_API struct ttd_gdb_listener *ttd_gdb_listen_path(const char *path, struct ttd_error *err);
TTD_API void ttd_gdb_unlisten(struct ttd_gdb_listener *l); /* NULL is fine */

/* The next client, a descriptor, for who serves it elsewhere.  -1: *err, or wake_fd is readable. */
TTD_API int ttd_gdb_accept(struct ttd_gdb_listener *l, int wake_fd, struct ttd_error *err);

enum ttd_gdb_end {
	TTD_GDB_DETACHED, /* the client is done, or gone: another one may come */
	TTD_GDB_KILLED,   /* it wants no more of this machine */
	TTD_GDB_WOKEN,    /* wake_fd (-1: none) has become readable */
	TTD_GDB_FAILED,   /* *err */
};
/* Waits for a client and serves it until it goes. */
TTD_API enum ttd_gdb_end ttd_gdb_serve(struct ttd_gdb *g, struct ttd_gdb_listener *l,
	int wake_fd, struct ttd_error *err);

#ifdef __cplusplus
}
#endif

#endif
