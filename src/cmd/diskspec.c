/*
 * diskspec.c - xl disk specifications; see diskspec.h.
 */
#include "cmd/diskspec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libxlutil.h>

/* Stands for an NBD address while libxlutil looks at the rest. */
#define PLACEHOLDER "/an/nbd/server"

static bool is_nbd(const char *s)
{
	return strncmp(s, "nbd:", 4) == 0 || strncmp(s, "nbds:", 5) == 0 ||
		strncmp(s, "nbd+", 4) == 0 || strncmp(s, "nbds+", 5) == 0;
}

/* ",xvda,w" after the target, not ",raw,xvda,w" or ",vdev=xvda". */
static bool is_old(const char *rest)
{
	size_t n = *rest == ',' ? strcspn(rest + 1, ",=") : 0;

	return n > 0 && rest[1 + n] != '=' && strncmp(rest + 1, "raw", n) != 0;
}

/*
 * An address has colons and slashes that libxlutil takes for something else.
 * As the first word it goes up to the comma, after target= up to the end.
 */
static int take_address(const char *spec, char **plain, char **address)
{
	const char *at = spec, *end;

	*address = NULL;
	if (!is_nbd(at)) {
		at = strncmp(spec, "target=", 7) == 0 ? spec : strstr(spec, ",target=");
		at = at == NULL ? NULL : at + (*at == ',' ? 8 : 7);
		if (at == NULL || !is_nbd(at)) {
			*plain = strdup(spec);
			return *plain != NULL ? 0 : -1;
		}
		end = at + strlen(at);
	} else {
		end = at + strcspn(at, ",");
	}
	*address = strndup(at, (size_t)(end - at));
	if (*address == NULL || asprintf(plain, "%s%.*s%s%s", at == spec && is_old(end) ? "phy:" : "",
		(int)(at - spec), spec, PLACEHOLDER, end) < 0)
		return -1;
	return 0;
}

static int bad(const char *from, const char *spec, const char *why, struct ttd_error *e)
{
	return err_set(e, TTD_USAGE, "%.60s: '%.150s': %s", from, spec, why);
}

/* What libxlutil said, as one line, without the names that it gives to things. */
static int bad_syntax(const char *from, const char *spec, const char *said, struct ttd_error *e)
{
	const char *what = said != NULL ? strstr(said, "config parsing error") : NULL;
	char line[160];

	what = what != NULL ? strstr(what, ": ") : NULL;
	snprintf(line, sizeof line, "%.*s", what != NULL ? (int)strcspn(what + 2, "\n") : 0,
		what != NULL ? what + 2 : "");
	return bad(from, spec, line[0] != '\0' ? line
		: "is no disk specification; give FILE,raw,xvda,rw or the like", e);
}

static int check(const char *from, const char *spec, const libxl_device_disk *x,
	struct ttd_error *e)
{
	switch (x->format) {
	case LIBXL_DISK_FORMAT_UNKNOWN:
	case LIBXL_DISK_FORMAT_RAW:
		break;
	case LIBXL_DISK_FORMAT_EMPTY:
		return bad(from, spec, "an empty drive is of no use: nothing can be put in", e);
	default:
		return bad(from, spec, "the format must be raw; serve other images by NBD, as with "
			"qemu-nbd -r -t -k /tmp/s IMAGE, and give nbd+unix:///?socket=/tmp/s", e);
	}
	if (x->script != NULL)
		return bad(from, spec, "block scripts are not run; give the device that they make",
			e);
	if (x->backend_domname != NULL)
		return bad(from, spec, "there is no other domain to serve it", e);
	if (x->pdev_path == NULL || *x->pdev_path == '\0')
		return bad(from, spec, "a file, device or NBD server is missing", e);
	if (x->vdev == NULL || *x->vdev == '\0')
		return bad(from, spec, "the name in the guest is missing; add xvda", e);
	return 0;
}

static void dispose(libxl_device_disk *x)
{
	free(x->pdev_path);
	free(x->vdev);
	free(x->script);
	free(x->backend_domname);
	free(x->colo_host);
	free(x->colo_export);
	free(x->active_disk);
	free(x->hidden_disk);
}

static int add(struct disk_list *l, const char *from, const char *name, const char *target,
	const struct ttd_disk *how, struct ttd_error *e)
{
	struct ttd_disk *d = &l->disk[l->n];

	if (l->n == TTD_DISKS_MAX)
		return err_set(e, TTD_USAGE, "%.60s: a guest may have %d disks", from, TTD_DISKS_MAX);
	*d = *how;
	d->name = strdup(name);
	d->target = strdup(target);
	l->n++;
	return d->name != NULL && d->target != NULL ? 0 : err_set(e, TTD_HOST, "out of memory");
}

static int parse(struct disk_list *l, const char *from, const char *spec, const char *plain,
	const char *address, struct ttd_error *e)
{
	libxl_device_disk x = {0};
	struct ttd_disk how = {0};
	char *said = NULL;
	size_t n = 0;
	FILE *to = open_memstream(&said, &n);
	XLU_Config *cfg = to != NULL ? xlu_cfg_init(to, "disk") : NULL;
	int rc = -1;

	if (cfg == NULL) {
		err_set(e, TTD_HOST, "out of memory");
	} else if (xlu_disk_parse(cfg, 1, &plain, &x) != 0) {
		fflush(to);
		bad_syntax(from, spec, said, e);
	} else if (check(from, spec, &x, e) == 0) {
		how.read_only = !x.readwrite;
		how.cdrom = x.is_cdrom;
		how.no_discard = x.discard_enable.val < 0;
		rc = add(l, from, x.vdev, address != NULL && strcmp(x.pdev_path, PLACEHOLDER) == 0
			? address : x.pdev_path, &how, e);
	}
	dispose(&x);
	if (cfg != NULL)
		xlu_cfg_destroy(cfg);
	if (to != NULL)
		fclose(to);
	free(said);
	return rc;
}

int disk_list_add(struct disk_list *l, const char *from, const char *spec, struct ttd_error *e)
{
	char *plain = NULL, *address = NULL;
	int rc = take_address(spec, &plain, &address);

	rc = rc == 0 ? parse(l, from, spec, plain, address, e) : err_set(e, TTD_HOST,
		"out of memory");
	free(plain);
	free(address);
	return rc;
}

int disk_list_add_base(struct disk_list *l, const char *from, const char *word,
	struct ttd_error *e)
{
	const char *eq = strchr(word, '=');
	struct ttd_disk how = {0};
	char name[40];

	if (eq == NULL || eq == word || eq[1] == '\0' || (size_t)(eq - word) >= sizeof name)
		return bad(from, word, "give NAME=PATH, as in xvda=/images/debian.img", e);
	snprintf(name, sizeof name, "%.*s", (int)(eq - word), word);
	return add(l, from, name, eq + 1, &how, e);
}

void disk_list_free(struct disk_list *l)
{
	for (unsigned i = 0; i < l->n; i++) {
		free((char *)l->disk[i].name);
		free((char *)l->disk[i].target);
	}
	l->n = 0;
}
