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

#ifndef TTD_TTD_H
#error "include <ttd/ttd.h>"
#endif

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
 * A listening socket: on the loopback interface, where *port 0 becomes the one that
 * was chosen, or in the file system for this user only.  close() it.  -1: *err.
 */
TTD_API int ttd_gdb_listen_port(unsigned *port, struct ttd_error *err);
TTD_API int ttd_gdb_listen_path(const char *path, struct ttd_error *err);

enum ttd_gdb_end {
	TTD_GDB_DETACHED, /* the client is done, or gone: another one may come */
	TTD_GDB_KILLED,   /* it wants no more of this machine */
	TTD_GDB_WOKEN,    /* wake_fd (-1: none) has become readable */
	TTD_GDB_FAILED,   /* *err */
};
/* Waits for a client and serves it until it goes. */
TTD_API enum ttd_gdb_end ttd_gdb_serve(struct ttd_gdb *g, int listener, int wake_fd,
	struct ttd_error *err);

#ifdef __cplusplus
}
#endif

#endif
