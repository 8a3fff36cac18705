/*
 * relay.h - what stands between gdb and the session that it debugs.
 *
 * gdb trusts what it debugs: by the File-I/O extension of its protocol a target has it open,
 * write and remove files of the user's, and gdb cannot be told not to.  A session runs a
 * recorded guest, maybe a stranger's; so what it sends to gdb passes here, and a packet that
 * asks for that ends the connection.  The port, or the path, that the user's gdb connects to
 * is this process's, and so is the socket by which it asks whose a connection is.
 */
#ifndef TTD_CMD_TTD_RELAY_H
#define TTD_CMD_TTD_RELAY_H

#include <stdbool.h>
#include <stddef.h>
#include <ttd/ttd.h>

/* One after the other: who comes to the listener talks to `stub`.  Until `alive` is closed. */
void relay_serve(int alive, struct ttd_gdb_listener *front, const char *stub);

#endif
