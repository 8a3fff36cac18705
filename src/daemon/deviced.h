/*
 * deviced.h - ttd-deviced, for who confines it.
 */
#ifndef TTD_DAEMON_DEVICED_H
#define TTD_DAEMON_DEVICED_H

#include <ttd/deviced.h>

const char *deviced_log(const struct ttd_deviced *d); /* what it was given; or "" */
const char *deviced_dir(const struct ttd_deviced *d);

#endif
