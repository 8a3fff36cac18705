/*
 * start.h - what every program does first.
 */
#ifndef TTD_UTIL_START_H
#define TTD_UTIL_START_H

#include <stdbool.h>

/*
 * Descriptors 0, 1 and 2 that are closed get /dev/null, so that no file of ours takes
 * their number and is written to as if it were standard output.  A limit of file sizes
 * becomes an error of write(), not our death; so does a reader that went away, except for
 * a filter, which ends with it.
 */
void program_start(bool filter);
/* Before running another program: signals as we found them. */
void program_before_exec(void);

#endif
