/*
 * net.c - network interfaces: from specifications to devices.
 */
#include "lib/net.h"

#include <stdio.h>
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

void net_free(struct ttd_vm *vm)
{
	for (unsigned i = 0; i < vm->nvifs; i++)
		vif_destroy(vm->vif[i]);
	vm->nvifs = 0;
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
