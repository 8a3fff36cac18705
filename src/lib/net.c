/*
 * net.c - network interfaces: from specifications to devices.
 */
#include "lib/net.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dev/vif.h"

static int parse(const struct ttd_config *cfg, unsigned i, struct vif_spec *spec, struct err *e)
{
	if (cfg->nvifs > TTD_VIFS_MAX)
		return err_set(e, ST_USAGE, "%u network interfaces; at most %d are possible",
			cfg->nvifs, TTD_VIFS_MAX);
	return vif_spec_parse(cfg->vifs[i], cfg->name != NULL ? cfg->name : "guest", i, spec, NULL,
		NULL, e);
}

int net_create(struct ttd_vm *vm, const struct ttd_config *cfg, bool live, struct err *e)
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

bool net_has_tap(const struct ttd_vm *vm)
{
	for (unsigned i = 0; i < vm->nvifs; i++)
		if (vif_backend(vm->vif[i]) == VIF_TAP)
			return true;
	return false;
}

void net_free(struct ttd_vm *vm)
{
	for (unsigned i = 0; i < vm->nvifs; i++)
		vif_destroy(vm->vif[i]);
	vm->nvifs = 0;
	free(vm->frame_watch);
	vm->frame_watch = NULL;
}

struct frame_watch {
	void (*fn)(void *ctx, const struct ttd_packet *f);
	void *ctx;
	uint8_t bytes[NET_FRAME_MAX];
};

static void passes(void *ctx, unsigned id, bool sent, uint64_t guest_ns,
	const struct net_frame *f)
{
	struct frame_watch *w = ctx;
	struct ttd_packet out = { .vif = id, .sent = sent, .guest_ns = guest_ns, .bytes = f->p,
		.len = f->len };

	if (f->csum_blank) {
		memcpy(w->bytes, f->p, f->len);
		net_csum_complete(w->bytes, f->len);
		out.bytes = w->bytes;
	}
	w->fn(w->ctx, &out);
}

int ttd_vm_watch_packets(struct ttd_vm *vm, void (*fn)(void *ctx, const struct ttd_packet *f),
	void *ctx)
{
	struct frame_watch *w = calloc(1, sizeof *w);

	if (w == NULL)
		return -1;
	w->fn = fn;
	w->ctx = ctx;
	free(vm->frame_watch);
	vm->frame_watch = w;
	for (unsigned i = 0; i < vm->nvifs; i++)
		vif_watch(vm->vif[i], passes, w);
	return 0;
}

int net_text(const struct ttd_config *cfg, char *text, size_t n, struct err *e)
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
			return err_set(e, ST_USAGE, "the network interfaces have too many forwards");
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
	struct err e;

	if (vif_spec_parse(spec, "guest", 0, &parsed, warn, ctx, &e) == 0)
		return 0;
	vm_error(err, &e);
	return -1;
}
