/*
 * net.c - network interfaces: from specifications to devices.
 */
#include "lib/net.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dev/vif.h"

static int parse(const struct ttd_config *cfg, unsigned i, struct vif_spec *spec,
	struct ttd_error *e)
{
	if (cfg->nvifs > TTD_VIFS_MAX)
		return err_set(e, TTD_USAGE, "%u network interfaces; at most %d are possible",
			cfg->nvifs, TTD_VIFS_MAX);
	return vif_spec_parse(cfg->vifs[i], cfg->name != NULL ? cfg->name : "guest", i, spec, NULL,
		NULL, e);
}

int net_create(struct ttd_vm *vm, const struct ttd_config *cfg, bool live, struct ttd_error *e)
{
	struct vif_spec spec;

	for (unsigned i = 0; i < cfg->nvifs; i++) {
		if (parse(cfg, i, &spec, e) != 0)
			return -1;
		vm->vif[i] = vif_create(&spec, i, live, e);
		if (vm->vif[i] == NULL)
			return -1;
		vm->nvifs++;
		vm->device[vm->ndevices++] = vif_dev(vm->vif[i]);
	}
	return 0;
}

void net_needs(const struct ttd_vm *vm, struct net_needs *n)
{
	memset(n, 0, sizeof *n);
	for (unsigned i = 0; i < vm->nvifs; i++) {
		const struct vif_spec *s = vif_spec_of(vm->vif[i]);

		n->tap |= s->backend == VIF_TAP;
		n->outward |= s->backend == VIF_USER && !s->restricted;
		n->forwards |= s->backend == VIF_USER && s->nforwards != 0;
		for (unsigned k = 0; s->backend == VIF_USER && k < s->nforwards; k++)
			if (s->forward[k].udp)
				n->udp = true;
			else
				n->port[n->nports++] = s->forward[k].host_port;
	}
}

void net_free(struct ttd_vm *vm)
{
	for (unsigned i = 0; i < vm->nvifs; i++)
		vif_destroy(vm->vif[i]);
	vm->nvifs = 0;
	free(vm->capture);
	vm->capture = NULL;
}

struct capture {
	void (*fn)(void *ctx, const struct ttd_packet *f);
	void *ctx;
	uint8_t bytes[NET_FRAME_MAX];
};

static void passes(void *ctx, unsigned id, bool sent, uint64_t guest_ns,
	const struct net_frame *f)
{
	struct capture *w = ctx;
	struct ttd_packet out = { .vif = id, .sent = sent, .guest_ns = guest_ns, .bytes = f->p,
		.len = f->len };

	if (f->csum_blank) {
		memcpy(w->bytes, f->p, f->len);
		net_csum_complete(w->bytes, f->len);
		out.bytes = w->bytes;
	}
	w->fn(w->ctx, &out);
}

int ttd_vm_capture_packets(struct ttd_vm *vm, void (*fn)(void *ctx, const struct ttd_packet *f),
	void *ctx)
{
	struct capture *w = calloc(1, sizeof *w);

	if (w == NULL)
		return -1;
	w->fn = fn;
	w->ctx = ctx;
	free(vm->capture);
	vm->capture = w;
	for (unsigned i = 0; i < vm->nvifs; i++)
		vif_capture(vm->vif[i], passes, w);
	return 0;
}

int net_text(const struct ttd_config *cfg, char *text, size_t n, struct ttd_error *e)
{
	char one[VIF_TEXT];
	struct vif_spec spec;
	size_t at = 0;

	text[0] = '\0';
	for (unsigned i = 0; i < cfg->nvifs; i++) {
		if (parse(cfg, i, &spec, e) != 0)
			return -1;
		vif_spec_text(&spec, one);
		if (at + strlen(one) + 2 > n)
			return err_set(e, TTD_USAGE, "the network interfaces have too many forwards");
		at += (size_t)snprintf(text + at, n - at, "%s%s", i > 0 ? "\n" : "", one);
	}
	return 0;
}

unsigned net_lines(char *text, const char *line[TTD_VIFS_MAX])
{
	unsigned n = 0;
	char *s;

	while (n < TTD_VIFS_MAX && (s = strsep(&text, "\n")) != NULL)
		if (*s != '\0')
			line[n++] = s;
	return n;
}

int ttd_vif_check(const char *spec, void (*warn)(void *ctx, const char *line), void *ctx,
	struct ttd_error *err)
{
	struct vif_spec parsed;
	struct ttd_error spare, *e = err_begin(err, &spare);

	return vif_spec_parse(spec, "guest", 0, &parsed, warn, ctx, e);
}
