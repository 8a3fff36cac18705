/*
 * packet.h - framing of the remote serial protocol: $data#sum, escapes, acks.
 *
 * Bytes come from anywhere.  What is longer than PACKET_MAX becomes an empty
 * packet, which nobody knows; what has a wrong sum is told so.
 */
#ifndef TTD_GDB_PACKET_H
#define TTD_GDB_PACKET_H

#include "util/bytes.h"

enum { PACKET_MAX = 16384 };

enum packet_event {
	PACKET_NONE,
	PACKET_READY,     /* data[len], NUL-terminated; binary escapes are still in it */
	PACKET_BAD,       /* ask for it again */
	PACKET_ACK,
	PACKET_NAK,       /* send the last one again */
	PACKET_INTERRUPT, /* Ctrl-C */
};

struct packet {
	enum { OUTSIDE, DATA, SUM_HIGH, SUM_LOW } state;
	uint8_t sum, given;
	bool too_long, bad_sum;
	size_t len;
	char data[PACKET_MAX + 1];
};

enum packet_event packet_byte(struct packet *p, uint8_t byte);

/* $data#sum of n bytes; bytes that need it are escaped. */
void packet_frame(struct wbuf *out, const void *data, size_t n);

/* Undoes the escapes of binary data in place; the new length. */
size_t packet_unescape(char *data, size_t n);

/* *text is hexadecimal digits up to something else, where it is moved.  -1: none, too many. */
int hex_number(const char **text, uint64_t *value);
/* Exactly n bytes; -1: other text. */
int hex_bytes(const char *text, void *p, size_t n);
void hex_put(struct wbuf *w, const void *p, size_t n);

#endif
