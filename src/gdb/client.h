/*
 * client.h - one client of the remote serial protocol, fed with what it sends.
 */
#ifndef TTD_GDB_CLIENT_H
#define TTD_GDB_CLIENT_H

#include "gdb/target.h"

struct gdb_io {
	/* Sends n bytes.  -1: the client is gone. */
	int (*send)(void *ctx, const void *p, size_t n);
	/* While on, Ctrl-C of the client, and its going, call the target's interrupt(). */
	void (*interrupts)(void *ctx, bool on);
	void *ctx;
};

enum gdb_end {
	GDB_GOES_ON,
	GDB_DETACHED,  /* the client is done, for now */
	GDB_KILLED,    /* and wants the machine gone */
	GDB_LOST,      /* sending failed, or no memory */
};

struct gdb_client;

/* NULL: no memory.  target and io are copied. */
struct gdb_client *gdb_client_create(const struct gdb_target *target, const struct gdb_io *io);
/* Obeys n bytes.  Once it is not GDB_GOES_ON nothing more is to be fed. */
enum gdb_end gdb_client_feed(struct gdb_client *s, const void *p, size_t n);
/* Tells the target that the client has gone. */
void gdb_client_destroy(struct gdb_client *s);

#endif
