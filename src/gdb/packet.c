/*
 * packet.c - see packet.h.
 */
#include "gdb/packet.h"

#include "util/parse.h"

static const char digits[] = "0123456789abcdef";

int hex_number(const char **text, uint64_t *value)
{
	const char *p = *text;
	uint64_t v = 0;

	for (; parse_digit(*p) < 16; p++) {
		if (v >> 60 != 0)
			return -1;
		v = v << 4 | (unsigned)parse_digit(*p);
	}
	if (p == *text)
		return -1;
	*text = p;
	*value = v;
	return 0;
}

int hex_bytes(const char *text, void *p, size_t n)
{
	uint8_t *out = p;

	for (size_t i = 0; i < n; i++) {
		int high = parse_digit(text[2 * i]);
		int low = high < 16 ? parse_digit(text[2 * i + 1]) : 16;

		if (low == 16)
			return -1;
		out[i] = (uint8_t)(high << 4 | low);
	}
	return text[2 * n] == '\0' ? 0 : -1;
}

void hex_put(struct wbuf *w, const void *p, size_t n)
{
	const uint8_t *in = p;

	for (size_t i = 0; i < n; i++) {
		wbuf_u8(w, (uint8_t)digits[in[i] >> 4]);
		wbuf_u8(w, (uint8_t)digits[in[i] & 15]);
	}
}

static enum packet_event outside(struct packet *p, uint8_t byte)
{
	switch (byte) {
	case '$':
		p->state = DATA;
		p->sum = 0;
		p->len = 0;
		p->too_long = p->bad_sum = false;
		return PACKET_NONE;
	case '+':
		return PACKET_ACK;
	case '-':
		return PACKET_NAK;
	case 3:
		return PACKET_INTERRUPT;
	default:
		return PACKET_NONE;
	}
}

static enum packet_event data(struct packet *p, uint8_t byte)
{
	if (byte == '#') {
		p->state = SUM_HIGH;
		return PACKET_NONE;
	}
	if (byte == '$') /* cannot be inside: the rest of the last one was lost */
		return outside(p, byte);
	p->sum = (uint8_t)(p->sum + byte);
	if (p->len < PACKET_MAX)
		p->data[p->len++] = (char)byte;
	else
		p->too_long = true;
	return PACKET_NONE;
}

enum packet_event packet_byte(struct packet *p, uint8_t byte)
{
	int digit;

	switch (p->state) {
	case OUTSIDE:
		return outside(p, byte);
	case DATA:
		return data(p, byte);
	case SUM_HIGH:
	case SUM_LOW:
		digit = parse_digit((char)byte);
		p->bad_sum |= digit == 16;
		p->given = (uint8_t)(p->given << 4 | (digit & 15));
		if (p->state == SUM_HIGH) {
			p->state = SUM_LOW;
			return PACKET_NONE;
		}
		p->state = OUTSIDE;
		if (p->bad_sum || p->given != p->sum)
			return PACKET_BAD;
		if (p->too_long)
			p->len = 0; /* an unknown packet */
		p->data[p->len] = '\0';
		return PACKET_READY;
	}
	return PACKET_NONE;
}

void packet_frame(struct wbuf *out, const void *bytes, size_t n)
{
	const uint8_t *in = bytes;
	uint8_t sum = 0;

	wbuf_u8(out, '$');
	for (size_t i = 0; i < n; i++) {
		uint8_t c = in[i];

		if (c == '$' || c == '#' || c == '}' || c == '*') {
			wbuf_u8(out, '}');
			sum = (uint8_t)(sum + '}');
			c ^= 0x20;
		}
		wbuf_u8(out, c);
		sum = (uint8_t)(sum + c);
	}
	wbuf_u8(out, '#');
	wbuf_u8(out, (uint8_t)digits[sum >> 4]);
	wbuf_u8(out, (uint8_t)digits[sum & 15]);
}

size_t packet_unescape(char *bytes, size_t n)
{
	size_t k = 0;

	for (size_t i = 0; i < n; i++) {
		if (bytes[i] == '}' && i + 1 < n)
			bytes[k++] = (char)(bytes[++i] ^ 0x20);
		else
			bytes[k++] = bytes[i];
	}
	return k;
}
