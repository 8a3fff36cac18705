/*
 * bus.h - devices on the bus that dev/bus.h describes.
 */
#ifndef TTD_XEN_BUS_H
#define TTD_XEN_BUS_H

#include <stdbool.h>
#include <stdint.h>

#include "util/bytes.h"
#include "util/err.h"

struct dev;
struct domain;
struct event;

int bus_attach(struct domain *d, struct dev *dev,
	struct ttd_error *e); /* before the guest starts */
void bus_detach_all(struct domain *d);
/* Before and after another source takes the place of the one that there is. */
void bus_quiet_all(struct domain *d);
int bus_forked_all(struct domain *d, struct ttd_error *e);
void bus_live_all(struct domain *d);
void bus_notify(struct domain *d, uint32_t port);
void bus_port_closed(struct domain *d, uint32_t port);
void bus_apply(struct domain *d, const struct event *ev);
uint64_t bus_due(const struct domain *d); /* guest ns or SOURCE_NEVER */
void bus_expire(struct domain *d);
uint64_t bus_content(struct domain *d);
void bus_save(const struct domain *d, struct wbuf *w, bool digest);
int bus_load(struct domain *d, struct rbuf *r);

#endif
