/*
 * rights.h - what each kind of process may still do once it is confined; the table is in
 * rights.c, and doc/architecture.md shows it.
 */
#ifndef TTD_SANDBOX_RIGHTS_H
#define TTD_SANDBOX_RIGHTS_H

#include "sandbox/sandbox.h"

/* Who. */
enum {
	ROLE_RUN = 1,
	ROLE_RECORD = 2,
	ROLE_REPLAY = 4,
	ROLE_SESSION = 8, /* goes to and fro in a recording, and looks */
	ROLE_DAEMON = 16, /* ttd-deviced */
	ROLE_READER = 32, /* reads a trace, and runs nothing */
};

/* When; all of a row's. */
enum {
	WHEN_AGAIN = 1,    /* another machine like it may be made: the guest may reboot */
	WHEN_DEVICED = 2,  /* ttd-deviced writes the log */
	WHEN_NET = 4,      /* there is a user network that reaches out */
	WHEN_FORWARDS = 64, /* ports are forwarded to one */
	WHEN_UDP = 256,    /* some of them by UDP */
	WHEN_TAP = 8,      /* there is a tap device */
	WHEN_NBD = 16,     /* there is a disk on a server */
	WHEN_INTO = 128,    /* a pack is unpacked */
	WHEN_CHILDREN = 32, /* work is shared out to processes */
};

enum rights_key {
	KEY_KERNEL, KEY_RAMDISK, KEY_CACHE, KEY_LOG, KEY_OVERLAY, KEY_RING, KEY_CONTROL, KEY_RUNTIME,
	KEY_DEVICED, KEY_TRACES, KEY_LOGS, KEY_NAME, KEY_BASE, KEY_DIRECT, KEY_TEMP, KEY_INPUT,
	KEY_OUTPUT, KEY_DAEMON_LOG, KEY_DAEMON_DIR, KEY_TRACE, KEY_INTO, KEYS
};

/* What the table's rows are filled in with; borrowed.  A row with a key of none is left out. */
struct rights_values {
	const char *const *v;
	unsigned n;
};

struct subject {
	unsigned role, when;
	struct rights_values value[KEYS];
	const char *one[KEYS]; /* of keys with one value */
	unsigned nports;
	const uint16_t *port;  /* forwarded ones, by TCP */
};

void rights_one(struct subject *s, enum rights_key key, const char *v);
void rights_set(struct subject *s, enum rights_key key, const char *const *v, unsigned n);

/*
 * Gives up what the table does not say of it, as sandbox_apply(); and nobody reads the key
 * of this user's seals.
 */
int rights_apply(const struct subject *s, struct ttd_error *e);

#endif
