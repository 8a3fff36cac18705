/*
 * view.h - what a view of the public interface is made of.
 */
#ifndef TTD_LIB_VIEW_H
#define TTD_LIB_VIEW_H

#include <ttd/ttd.h>

#include "inspect/dwarf.h"
#include "inspect/guest.h"
#include "lib/symbols.h"
#include "util/err.h"
#include "xen/domain.h"

/* A file of the host's that the user named. */
struct view_file {
	char *path; /* in the guest; of the kernel's NULL */
	struct dwarf *dwarf; /* NULL: there is none */
	struct view_file *next;
};

struct ttd_view {
	struct guest_view guest;
	struct domain *domain;
	struct ttd_symbols symbols; /* the table is the guest's */
	struct ttd_error no_symbols;      /* why there are none */
	struct ttd_vm *vm;
	struct dwarf *kernel;       /* --symbols; may be NULL */
	const char *symbols_file;   /* its path, while opening */
	bool bad_file;              /* no_symbols says what is wrong with it */
	char *sysroot;
	char **binary;
	unsigned binaries;
	struct view_file *files;    /* looked for so far */
};

/* viewfiles.c: finds the guest's tables, and takes over what the options (or NULL) name.  -1: *e. */
int view_files_open(struct ttd_view *view, const struct ttd_view_options *opt,
	struct ttd_error *e);
void view_files_close(struct ttd_view *view);
/* A program of the guest's as a file of the host's; NULL: there is none. */
struct dwarf *view_file(struct ttd_view *view, const char *path);

/* The kernel's symbols are there; -1: *err says what is missing. */
int view_need_symbols(const struct ttd_view *view, struct ttd_error *err);
/* Those, and the layout of its structures. */
int view_need(const struct ttd_view *view, struct ttd_error *err);

/* For tid 0 the running task.  -1: *e. */
int view_task(const struct ttd_view *view, int tid, struct guest_task *t, struct ttd_error *e);

#endif
