/*
 * broker.h - the process that handles the few names of files and sockets which a
 * confined process still needs; see util/names.h.
 *
 * It is forked before the confinement, and knows all names by then.  There is one kind of
 * request: a verb and a path; one kind of answer: an errno, with a descriptor where one was
 * asked for.  A request whose path is not one of the names, or whose verb is not allowed for
 * it, gets EPERM.  It ends when this process does.
 *
 *  BR1. The folder of each name is opened before anybody could have changed it, and paths are
 *      followed from there, without links.
 *  BR2. Of wild names, only what the broker made itself, or what is younger than it, can be
 *      changed; so what was there before stays as it is.
 */
#ifndef TTD_SANDBOX_BROKER_H
#define TTD_SANDBOX_BROKER_H

#include "sandbox/sandbox.h"

/* Forks it; names_open() and its like ask it from now on. */
int broker_start(const struct sandbox *s, struct ttd_error *e);

#endif
