/*
 * console.c - the PV console: a page with two rings (xen/io/console.h) and an
 * event channel.
 *
 * Output is taken out of the ring inside the guest's notification, so the
 * ring is empty whenever the guest looks.  Input waits in `in` until the ring
 * has room; the guest notifies after reading, which is when more is put in.
 * The event channel is raised only when there is something new to read:
 * Linux throttles interrupts that turn out to be spurious.
 *
 * The indices run free and are the guest's to spoil: a ring that claims more
 * bytes than it holds is set back to empty.
 */
#include "xen/internal.h"

#include <errno.h>
#include <stdlib.h>

#include <xen/io/console.h>

#include "xen/guestcopy.h"

enum {
	IN_SIZE = 1024, OUT_SIZE = 2048,
	IN = offsetof(struct xencons_interface, in),
	OUT = offsetof(struct xencons_interface, out),
	IN_CONS = offsetof(struct xencons_interface, in_cons),
	IN_PROD = offsetof(struct xencons_interface, in_prod),
	OUT_CONS = offsetof(struct xencons_interface, out_cons),
	OUT_PROD = offsetof(struct xencons_interface, out_prod),
};

static void console_written(struct domain *d, const void *p, size_t n)
{
	d->console_bytes += n;
	if (d->console_out != NULL)
		d->console_out(d->console_ctx, p, n);
}

static void drain_output(struct domain *d)
{
	const uint8_t *page = mem_frame(d->mem, d->con.ring);
	uint32_t cons = get32(page + OUT_CONS), prod = get32(page + OUT_PROD);
	uint32_t n = prod - cons;
	uint8_t buf[OUT_SIZE];

	if (n == 0)
		return;
	if (n <= OUT_SIZE) {
		for (uint32_t i = 0; i < n; i++)
			buf[i] = page[OUT + ((cons + i) & (OUT_SIZE - 1))];
		console_written(d, buf, n);
	}
	mem_write_frame(d->mem, d->con.ring, OUT_CONS, &prod, 4);
}

static void fill_input(struct domain *d)
{
	struct console_state *c = &d->con;
	const uint8_t *page = mem_frame(d->mem, c->ring);
	uint32_t cons = get32(page + IN_CONS), prod = get32(page + IN_PROD), n, first;

	if (c->in_len == 0)
		return;
	if (prod - cons > IN_SIZE)
		prod = cons;
	n = IN_SIZE - (prod - cons);
	if (n > c->in_len)
		n = (uint32_t)c->in_len;
	if (n == 0)
		return;
	first = IN_SIZE - (prod & (IN_SIZE - 1));
	if (first > n)
		first = n;
	mem_write_frame(d->mem, c->ring, IN + (prod & (IN_SIZE - 1)), c->in, first);
	if (n > first)
		mem_write_frame(d->mem, c->ring, IN, c->in + first, n - first);
	prod += n;
	mem_write_frame(d->mem, c->ring, IN_PROD, &prod, 4);
	c->in_len -= n;
	memmove(c->in, c->in + n, c->in_len);
	evtchn_raise(d, c->port, PORT_CONSOLE);
}

void console_kick(struct domain *d)
{
	drain_output(d);
	fill_input(d);
}

/* Bytes beyond the backlog are lost, as on a line that nobody reads. */
void console_input(struct domain *d, const void *p, size_t n)
{
	struct console_state *c = &d->con;
	uint8_t *in;

	if (n > CONSOLE_BACKLOG_MAX - c->in_len)
		n = CONSOLE_BACKLOG_MAX - c->in_len;
	if (n == 0)
		return;
	in = realloc(c->in, c->in_len + n);
	if (in == NULL)
		return;
	memcpy(in + c->in_len, p, n);
	c->in = in;
	c->in_len += n;
	fill_input(d);
}

/* CONSOLEIO_write: text that does not go through the ring, of a kernel that is just starting. */
int64_t hc_console_io(struct vcpu *v, const struct hypercall_args *h)
{
	struct hypercall_args left = *h;

	if ((uint32_t)h->a[0] != CONSOLEIO_write)
		return -EPERM;
	left.a[1] = (uint32_t)left.a[1];
	while (left.a[1] > 0) {
		char buf[256];
		size_t part = left.a[1] < sizeof buf ? left.a[1] : sizeof buf;

		if (copy_from_guest(v, buf, left.a[2], part) < 0)
			return -EFAULT;
		console_written(v->d, buf, part);
		left.a[2] += part;
		left.a[1] -= part;
		if (left.a[1] > 0 && hypercall_work(v->d, 64))
			return hypercall_again(v, &left);
	}
	return 0;
}

void console_save(const struct console_state *c, struct wbuf *w)
{
	wbuf_u64(w, c->ring);
	wbuf_u32(w, c->port);
	wbuf_u32(w, (uint32_t)c->in_len);
	wbuf_put(w, c->in, c->in_len);
}

int console_load(struct console_state *c, struct rbuf *r)
{
	uint32_t n;
	uint8_t *in = NULL;

	c->ring = rbuf_u64(r);
	c->port = rbuf_u32(r);
	n = rbuf_u32(r);
	if (r->bad || n > CONSOLE_BACKLOG_MAX || c->port >= PORTS)
		return -1;
	if (n > 0 && (in = malloc(n)) == NULL)
		return -1;
	rbuf_get(r, in, n);
	free(c->in);
	c->in = in;
	c->in_len = n;
	return r->bad ? -1 : 0;
}
