/*
 * files.h - --kernel, --ramdisk and --disk-base of the commands that replay a trace:
 * where its files are now.
 */
#ifndef TTD_CMD_TTD_FILES_H
#define TTD_CMD_TTD_FILES_H

#include <ttd/ttd.h>

#include "cmd/diskspec.h"
#include "cmd/ttd/command.h"

/* Rows of a command's table, for its structure's field `to`, a struct files. */
#define FILES_BASE_ROW(type, to) \
	{"disk-base", "NAME=PATH", "the base of this disk is there now", \
		TAKE_INTO(files_take_base, type, to)}
#define FILES_ROWS(type, to) \
	{"kernel", "FILE", "the kernel that was recorded is there now", TAKE_TEXT(type, to.kernel)}, \
	{"ramdisk", "FILE", "the ramdisk that was recorded is there now", TAKE_TEXT(type, to.ramdisk)}, \
	FILES_BASE_ROW(type, to)

struct files {
	const char *kernel, *ramdisk;
	struct disk_list bases;
};

option_fn files_take_base;
/* Good as long as *f is and does not change. */
struct ttd_files files_get(const struct files *f);
void files_free(struct files *f);

#endif
