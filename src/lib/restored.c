/*
 * restored.c - an image's head; see restored.h.  Memory is not looked at: it is read when the
 * machine is built (xen/restore.h).
 */
#include "lib/restored.h"

#include <stdio.h>
#include <stdlib.h>

#include "xen/restore.h"
#include "xlsave/xlsave.h"

enum { PAGES_PER_MB = 256 };

/* NULL: *e. */
static struct xlsave *open_head(const char *image, struct ttd_error *e)
{
	struct xlsave *s = calloc(1, sizeof *s);

	if (s == NULL) {
		err_set(e, TTD_HOST, "out of memory");
		return NULL;
	}
	if (xlsave_open(s, image, true, e) == 0)
		return s;
	xlsave_close(s);
	free(s);
	return NULL;
}

static void close_head(struct xlsave *s)
{
	xlsave_close(s);
	free(s);
}

int restored_config(struct ttd_config *cfg, struct ttd_error *e)
{
	struct xlsave *s;

	if (cfg->kernel == NULL)
		return err_set(e, TTD_USAGE, "no image was given");
	s = open_head(cfg->kernel, e);
	if (s == NULL)
		return -1;
	cfg->memory_mb = (uint32_t)((s->pages + PAGES_PER_MB - 1) / PAGES_PER_MB);
	cfg->ramdisk = cfg->cmdline = NULL;
	close_head(s);
	return 0;
}

int restored_text(const char *image, char text[LOG_RESTORED], struct ttd_error *e)
{
	struct xlsave *s = open_head(image, e);

	if (s == NULL)
		return -1;
	snprintf(text, LOG_RESTORED, "Xen %u.%u", s->xen_major, s->xen_minor);
	close_head(s);
	return 0;
}

int restored_isa(const char *image, uint64_t *isa, struct ttd_error *e)
{
	struct xlsave *s = open_head(image, e);
	int rc;

	if (s == NULL)
		return -1;
	rc = restore_isa(s, isa, e);
	close_head(s);
	return rc;
}
