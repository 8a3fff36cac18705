/*
 * runtime.h - the folder of this user's running domains, and the sockets in
 * it.
 *
 * The folder is $XDG_RUNTIME_DIR/ttd, else /run/user/UID/ttd, else
 * /tmp/ttd-UID; it is ours alone (0700) or it is not used.  Its sockets keep
 * packets apart (SOCK_SEQPACKET); both ends check that the other one is the
 * same user or root.  A socket that nobody listens on is left over from a
 * process that died, and is removed by whoever finds it.
 */
#ifndef TTD_UTIL_RUNTIME_H
#define TTD_UTIL_RUNTIME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/err.h"

enum { RUNTIME_PATH = 108 /* of a socket's address */, PACKET_MAX = 64 << 10 };

#define DEVICED_SOCKET "deviced"
#define DOMAIN_SUFFIX ".domain"

/* Makes the folder when it is not there. */
int runtime_dir(char path[RUNTIME_PATH], struct ttd_error *e);
int runtime_path(char path[RUNTIME_PATH], const char *name, const char *suffix,
	struct ttd_error *e);

/* A socket to accept on.  -1: *e, with *taken when somebody listens there already. */
int runtime_listen(const char *path, bool *taken, struct ttd_error *e);
/* The next client, checked; -1: none, or one that must not. */
int runtime_accept(int listener);
/* -1 and *e (NULL: nobody wants to know) when nobody is there. */
int runtime_connect(const char *path, struct ttd_error *e);
/* Removes the socket of a process that died. */
void runtime_sweep(const char *path);

/* One packet, with a file descriptor unless `pass` is -1.  Never raises SIGPIPE. */
int packet_send(int fd, const void *p, size_t n, int pass);
/*
 * The next packet: its length, 0 at the end, -1 on an error, when it is longer
 * than `cap`, or after `ms` (-1: no limit).  *pass: what came with it, or -1;
 * with `pass` NULL it is closed.
 */
ssize_t packet_recv(int fd, void *p, size_t cap, int *pass, int ms);

#endif
