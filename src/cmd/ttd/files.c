/*
 * files.c - see files.h.
 */
#include "cmd/ttd/files.h"

int files_take_base(void *to, const struct option_value *v, struct ttd_error *e)
{
	struct files *f = to;

	return disk_list_add_base(&f->bases, "--disk-base", v->text, e);
}

struct ttd_files files_get(const struct files *f)
{
	return (struct ttd_files){ .kernel = f->kernel, .ramdisk = f->ramdisk,
		.bases = f->bases.disk, .nbases = f->bases.n };
}

void files_free(struct files *f)
{
	disk_list_free(&f->bases);
}
