/*
 * console.h - the PV console.
 */
#ifndef TTD_XEN_CONSOLE_H
#define TTD_XEN_CONSOLE_H

#include <stddef.h>
#include <stdint.h>

#include "mem/mem.h"
#include "util/bytes.h"

struct domain;

enum { CONSOLE_BACKLOG_MAX = 1 << 20 };

struct console_state {
	mfn_t ring;
	uint32_t port;
	uint8_t *in; /* typed but not yet in the ring */
	size_t in_len;
};

void console_kick(struct domain *d); /* the guest sent the console port */
void console_input(struct domain *d, const void *p, size_t n);
void console_save(const struct console_state *c, struct wbuf *w);
int console_load(struct console_state *c, struct rbuf *r);

#endif
