/*
 * regs.h - the registers as gdb numbers and describes them.
 */
#ifndef TTD_GDB_REGS_H
#define TTD_GDB_REGS_H

#include "gdb/target.h"
#include "util/bytes.h"

unsigned regs_count(void);
/* Where register nr lies in *r, and how long it is.  NULL: there is none such. */
uint8_t *regs_at(struct gdb_regs *r, unsigned nr, size_t *size);
/* The target description, target.xml. */
void regs_xml(struct wbuf *w);

#endif
