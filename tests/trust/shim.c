/* Makes the Nth call of one system call fail, come short, or find the input changed.

   Loaded with LD_PRELOAD; does nothing before `trust_arm`, or (in a process that an armed one
   started) before the environment names a fault. Only what lies under the case's directory counts,
   and what the case names with it: its pipes. The counters are in a file that is mapped, so that
   worker processes count together.

   The fault, in KACT_TRUST, is lines: the counters' path, the directory, the number of a call (-1:
   only count), which of them (from 1), what is done, a value, the input, another file for it. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { CLOSE, COPY, DUP, FALLOCATE, FCHMOD, FCHOWN, FLOCK, FSTAT, FSYNC, FTRUNCATE, LINK, LSEEK,
       MKDIR, OPEN, READ, RENAME, STAT, THREAD, UNLINK, WRITE, CALLS };
enum { COUNT, FAIL, SHORT, KILL, REPLACE, CUT, GROW, REWRITE };
enum { FDS = 4096, SAID = 512 };

struct shared { _Atomic long calls[CALLS]; _Atomic long fired; char said[SAID]; };

static struct shared *counters;
static char place[PATH_MAX], input[PATH_MAX], other[PATH_MAX];
static size_t place_length;
static int wanted = -1, action, value;
static long turn;
static _Atomic char ours[FDS];
static __thread int inside;

#define REAL(name) \
  static __typeof__(name) *real; \
  if (!real) real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

static int under(const char *path) {
  char full[PATH_MAX];
  if (!counters || !path) return 0;
  if (path[0] != '/') {
    if (!getcwd(full, sizeof full)) return 0;
    return !strncmp(full, place, place_length);
  }
  if (!strncmp(path, "/proc/", 6) || !strncmp(path, "/dev/fd/", 8)) {
    ssize_t got = readlink(path, full, sizeof full - 1);
    if (got < 0) return 0;
    full[got] = 0;
    return !strncmp(full, place, place_length);
  }
  return !strncmp(path, place, place_length);
}

static int is_ours(int fd) { return counters && fd >= 0 && fd < FDS && ours[fd]; }

static void mark(int fd, int is) { if (fd >= 0 && fd < FDS) ours[fd] = is; }

static void copy_over(const char *from, const char *to, int flags) {
  char buffer[1 << 16];
  int a = open(from, O_RDONLY), b = open(to, O_WRONLY | flags);
  ssize_t got;
  while (a >= 0 && b >= 0 && (got = read(a, buffer, sizeof buffer)) > 0)
    if (write(b, buffer, got) != got) break;
  close(a);
  close(b);
}

static void change(void) {
  struct stat found;
  if (action == REPLACE) { rename(other, input); }
  else if (action == CUT) { if (!stat(input, &found)) truncate(input, found.st_size / 2); }
  else if (action == GROW) { copy_over(other, input, O_APPEND); }
  else if (action == REWRITE) { copy_over(other, input, 0); }
}

/* 0: go on; else the call is to fail with errno set, or (SHORT) to do less. */
static int met(int call, int fd, const char *path) {
  if (!counters || inside) return 0;
  long number = atomic_fetch_add(&counters->calls[call], 1) + 1;
  if (call != wanted || number != turn) return 0;
  inside = 1;
  atomic_fetch_add(&counters->fired, 1);
  char link[64], full[PATH_MAX] = "";
  if (path) snprintf(full, sizeof full, "%s", path);
  else if (fd >= 0) {
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t got = readlink(link, full, sizeof full - 1);
    full[got < 0 ? 0 : got] = 0;
  }
  snprintf(counters->said, SAID, "%.500s", full);
  if (action >= REPLACE) change();
  if (action == KILL) kill(getpid(), value);
  inside = 0;
  if (action == FAIL) { errno = value; return FAIL; }
  return action == SHORT ? SHORT : 0;
}

static size_t less(size_t count) { return count > 1 ? count / 2 : count; }

void trust_arm(const char *text) {
  static char copy[4 * PATH_MAX];
  char *fields[8] = {0}, *rest = copy;
  snprintf(copy, sizeof copy, "%s", text);
  for (int i = 0; i < 8; i++) if (!(fields[i] = strsep(&rest, "\n"))) return;
  int fd = open(fields[0], O_RDWR | O_CLOEXEC);
  if (fd < 0) return;
  void *found = mmap(0, sizeof *counters, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close(fd);
  if (found == MAP_FAILED) return;
  snprintf(place, sizeof place, "%s", fields[1]);
  place_length = strlen(place);
  wanted = atoi(fields[2]); turn = atol(fields[3]); action = atoi(fields[4]);
  value = atoi(fields[5]);
  snprintf(input, sizeof input, "%s", fields[6]);
  snprintf(other, sizeof other, "%s", fields[7]);
  for (int i = 0; i < 2; i++) {
    struct stat status;
    if (!fstat(i, &status)) mark(i, S_ISFIFO(status.st_mode) || S_ISREG(status.st_mode));
  }
  counters = found;
}

__attribute__((constructor)) static void begin(void) {
  const char *text = getenv("KACT_TRUST");
  if (text) trust_arm(text);
}

#define COUNTED(call, fd, path) \
  int what = met(call, fd, path); \
  if (what == FAIL) return -1

/* Files. */
#define OPENS(name, DECLARED, GIVEN, PATH) \
  int name DECLARED { \
    REAL(name); \
    mode_t mode = 0; \
    if (flags & (O_CREAT | O_TMPFILE)) { \
      va_list more; va_start(more, flags); mode = va_arg(more, mode_t); va_end(more); \
    } \
    int counts = !inside && under(PATH); \
    if (counts) { COUNTED(OPEN, -1, PATH); } \
    int fd = real GIVEN; \
    mark(fd, fd >= 0 && counts); \
    return fd; \
  }
OPENS(open, (const char *path, int flags, ...), (path, flags, mode), path)
OPENS(open64, (const char *path, int flags, ...), (path, flags, mode), path)
OPENS(openat, (int at, const char *path, int flags, ...), (at, path, flags, mode), path)
OPENS(openat64, (int at, const char *path, int flags, ...), (at, path, flags, mode), path)

int close(int fd) {
  REAL(close);
  int counts = is_ours(fd);
  mark(fd, 0);
  int what = counts ? met(CLOSE, fd, 0) : 0, error = errno, done = real(fd);
  if (what == FAIL) { errno = error; return -1; }
  return done;
}

int dup(int fd) {
  REAL(dup);
  if (is_ours(fd)) { COUNTED(DUP, fd, 0); }
  int new = real(fd);
  if (new >= 0) mark(new, is_ours(fd));
  return new;
}

#define FCNTL(name) \
  int name(int fd, int command, ...) { \
    REAL(name); \
    va_list more; va_start(more, command); void *given = va_arg(more, void *); va_end(more); \
    int copies = command == F_DUPFD || command == F_DUPFD_CLOEXEC; \
    if (copies && is_ours(fd)) { COUNTED(DUP, fd, 0); } \
    int done = real(fd, command, given); \
    if (copies && done >= 0) mark(done, is_ours(fd)); \
    return done; \
  }
FCNTL(fcntl)
FCNTL(fcntl64)

#define ON_FD(type, name, CALL, DECLARED, GIVEN, PREPARE) \
  type name DECLARED { \
    REAL(name); \
    if (is_ours(fd)) { COUNTED(CALL, fd, 0); if (what == SHORT) { PREPARE; } } \
    return real GIVEN; \
  }
#define IO(name, CALL, CONST) \
  ON_FD(ssize_t, name, CALL, (int fd, CONST void *data, size_t count), (fd, data, count), \
        count = less(count))
#define IO_AT(name, CALL, CONST, offset_type) \
  ON_FD(ssize_t, name, CALL, (int fd, CONST void *data, size_t count, offset_type at), \
        (fd, data, count, at), count = less(count))
#define FIRST struct iovec one = {vectors->iov_base, less(vectors->iov_len)}; \
              vectors = &one; count = 1; return real
IO(read, READ, )
IO(write, WRITE, const)
IO_AT(pread, READ, , off_t)
IO_AT(pread64, READ, , off64_t)
IO_AT(pwrite, WRITE, const, off_t)
IO_AT(pwrite64, WRITE, const, off64_t)
ON_FD(ssize_t, readv, READ, (int fd, const struct iovec *vectors, int count),
      (fd, vectors, count), FIRST(fd, vectors, count))
ON_FD(ssize_t, writev, WRITE, (int fd, const struct iovec *vectors, int count),
      (fd, vectors, count), FIRST(fd, vectors, count))
ON_FD(ssize_t, preadv64, READ, (int fd, const struct iovec *vectors, int count, off64_t at),
      (fd, vectors, count, at), FIRST(fd, vectors, count, at))
ON_FD(ssize_t, pwritev64, WRITE, (int fd, const struct iovec *vectors, int count, off64_t at),
      (fd, vectors, count, at), FIRST(fd, vectors, count, at))
ON_FD(ssize_t, preadv64v2, READ,
      (int fd, const struct iovec *vectors, int count, off64_t at, int flags),
      (fd, vectors, count, at, flags), FIRST(fd, vectors, count, at, flags))
ON_FD(ssize_t, pwritev64v2, WRITE,
      (int fd, const struct iovec *vectors, int count, off64_t at, int flags),
      (fd, vectors, count, at, flags), FIRST(fd, vectors, count, at, flags))
ON_FD(off_t, lseek, LSEEK, (int fd, off_t at, int from), (fd, at, from), )
ON_FD(off64_t, lseek64, LSEEK, (int fd, off64_t at, int from), (fd, at, from), )
ON_FD(int, fsync, FSYNC, (int fd), (fd), )
ON_FD(int, fdatasync, FSYNC, (int fd), (fd), )
ON_FD(int, ftruncate, FTRUNCATE, (int fd, off_t size), (fd, size), )
ON_FD(int, ftruncate64, FTRUNCATE, (int fd, off64_t size), (fd, size), )
ON_FD(int, fchmod, FCHMOD, (int fd, mode_t mode), (fd, mode), )
ON_FD(int, fchown, FCHOWN, (int fd, uid_t user, gid_t group), (fd, user, group), )
ON_FD(int, flock, FLOCK, (int fd, int how), (fd, how), )
ON_FD(int, fstat, FSTAT, (int fd, struct stat *found), (fd, found), )
ON_FD(int, fstat64, FSTAT, (int fd, struct stat64 *found), (fd, found), )
int __fxstat(int, int, struct stat *);
int __fxstat64(int, int, struct stat64 *);
ON_FD(int, __fxstat, FSTAT, (int version, int fd, struct stat *found), (version, fd, found), )
ON_FD(int, __fxstat64, FSTAT, (int version, int fd, struct stat64 *found), (version, fd, found), )

int posix_fallocate64(int fd, off64_t at, off64_t size) {
  REAL(posix_fallocate64);
  if (is_ours(fd) && met(FALLOCATE, fd, 0) == FAIL) return errno;
  return real(fd, at, size);
}

ssize_t copy_file_range(int from, off64_t *from_at, int to, off64_t *to_at, size_t count,
                        unsigned flags) {
  REAL(copy_file_range);
  if (is_ours(from)) { COUNTED(COPY, from, 0); if (what == SHORT) count = less(count); }
  return real(from, from_at, to, to_at, count, flags);
}

/* Names. */
#define ON_PATH(name, CALL, DECLARED, GIVEN, PATH) \
  int name DECLARED { \
    REAL(name); \
    if (!inside && under(PATH)) { COUNTED(CALL, -1, PATH); } \
    return real GIVEN; \
  }
ON_PATH(stat, STAT, (const char *path, struct stat *found), (path, found), path)
ON_PATH(stat64, STAT, (const char *path, struct stat64 *found), (path, found), path)
ON_PATH(lstat64, STAT, (const char *path, struct stat64 *found), (path, found), path)
ON_PATH(fstatat64, STAT, (int at, const char *path, struct stat64 *found, int flags),
        (at, path, found, flags), path)
ON_PATH(unlink, UNLINK, (const char *path), (path), path)
ON_PATH(unlinkat, UNLINK, (int at, const char *path, int flags), (at, path, flags), path)
ON_PATH(rename, RENAME, (const char *old, const char *new), (old, new), new)
ON_PATH(renameat, RENAME, (int at, const char *old, int to, const char *new),
        (at, old, to, new), new)
ON_PATH(link, LINK, (const char *old, const char *new), (old, new), new)
ON_PATH(linkat, LINK, (int at, const char *old, int to, const char *new, int flags),
        (at, old, to, new, flags), new)
ON_PATH(mkdir, MKDIR, (const char *path, mode_t mode), (path, mode), path)

int pthread_create(pthread_t *thread, const pthread_attr_t *how, void *(*run)(void *), void *of) {
  REAL(pthread_create);
  if (met(THREAD, -1, "") == FAIL) return errno;
  return real(thread, how, run, of);
}
