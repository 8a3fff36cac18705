/*
 * base_file.c - raw files and block devices.
 *
 * They are locked as a whole (open file description locks), for reading by a
 * run with an overlay and for writing by one without: two writers, or a base
 * that changes below an overlay, end in an error here and not in a corrupt disk.
 */
#include "dev/base_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/fullio.h"
#include "util/names.h"

#define NS_PER_SEC UINT64_C(1000000000)

static int file_read(struct base *b, uint64_t off, void *p, size_t n)
{
	return pread_full(b->fd, p, n, off); /* EIO: it was longer when it was opened */
}

static int file_write(struct base *b, uint64_t off, const void *p, size_t n)
{
	return pwrite_full(b->fd, p, n, off);
}

static int file_flush(struct base *b)
{
	return fdatasync(b->fd) == 0 ? 0 : errno;
}

static int file_discard(struct base *b, uint64_t off, uint64_t n)
{
	uint64_t range[2] = {off, n};

	if (n == 0)
		return 0;
	if (b->block_device)
		return ioctl(b->fd, BLKDISCARD, range) == 0 || errno == EOPNOTSUPP ? 0 : errno;
	if (fallocate(b->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)off,
		(off_t)n) == 0 || errno == EOPNOTSUPP)
		return 0;
	return errno;
}

static void file_close(struct base *b)
{
	close(b->fd); /* and its lock */
}

static const struct base_ops file_ops = {
	.read = file_read, .write = file_write, .flush = file_flush, .discard = file_discard,
	.close = file_close,
};

static int lock(struct base *b, enum base_mode mode, struct ttd_error *e)
{
	struct flock l = {.l_type = mode == BASE_WRITE ? F_WRLCK : F_RDLCK,
		.l_whence = SEEK_SET};

	if (fcntl(b->fd, F_OFD_SETLK, &l) == 0)
		return 0;
	if (errno != EAGAIN && errno != EACCES)
		return 0; /* a filesystem without locks */
	return err_set(e, TTD_HOST, "disk %s: %s is locked: %s; wait for it, or use a copy",
		b->disk, b->target, mode == BASE_WRITE ? "another program uses it"
		: "another program writes to it");
}

/* Formats that are not the bytes of a disk, by how they begin. */
static int check_format(struct base *b, struct ttd_error *e)
{
	static const struct {
		const char *magic, *name;
		size_t len;
	} formats[] = {
		{"QFI\xfb", "qcow2", 4}, {"KDMV", "vmdk", 4}, {"conectix", "vpc", 8},
		{"vhdxfile", "vhdx", 8}, {"QED", "qed", 4},
	};
	char head[8] = "";

	if (pread(b->fd, head, sizeof head, 0) < 0)
		return err_set(e, TTD_HOST, "disk %s: cannot read %s: %s", b->disk, b->target,
			strerror(errno));
	for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
		if (memcmp(head, formats[i].magic, formats[i].len) == 0)
			return err_set(e, TTD_USAGE, "disk %s: %s is a %s image, not a raw one; serve it "
				"with qemu-nbd -r -t -k /tmp/s -f %s %s and give nbd+unix:///?socket=/tmp/s",
				b->disk, b->target, formats[i].name, formats[i].name, b->target);
	return 0;
}

static int device_info(struct base *b)
{
	struct base_info *info = &b->info;
	unsigned physical = 0;
	int logical = 0;

	b->block_device = true;
	info->trim = true;
	if (ioctl(b->fd, BLKGETSIZE64, &info->size) != 0)
		return -1;
	if (ioctl(b->fd, BLKSSZGET, &logical) == 0 && logical >= 512 && logical <= 4096)
		info->sector = info->physical = (uint32_t)logical;
	if (ioctl(b->fd, BLKPBSZGET, &physical) == 0 && physical >= info->sector &&
		physical <= 4096)
		info->physical = physical;
	return 0;
}

int base_file_open(struct base *b, enum base_mode mode, struct ttd_error *e)
{
	bool writes = mode == BASE_WRITE;
	struct stat st;

	if (stat(b->target, &st) != 0)
		return err_set(e, TTD_HOST, "disk %s: %s: %s", b->disk, b->target,
			strerror(errno));
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return err_set(e, TTD_USAGE, "disk %s: %s is neither a file nor a block device",
			b->disk, b->target);
	/* O_EXCL: not while it is mounted. */
	b->fd = !writes ? open(b->target, O_RDONLY | O_CLOEXEC)
		: names_open(b->target, O_RDWR | (S_ISBLK(st.st_mode) ? O_EXCL : 0));
	if (b->fd < 0)
		return err_set(e, TTD_HOST, "disk %s: cannot open %s: %s", b->disk, b->target,
			errno == EBUSY ? "it is in use, perhaps mounted" : strerror(errno));
	b->ops = &file_ops;
	b->info = (struct base_info){.sector = 512, .physical = 512};
	if (fstat(b->fd, &st) != 0 || (S_ISBLK(st.st_mode) && device_info(b) != 0))
		return err_set(e, TTD_HOST, "disk %s: %s: %s", b->disk, b->target,
			strerror(errno));
	if (S_ISREG(st.st_mode)) {
		b->info.size = (uint64_t)st.st_size;
		b->info.mtime_ns = (uint64_t)st.st_mtim.tv_sec * NS_PER_SEC +
			(uint64_t)st.st_mtim.tv_nsec;
		b->info.trim = true;
	}
	if (check_format(b, e) != 0 || lock(b, mode, e) != 0)
		return -1;
	return 0;
}
