/*
 * fuzz_wire.c - packets between a domain and ttd-deviced, as either side gets
 * them from the other.  What is read is written again, and must read the same.
 */
#include <stdlib.h>
#include <string.h>

#include "daemon/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void request(struct rbuf r)
{
	static struct wire_request q, again;
	struct wbuf w = {0}, second = {0};

	if (request_read(&r, &q) != 0)
		return;
	if (request_write(&w, &q) != 0)
		abort();
	r = (struct rbuf){ .p = w.p, .len = w.len };
	if (request_read(&r, &again) != 0 || request_write(&second, &again) != 0)
		abort();
	if (w.len != second.len || memcmp(w.p, second.p, w.len) != 0)
		abort();
	wbuf_free(&w);
	wbuf_free(&second);
}

static void reply(struct rbuf r)
{
	static struct wire_reply p, again;
	struct wbuf w = {0};

	if (reply_read(&r, &p) != 0)
		return;
	if (reply_write(&w, &p) != 0)
		abort();
	r = (struct rbuf){ .p = w.p, .len = w.len };
	if (reply_read(&r, &again) != 0 || strcmp(p.path, again.path) != 0 ||
		strcmp(p.text, again.text) != 0 || strcmp(p.dir, again.dir) != 0 ||
		p.ok != again.ok || p.done != again.done || p.status != again.status)
		abort();
	wbuf_free(&w);
}

static void result(struct rbuf r)
{
	static struct wire_result s, again;
	struct wbuf w = {0};

	if (result_read(&r, &s) != 0)
		return;
	if (result_write(&w, &s) != 0)
		abort();
	r = (struct rbuf){ .p = w.p, .len = w.len };
	if (result_read(&r, &again) != 0 || strcmp(s.text, again.text) != 0 ||
		s.bytes != again.bytes || s.complete != again.complete)
		abort();
	wbuf_free(&w);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct rbuf r = { .p = p, .len = n };

	request(r);
	reply(r);
	result(r);
	return 0;
}
