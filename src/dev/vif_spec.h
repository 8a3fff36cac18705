/*
 * vif_spec.h - what a network interface is to be, as users write it: xl's
 * network configuration (xl-network-configuration(5)), "key=value,...", with
 * keys of our own.
 */
#ifndef TTD_DEV_VIF_SPEC_H
#define TTD_DEV_VIF_SPEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

enum { VIF_MTU = 1500 /* where nothing is said */ };
enum { VIF_FORWARDS = 24, VIF_NAME = 16 /* of a host's interface, with its NUL */, VIF_TEXT = 2048 };

enum vif_backend { VIF_USER, VIF_TAP, VIF_NONE };

/* Connections to host:host_port go to guest:guest_port.  Addresses: most significant byte first. */
struct vif_forward {
	bool udp;
	uint32_t host, guest; /* 0: all of the host's; the guest's by DHCP */
	uint16_t host_port, guest_port;
};

struct vif_spec {
	enum vif_backend backend;
	uint8_t mac[6];
	bool has_mac;
	bool ipv6;             /* user */
	bool loopback;         /* user: the router's address leads to the host's loopback */
	bool restricted;       /* user: nothing but what comes by a forward */
	uint16_t mtu;
	char ifname[VIF_NAME]; /* tap; "" lets the kernel choose */
	char bridge[VIF_NAME]; /* tap: put it there; "" nowhere */
	unsigned nforwards;
	struct vif_forward forward[VIF_FORWARDS]; /* user */
};

/*
 * `warn` (may be NULL) is called for each key that has no effect here.  A
 * specification without a mac gets one from the domain's name and the
 * interface's number: always the same.
 */
int vif_spec_parse(const char *text, const char *domain, unsigned index, struct vif_spec *spec,
	void (*warn)(void *ctx, const char *line), void *ctx, struct ttd_error *e);

/* One that vif_spec_parse() makes the same of. */
void vif_spec_text(const struct vif_spec *spec, char text[VIF_TEXT]);
void vif_mac_text(const uint8_t mac[6], char text[18]);

#endif
