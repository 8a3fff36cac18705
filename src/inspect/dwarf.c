/*
 * dwarf.c - source lines by libdw; see dwarf.h.
 *
 * libdwfl is asked to place the file where it wants to be; for a program that
 * can be anywhere it invents a place, and says so with a bias.
 */
#include "inspect/dwarf.h"

#include <elfutils/libdwfl.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct dwarf {
	uint8_t *p;
	size_t n;
	Dwfl *dwfl;
	Dwfl_Module *module;
	GElf_Addr bias;
};

static const Dwfl_Callbacks callbacks = {
	.find_elf = dwfl_build_id_find_elf,
	.find_debuginfo = dwfl_standard_find_debuginfo,
	.section_address = dwfl_offline_section_address,
};

static bool map(struct dwarf *d, int fd, const char *name, struct ttd_error *e)
{
	struct stat st;
	void *p = MAP_FAILED;

	if (fstat(fd, &st) == 0) {
		if (!S_ISREG(st.st_mode) || st.st_size == 0) {
			err_set(e, TTD_HOST, "%s: not a file with anything in it", name);
			return false;
		}
		p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	}
	if (p == MAP_FAILED) {
		err_set(e, TTD_HOST, "cannot read %s: %s", name, strerror(errno));
		return false;
	}
	d->p = p;
	d->n = (size_t)st.st_size;
	return true;
}

/* libdwfl keeps a descriptor that it is given. */
static void report(struct dwarf *d, int fd, const char *name)
{
	int own = fcntl(fd, F_DUPFD_CLOEXEC, 3);

	d->dwfl = own >= 0 ? dwfl_begin(&callbacks) : NULL;
	if (d->dwfl != NULL) {
		dwfl_report_begin(d->dwfl);
		d->module = dwfl_report_offline(d->dwfl, name, name, own);
		dwfl_report_end(d->dwfl, NULL, NULL);
	}
	if (d->module == NULL && own >= 0)
		close(own);
	if (d->module != NULL && dwfl_module_getelf(d->module, &d->bias) == NULL)
		d->module = NULL;
}

struct dwarf *dwarf_open(int fd, const char *name, struct ttd_error *e)
{
	struct dwarf *d = calloc(1, sizeof *d);

	if (d == NULL) {
		err_set(e, TTD_HOST, "out of memory");
		return NULL;
	}
	if (!map(d, fd, name, e)) {
		free(d);
		return NULL;
	}
	if (d->n > SELFMAG && memcmp(d->p, ELFMAG, SELFMAG) == 0)
		report(d, fd, name);
	return d;
}

void dwarf_close(struct dwarf *d)
{
	if (d == NULL)
		return;
	if (d->dwfl != NULL)
		dwfl_end(d->dwfl);
	munmap(d->p, d->n);
	free(d);
}

const uint8_t *dwarf_bytes(const struct dwarf *d, size_t *n)
{
	*n = d->n;
	return d->p;
}

struct Dwarf *dwarf_info(struct dwarf *d)
{
	GElf_Addr bias;

	return d->module != NULL ? dwfl_module_getdwarf(d->module, &bias) : NULL;
}

bool dwarf_line(struct dwarf *d, uint64_t addr, char *file, size_t size, unsigned *line)
{
	Dwfl_Line *l = d->module != NULL ? dwfl_module_getsrc(d->module, addr + d->bias) : NULL;
	const char *name;
	int number;

	if (l == NULL)
		return false;
	name = dwfl_lineinfo(l, NULL, &number, NULL, NULL, NULL);
	if (name == NULL || number <= 0)
		return false;
	snprintf(file, size, "%s", name);
	*line = (unsigned)number;
	return true;
}
