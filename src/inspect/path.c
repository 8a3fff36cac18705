/*
 * path.c - the path of an open file, from its directory entries and mounts, as
 * the kernel's d_path() makes it.
 */
#include <string.h>

#include "inspect/guest.h"

enum { PATH_PARTS = 64, NAME_PART = 255 };

static const char deleted[] = " (deleted)";

/* A text being made from its end; `at` is where it begins. */
struct path {
	char text[GUEST_TEXT];
	size_t at;
};

static bool prepend(struct path *p, const char *s, size_t len)
{
	if (len > p->at)
		return false;
	p->at -= len;
	memcpy(p->text + p->at, s, len);
	return true;
}

/* Puts "/name" in front. */
static bool prepend_dentry(const struct guest_view *v, uint64_t dentry, struct path *p)
{
	char name[NAME_PART + 1];
	uint64_t at;
	int len;

	if (!guest_get(v, dentry, "dentry", "d_name.name", &at))
		return false;
	len = guest_string(v, at, name, sizeof name);
	return len > 0 && prepend(p, name, (size_t)len) && prepend(p, "/", 1);
}

/* The place where the mount that holds `mnt` (a vfsmount) is mounted. */
static bool mounted_on(const struct guest_view *v, uint64_t *mnt, uint64_t *dentry)
{
	uint64_t mount, parent;
	uint32_t off;

	if (!types_offset(v->types, "mount", "mnt", &off))
		return false;
	mount = *mnt - off;
	if (!guest_get(v, mount, "mount", "mnt_parent", &parent) || parent == mount ||
		!guest_get(v, mount, "mount", "mnt_mountpoint", dentry))
		return false;
	*mnt = parent + off;
	return true;
}

/* Made for no folder, like "dev/zero": the file system has a function that names it. */
static bool named_by_fs(const struct guest_view *v, uint64_t dentry)
{
	uint64_t op, fn;

	return guest_get(v, dentry, "dentry", "d_op", &op) && op != 0 &&
		guest_get(v, op, "dentry_operations", "d_dname", &fn) && fn != 0;
}

static bool unhashed(const struct guest_view *v, uint64_t dentry)
{
	uint64_t pprev;

	return guest_get(v, dentry, "dentry", "d_hash.pprev", &pprev) && pprev == 0;
}

void guest_file_path(const struct guest_view *v, uint64_t file, char out[GUEST_TEXT])
{
	uint64_t mnt, dentry, parent;
	struct path p = { .at = GUEST_TEXT - 1 };

	out[0] = '\0';
	if (!guest_get(v, file, "file", "f_path.mnt", &mnt) ||
		!guest_get(v, file, "file", "f_path.dentry", &dentry) ||
		!guest_get(v, dentry, "dentry", "d_parent", &parent))
		return;
	if (parent == dentry && named_by_fs(v, dentry)) {
		prepend(&p, deleted, sizeof deleted - 1);
		prepend_dentry(v, dentry, &p);
		strcpy(out, p.text + p.at);
		return;
	}
	if (parent != dentry && unhashed(v, dentry))
		prepend(&p, deleted, sizeof deleted - 1);
	for (unsigned i = 0; i < PATH_PARTS; i++) {
		if (!guest_get(v, dentry, "dentry", "d_parent", &parent))
			break;
		if (parent == dentry) {
			if (!mounted_on(v, &mnt, &dentry))
				break;
			continue;
		}
		if (!prepend_dentry(v, dentry, &p))
			break;
		dentry = parent;
	}
	if (p.at == GUEST_TEXT - 1)
		prepend(&p, "/", 1);
	strcpy(out, p.text + p.at);
}
