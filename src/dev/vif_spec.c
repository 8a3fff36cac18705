/*
 * vif_spec.c - see vif_spec.h.  One table of keys; a key that xl knows and that
 * means nothing here is in it without a function.
 */
#include "dev/vif_spec.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/parse.h"

struct parsing {
	const char *text;
	struct vif_spec *s;
	struct ttd_error *e;
	bool backend_given;
};

static int bad(const struct parsing *p, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
static int bad(const struct parsing *p, const char *fmt, ...)
{
	char why[300];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof why, fmt, ap);
	va_end(ap);
	return err_set(p->e, TTD_USAGE, "vif '%.120s': %s", p->text, why);
}

static int take_mac(struct parsing *p, char *v)
{
	uint8_t mac[6];
	size_t n = strlen(v);

	for (size_t i = 0; i < 6 && n == 17; i++) {
		if (!isxdigit((unsigned char)v[3 * i]) || !isxdigit((unsigned char)v[3 * i + 1]) ||
			(i < 5 && v[3 * i + 2] != ':')) {
			n = 0;
			break;
		}
		mac[i] = (uint8_t)strtoul(v + 3 * i, NULL, 16);
	}
	if (n != 17)
		return bad(p, "mac=%.40s: write it as 00:16:3e:12:34:56", v);
	if (mac[0] & 1)
		return bad(p, "mac=%.40s: is a group's address; the first byte must be even", v);
	memcpy(p->s->mac, mac, 6);
	p->s->has_mac = true;
	return 0;
}

static const char *const backends[] = { [VIF_USER] = "user", [VIF_TAP] = "tap", [VIF_NONE] = "none" };

static int backend_word(const char *v)
{
	for (int i = 0; i < 3; i++)
		if (strcmp(v, backends[i]) == 0)
			return i;
	return -1;
}

/* xl's names of the domain where a backend lives: there is only this one. */
static int take_backend(struct parsing *p, char *v)
{
	int i = backend_word(v);

	if (i < 0 && strcmp(v, "0") != 0 && strcmp(v, "dom0") != 0 && strcmp(v, "Domain-0") != 0)
		return bad(p, "backend=%.40s: give user, tap or none", v);
	if (i >= 0) {
		p->s->backend = (enum vif_backend)i;
		p->backend_given = true;
	}
	return 0;
}

static int take_name(struct parsing *p, char *v, const char *key, char out[VIF_NAME])
{
	size_t n = strlen(v);

	if (n == 0 || n >= VIF_NAME || strchr(v, '/') != NULL || strchr(v, '%') != NULL ||
		strcmp(v, ".") == 0 || strcmp(v, "..") == 0)
		return bad(p, "%s=%.40s: is no name for an interface (at most 15 characters)", key,
			v);
	memcpy(out, v, n + 1);
	return 0;
}

static int take_ifname(struct parsing *p, char *v)
{
	return take_name(p, v, "ifname", p->s->ifname);
}

static int take_bridge(struct parsing *p, char *v)
{
	return take_name(p, v, "bridge", p->s->bridge);
}

static int take_mtu(struct parsing *p, char *v)
{
	uint64_t n;

	if (parse_u64(v, 68, 65521, &n) != 0)
		return bad(p, "mtu=%.40s: give 68 to 65521", v);
	p->s->mtu = (uint16_t)n;
	return 0;
}

static int take_flag(struct parsing *p, char *v, const char *key, bool *flag)
{
	if (strcmp(v, "0") != 0 && strcmp(v, "1") != 0)
		return bad(p, "%s=%.40s: give 0 or 1", key, v);
	*flag = *v == '1';
	return 0;
}

static int take_ipv6(struct parsing *p, char *v)
{
	return take_flag(p, v, "ipv6", &p->s->ipv6);
}

static int take_hostloopback(struct parsing *p, char *v)
{
	return take_flag(p, v, "hostloopback", &p->s->loopback);
}

static int take_restrict(struct parsing *p, char *v)
{
	return take_flag(p, v, "restrict", &p->s->restricted);
}

static int take_type(struct parsing *p, char *v)
{
	if (strcmp(v, "vif") != 0 && strcmp(v, "ioemu") != 0)
		return bad(p, "type=%.40s: guests have paravirtual interfaces only (vif)", v);
	return 0;
}

/* "ADDR:PORT" or ":PORT" */
static int end_point(char *v, uint32_t if_none, uint32_t *addr, uint16_t *port)
{
	char *colon = strrchr(v, ':');
	struct in_addr in;
	uint64_t n;

	if (colon == NULL || parse_u64(colon + 1, 1, 65535, &n) != 0)
		return -1;
	*colon = '\0';
	*port = (uint16_t)n;
	*addr = if_none;
	if (*v == '\0')
		return 0;
	if (inet_pton(AF_INET, v, &in) != 1)
		return -1;
	*addr = ntohl(in.s_addr);
	return 0;
}

static int take_hostfwd(struct parsing *p, char *v)
{
	struct vif_forward f = {0};
	char copy[100], *s = copy, *dash;
	bool ok = strlen(v) < sizeof copy;

	if (p->s->nforwards == VIF_FORWARDS)
		return bad(p, "more than %d hostfwd", VIF_FORWARDS);
	if (ok) {
		strcpy(copy, v);
		f.udp = strncmp(s, "udp:", 4) == 0;
		ok = f.udp || strncmp(s, "tcp:", 4) == 0;
		s += 4;
	}
	dash = ok ? strchr(s, '-') : NULL;
	if (dash != NULL)
		*dash++ = '\0';
	if (dash == NULL || end_point(s, INADDR_LOOPBACK, &f.host, &f.host_port) != 0 ||
		end_point(dash, 0, &f.guest, &f.guest_port) != 0)
		return bad(p, "hostfwd=%.60s: write it as tcp:127.0.0.1:8080-:80 "
			"(tcp or udp, the host's address and port, the guest's)", v);
	p->s->forward[p->s->nforwards++] = f;
	return 0;
}

static const struct {
	const char *key;
	int (*take)(struct parsing *p, char *value); /* NULL: xl's, has no effect */
	int8_t only; /* for this backend, else it has no effect; -1: for all */
} keys[] = {
	{"mac", take_mac, -1}, {"backend", take_backend, -1}, {"mtu", take_mtu, -1},
	{"type", take_type, -1}, {"ipv6", take_ipv6, VIF_USER},
	{"hostloopback", take_hostloopback, VIF_USER}, {"restrict", take_restrict, VIF_USER},
	{"hostfwd", take_hostfwd, VIF_USER}, {"ifname", take_ifname, VIF_TAP},
	{"vifname", take_ifname, VIF_TAP}, {"bridge", take_bridge, VIF_TAP},
	{"script", NULL, -1}, {"model", NULL, -1}, {"ip", NULL, -1}, {"rate", NULL, -1},
	{"gatewaydev", NULL, -1}, {"netdev", NULL, -1}, {"devid", NULL, -1},
	{"trusted", NULL, -1}, {"accel", NULL, -1}, {"vlan", NULL, -1},
};
enum { KEYS = sizeof keys / sizeof *keys };

static char *trim(char *s)
{
	char *end = s + strlen(s);

	while (isspace((unsigned char)*s))
		s++;
	while (end > s && isspace((unsigned char)end[-1]))
		*--end = '\0';
	return s;
}

static int take_item(struct parsing *p, char *item, bool seen[KEYS])
{
	char *value = strchr(item, '=');
	size_t i;

	if (value == NULL) {
		if (backend_word(item) < 0)
			return bad(p, "'%.40s': give user, tap or none, or KEY=VALUE", item);
		return take_backend(p, item);
	}
	*value++ = '\0';
	item = trim(item);
	value = trim(value);
	for (i = 0; i < KEYS && strcmp(item, keys[i].key) != 0; i++)
		;
	if (i == KEYS)
		return bad(p, "unknown key '%.40s'", item);
	seen[i] = true;
	return keys[i].take != NULL ? keys[i].take(p, value) : 0;
}

static void warn_of(const struct parsing *p, const bool seen[KEYS],
	void (*warn)(void *ctx, const char *line), void *ctx)
{
	char line[300];

	for (size_t i = 0; warn != NULL && i < KEYS; i++) {
		bool other = keys[i].only >= 0 && keys[i].only != (int)p->s->backend;

		if (!seen[i] || (keys[i].take != NULL && !other))
			continue;
		snprintf(line, sizeof line, "vif '%.120s': %s has no effect%s%s%s", p->text,
			keys[i].key, other ? " with backend=" : " here and is ignored",
			other ? backends[p->s->backend] : "",
			other && keys[i].only == VIF_TAP ? "; it needs backend=tap" : "");
		warn(ctx, line);
	}
}

/* 00:16:3e is Xen's; the rest is FNV-1a of the name and the number. */
static void make_mac(struct vif_spec *s, const char *domain, unsigned index)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (; *domain != '\0'; domain++)
		h = (h ^ (uint8_t)*domain) * UINT64_C(0x100000001b3);
	h = (h ^ (0x100 + index)) * UINT64_C(0x100000001b3);
	h ^= h >> 32;
	memcpy(s->mac, (const uint8_t[]){ 0x00, 0x16, 0x3e, (uint8_t)(h >> 16 & 0x7f),
		(uint8_t)(h >> 8), (uint8_t)h }, 6);
}

int vif_spec_parse(const char *text, const char *domain, unsigned index, struct vif_spec *spec,
	void (*warn)(void *ctx, const char *line), void *ctx, struct ttd_error *e)
{
	struct parsing p = { .text = text, .s = spec, .e = e };
	bool seen[KEYS] = {0};
	char *copy = strdup(text), *rest = copy, *item;
	int rc = 0;

	*spec = (struct vif_spec){ .mtu = VIF_MTU };
	if (copy == NULL)
		return err_set(e, TTD_HOST, "out of memory");
	while (rc == 0 && (item = strsep(&rest, ",")) != NULL) {
		item = trim(item);
		if (*item != '\0')
			rc = take_item(&p, item, seen);
	}
	free(copy);
	if (rc == 0 && spec->restricted && spec->loopback)
		rc = bad(&p, "restrict=1 closes what hostloopback=1 opens; give one of them");
	if (rc != 0)
		return -1;
	if (!spec->has_mac)
		make_mac(spec, domain, index);
	spec->has_mac = true;
	warn_of(&p, seen, warn, ctx);
	return 0;
}

void vif_mac_text(const uint8_t mac[6], char text[18])
{
	snprintf(text, 18, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4],
		mac[5]);
}

__attribute__((format(printf, 3, 4)))
static void put(char *text, size_t *n, const char *fmt, ...)
{
	va_list ap;
	int k;

	va_start(ap, fmt);
	k = vsnprintf(text + *n, VIF_TEXT - *n, fmt, ap);
	va_end(ap);
	if (k > 0 && (size_t)k < VIF_TEXT - *n)
		*n += (size_t)k;
	else
		text[*n] = '\0'; /* whole keys only */
}

static void put_addr(char out[INET_ADDRSTRLEN], uint32_t addr)
{
	struct in_addr in = { .s_addr = htonl(addr) };

	inet_ntop(AF_INET, &in, out, INET_ADDRSTRLEN);
}

void vif_spec_text(const struct vif_spec *s, char text[VIF_TEXT])
{
	char mac[18], host[INET_ADDRSTRLEN], guest[INET_ADDRSTRLEN];
	size_t n = 0;

	vif_mac_text(s->mac, mac);
	text[0] = '\0';
	put(text, &n, "mac=%s,backend=%s", mac, backends[s->backend]);
	if (s->mtu != VIF_MTU)
		put(text, &n, ",mtu=%u", s->mtu);
	if (s->ipv6)
		put(text, &n, ",ipv6=1");
	if (s->loopback)
		put(text, &n, ",hostloopback=1");
	if (s->restricted)
		put(text, &n, ",restrict=1");
	if (s->ifname[0] != '\0')
		put(text, &n, ",ifname=%s", s->ifname);
	if (s->bridge[0] != '\0')
		put(text, &n, ",bridge=%s", s->bridge);
	for (unsigned i = 0; i < s->nforwards; i++) {
		const struct vif_forward *f = &s->forward[i];

		put_addr(host, f->host);
		put_addr(guest, f->guest);
		if (f->guest == 0)
			guest[0] = '\0';
		put(text, &n, ",hostfwd=%s:%s:%u-%s:%u", f->udp ? "udp" : "tcp", host, f->host_port,
			guest, f->guest_port);
	}
}
