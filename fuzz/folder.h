/*
 * folder.h - a folder for what one fuzzer writes, removed when it ends.
 */
#ifndef TTD_FUZZ_FOLDER_H
#define TTD_FUZZ_FOLDER_H

#include <stdio.h>
#include <stdlib.h>

static const char *fuzz_folder_path;

static void fuzz_folder_gone(void)
{
	char cmd[80];

	snprintf(cmd, sizeof cmd, "rm -rf %s", fuzz_folder_path);
	if (system(cmd) != 0)
		return;
}

/* As mkdtemp(). */
static void fuzz_folder(char *path)
{
	if (mkdtemp(path) == NULL) {
		perror(path);
		exit(1);
	}
	fuzz_folder_path = path;
	atexit(fuzz_folder_gone);
}

#endif
