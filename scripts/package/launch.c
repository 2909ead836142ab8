/*
 * The single-file plugin: this program, then a gzip'd tar of the runtime tree, then a trailer of 48 bytes:
 *
 *     payload offset  8 bytes, little endian
 *     payload length  8 bytes, little endian
 *     payload id     24 bytes, the first 24 hexadecimal digits of the payload's sha256
 *     magic           8 bytes, "RVERDICT"
 *
 * It unpacks the tree once into ".verdict-<id>" beside itself (that directory allows execution, or the plugin could not
 * run; /tmp may not), then replaces itself by the tree's Python: exec, not fork, so that the process id that go-plugin
 * started, waits for and kills is Python's own.
 *
 * Trust. The file itself is trusted once it runs: the controller has checked its sha256. What is not trusted is the
 * state of the directory: a tree is used only if it is a real directory of ours that nobody else may write, and it
 * only gets its name by rename() when it is complete. The payload is still parsed as if it were hostile, because a
 * truncated download must end with a message and not with a half tree: every member is a plain file or directory below
 * the new tree, created with O_EXCL, and the tar's end, the gzip checksum and the length must all be right.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

enum { TRAILER = 48, ID = 24, BLOCK = 512 };
#define MOST_UNPACKED (256LL << 20) /* ten times what the tree needs; the pod may be evicted for more than 1 GiB */
#define MOST_MEMBERS 20000
#define PREFIX ".verdict-"
#define PARTIAL ".partial-"

static char partial[PATH_MAX]; /* the tree being unpacked, removed when we give up */

static void remove_tree(int parent, const char *name, int depth)
{
	if (unlinkat(parent, name, 0) == 0 || errno == ENOENT || depth > 40)
		return;
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		if (fd >= 0)
			close(fd);
		return;
	}
	for (struct dirent *entry; (entry = readdir(dir));)
		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
			remove_tree(dirfd(dir), entry->d_name, depth + 1);
	closedir(dir);
	unlinkat(parent, name, AT_REMOVEDIR);
}

__attribute__((noreturn, format(printf, 1, 2))) static void fail(const char *format, ...)
{
	int error = errno;
	va_list arguments;
	va_start(arguments, format);
	fputs("rollout-verdict: ", stderr);
	vfprintf(stderr, format, arguments);
	fprintf(stderr, error ? ": %s\n" : "\n", strerror(error));
	if (*partial)
		remove_tree(AT_FDCWD, partial, 0);
	exit(1);
}

__attribute__((noreturn)) static void bad(const char *what)
{
	errno = 0;
	fail("this file is damaged (%s): install it again and compare its sha256", what);
}

static void path(char *out, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	int length = vsnprintf(out, PATH_MAX, format, arguments);
	va_end(arguments);
	if (length < 0 || length >= PATH_MAX) {
		errno = ENAMETOOLONG;
		fail("the path of the plugin");
	}
}

/* ---- the payload -------------------------------------------------------------------------------------------------- */

struct payload {
	int fd;
	off_t left;        /* compressed bytes not yet read */
	long long unpacked;
	z_stream zip;
	int ended;         /* the gzip stream is over and its checksum was right */
	unsigned char in[1 << 16];
};

/* Unpack up to size bytes; fewer only at the end of the stream. */
static size_t unpack(struct payload *p, void *out, size_t size)
{
	p->zip.next_out = out;
	p->zip.avail_out = (uInt)size; /* all callers ask for at most 64 KiB */
	while (p->zip.avail_out && !p->ended) {
		if (!p->zip.avail_in) {
			size_t want = p->left < (off_t)sizeof p->in ? (size_t)p->left : sizeof p->in;
			ssize_t got = want ? read(p->fd, p->in, want) : 0;
			if (got < 0 && errno == EINTR)
				continue;
			if (got <= 0)
				bad("payload too short");
			p->left -= got;
			p->zip.next_in = p->in;
			p->zip.avail_in = (uInt)got;
		}
		int state = inflate(&p->zip, Z_NO_FLUSH);
		if (state == Z_STREAM_END)
			p->ended = 1;
		else if (state != Z_OK)
			bad("payload does not unpack");
	}
	size_t got = size - p->zip.avail_out;
	if ((p->unpacked += got) > MOST_UNPACKED)
		bad("payload unpacks to too much");
	return got;
}

static void exactly(struct payload *p, void *out, size_t size)
{
	if (unpack(p, out, size) != size)
		bad("payload ends within a member");
}

/* An octal field: digits, then at least one NUL or space. */
static long long octal(const char *field, size_t size)
{
	long long value = 0;
	size_t i = 0;
	for (; i < size && field[i] >= '0' && field[i] <= '7'; i++)
		value = value * 8 + (field[i] - '0'); /* at most 12 digits: 36 bits */
	if (i == 0 || i == size || (field[i] != 0 && field[i] != ' '))
		bad("number in a header");
	return value;
}

/* Relative, no empty part, no part that is "." or "..": what is named lies below the tree. */
static int below(const char *name)
{
	for (const char *part = name;; part++) {
		size_t length = strcspn(part, "/");
		if (!length || (length == 1 && part[0] == '.') || (length == 2 && part[0] == '.' && part[1] == '.'))
			return 0;
		part += length;
		if (!*part)
			return 1;
	}
}

/* One member of the tar (POSIX.1-1988 ustar). Returns 0 at the end. */
static int member(struct payload *p, int tree)
{
	static unsigned char buffer[1 << 16];
	unsigned char header[BLOCK];
	char name[100 + 155 + 2];
	exactly(p, header, BLOCK);
	if (!header[0]) {
		for (int i = 0; i < BLOCK; i++)
			if (header[i])
				bad("end of the tar");
		return 0;
	}
	unsigned sum = 0;
	for (int i = 0; i < BLOCK; i++)
		sum += i >= 148 && i < 156 ? ' ' : header[i];
	if (memcmp(header + 257, "ustar\00000", 8) || octal((char *)header + 148, 8) != sum)
		bad("header");
	snprintf(name, sizeof name, "%.155s%s%.100s", header + 345, header[345] ? "/" : "", header);
	size_t length = strlen(name);
	int directory = header[156] == '5';
	if (directory && length && name[length - 1] == '/')
		name[length - 1] = 0;
	if (!below(name))
		bad("member outside of the tree");
	mode_t mode = octal((char *)header + 100, 8) & 0100 ? 0700 : 0600;
	long long size = octal((char *)header + 124, 12);
	if (directory && !size) {
		if (mkdirat(tree, name, 0700))
			fail("mkdir %s", name);
		return 1;
	}
	if (header[156] != '0')
		bad("member that is neither file nor directory");
	/* No link can be in the way: the tree is new, ours, and holds only what we put there. */
	int fd = openat(tree, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
	if (fd < 0)
		fail("create %s", name);
	for (long long left = size; left > 0;) {
		size_t part = left < (long long)sizeof buffer ? (size_t)left : sizeof buffer;
		exactly(p, buffer, part);
		for (size_t done = 0; done < part;) {
			ssize_t wrote = write(fd, buffer + done, part - done);
			if (wrote < 0 && errno == EINTR)
				continue;
			if (wrote <= 0)
				fail("write %s", name);
			done += wrote;
		}
		left -= part;
	}
	exactly(p, buffer, (BLOCK - size % BLOCK) % BLOCK);
	if (close(fd))
		fail("write %s", name);
	return 1;
}

/* A new directory for a partial tree, locked: see sweep(), which may be quicker than we are between the two calls. */
static int new_partial(const char *cache)
{
	for (int attempt = 0; attempt < 100; attempt++) {
		struct stat opened, named;
		path(partial, "%s" PARTIAL "XXXXXX", cache);
		if (!mkdtemp(partial)) {
			*partial = 0;
			fail("cannot unpack beside the plugin, mkdir %s" PARTIAL, cache);
		}
		int tree = open(partial, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (tree >= 0 && !flock(tree, LOCK_EX | LOCK_NB) && !fstat(tree, &opened) && !lstat(partial, &named) &&
		    opened.st_ino == named.st_ino)
			return tree;
		if (tree >= 0)
			close(tree);
	}
	fail("lock %s", partial);
}

static void extract(int file, off_t offset, off_t length, const char *cache)
{
	static struct payload p;
	int tree = new_partial(cache); /* stays open, and so locked, until exec */
	p.fd = file;
	p.left = length;
	if (lseek(file, offset, SEEK_SET) < 0)
		fail("lseek");
	if (inflateInit2(&p.zip, 15 + 16) != Z_OK) /* 16: gzip framing, with its checksum */
		bad("zlib");
	for (int members = 0; member(&p, tree); members++)
		if (members > MOST_MEMBERS)
			bad("too many members");
	unsigned char rest[BLOCK];
	while (!p.ended) /* the padding, and the checksum after it */
		unpack(&p, rest, sizeof rest);
	inflateEnd(&p.zip);
	if (p.left || p.zip.avail_in)
		bad("bytes after the payload");
	if (syncfs(tree)) /* the directory outlives a crash of the node: its name must not be there before its content */
		fail("sync %s", partial);
}

/* ---- the cache ---------------------------------------------------------------------------------------------------- */

/* A tree that is there: ours, a real directory, closed to others. Anything else under its name is refused, not used. */
static int usable(const char *cache)
{
	struct stat info;
	if (lstat(cache, &info)) {
		if (errno == ENOENT)
			return 0;
		fail("lstat %s", cache);
	}
	errno = 0;
	if (!S_ISDIR(info.st_mode) || info.st_uid != geteuid() || (info.st_mode & 022))
		fail("%s is not a directory that only this user can write: remove it", cache);
	return 1;
}

/*
 * Whoever unpacks holds a lock on the directory, which the kernel drops when the process ends, however it ends. So a
 * partial tree that can be locked belongs to a start that was killed. (Process ids would not do: they are few and soon
 * given out again in a container.)
 */
static void sweep(const char *folder)
{
	DIR *dir = opendir(folder);
	if (!dir)
		return;
	for (struct dirent *entry; (entry = readdir(dir));) {
		if (strncmp(entry->d_name, PREFIX, strlen(PREFIX)) || !strstr(entry->d_name, PARTIAL))
			continue;
		int fd = openat(dirfd(dir), entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd >= 0 && !flock(fd, LOCK_EX | LOCK_NB))
			remove_tree(dirfd(dir), entry->d_name, 0);
		if (fd >= 0)
			close(fd);
	}
	closedir(dir);
}

static uint64_t little(const unsigned char *bytes)
{
	uint64_t value = 0;
	for (int i = 7; i >= 0; i--)
		value = value << 8 | bytes[i];
	return value;
}

int main(int argc, char **argv)
{
	char self[PATH_MAX], cache[PATH_MAX], loader[PATH_MAX], lib[PATH_MAX], python[PATH_MAX], entry[PATH_MAX];
	unsigned char trailer[TRAILER];
	char id[ID + 1];
	struct stat info;

	ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
	if (length <= 0 || length >= (ssize_t)sizeof self - 1)
		fail("readlink /proc/self/exe");
	self[length] = 0;
	int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	if (file < 0 || fstat(file, &info))
		fail("open %s", self);
	if (info.st_size < TRAILER || pread(file, trailer, TRAILER, info.st_size - TRAILER) != TRAILER ||
	    memcmp(trailer + 40, "RVERDICT", 8))
		bad("no trailer");
	uint64_t offset = little(trailer), size = little(trailer + 8), end = (uint64_t)info.st_size - TRAILER;
	if (offset > end || size != end - offset)
		bad("trailer");
	memcpy(id, trailer + 16, ID);
	id[ID] = 0;
	if (strspn(id, "0123456789abcdef") != ID)
		bad("payload id");

	*strrchr(self, '/') = 0;
	path(cache, "%s/" PREFIX "%s", self, id);
	sweep(self);
	if (!usable(cache)) {
		extract(file, (off_t)offset, (off_t)size, cache);
		if (rename(partial, cache)) {
			/* Another start was faster: its tree is as good as ours, if it is one. */
			if (errno != EEXIST && errno != ENOTEMPTY)
				fail("rename %s", partial);
			remove_tree(AT_FDCWD, partial, 0);
			usable(cache);
		}
		*partial = 0;
	}

	path(loader, "%s/lib/ld.so", cache);
	path(lib, "%s/lib", cache);
	path(python, "%s/bin/python3", cache);
	path(entry, "%s/app/__main__.pyc", cache);
	char *command[argc + 8];
	int n = 0;
	command[n++] = loader;
	command[n++] = "--library-path";
	command[n++] = lib;
	command[n++] = "--argv0"; /* Python finds its prefix from it; the loader knows it since glibc 2.33 */
	command[n++] = python;
	command[n++] = python;
	command[n++] = "-IBS";
	command[n++] = entry;
	for (int i = 1; i < argc; i++)
		command[n++] = argv[i];
	command[n] = NULL;
	execv(loader, command);
	fail("exec %s", loader);
}
