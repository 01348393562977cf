# The system calls of the core, and all that differs between operating systems.
#
# One three-way contract: a count of octets (0 from fs_recv is the peer's end of stream), AGAIN where
# the call would wait, FAILED with errno set otherwise. None of them waits, whatever the descriptor's
# mode, but fs_poll; fs_sendfile needs the descriptor to be non-blocking. EINTR is dealt with inside.

from libc.stdint cimport int64_t, uint8_t

cdef extern from *:
    """
    #ifndef _GNU_SOURCE
    #define _GNU_SOURCE
    #endif
    #include <dirent.h>
    #include <errno.h>
    #include <fcntl.h>
    #include <netinet/in.h>
    #include <poll.h>
    #include <stdint.h>
    #include <string.h>
    #include <sys/socket.h>
    #include <sys/stat.h>
    #include <sys/types.h>
    #include <sys/uio.h>
    #include <time.h>
    #include <unistd.h>
    #if defined(__linux__)
    #include <sched.h>
    #include <sys/epoll.h>
    #include <sys/sendfile.h>
    #include <sys/vfs.h>
    #else
    #include <sys/mount.h>
    #include <sys/param.h>
    #endif

    #ifndef MSG_NOSIGNAL
    #define MSG_NOSIGNAL 0      /* macOS: Python ignores SIGPIPE for the whole process */
    #endif
    #ifndef MSG_MORE
    #define MSG_MORE 0          /* Linux only: elsewhere the head leaves in a packet of its own */
    #endif

    enum { AGAIN = -1, FAILED = -2 };

    static inline Py_ssize_t fs_outcome(Py_ssize_t count)
    {
        if (count >= 0) return count;
        return errno == EAGAIN || errno == EWOULDBLOCK ? AGAIN : FAILED;
    }

    static inline Py_ssize_t fs_recv(int fd, void *at, size_t room)
    {
        ssize_t n;
        do n = recv(fd, at, room, MSG_DONTWAIT); while (n < 0 && errno == EINTR);
        return fs_outcome(n);
    }

    /* As fs_recv, but the octets stay in the socket. */
    static inline Py_ssize_t fs_peek(int fd, void *at, size_t room)
    {
        ssize_t n;
        do n = recv(fd, at, room, MSG_DONTWAIT | MSG_PEEK); while (n < 0 && errno == EINTR);
        return fs_outcome(n);
    }

    static inline Py_ssize_t fs_send(int fd, const void *at, size_t size, int more)
    {
        ssize_t n;
        int flags = MSG_DONTWAIT | MSG_NOSIGNAL | (more ? MSG_MORE : 0);
        do n = send(fd, at, size, flags); while (n < 0 && errno == EINTR);
        return fs_outcome(n);
    }

    static inline Py_ssize_t fs_send_spans(int fd, struct iovec *parts, size_t count)
    {
        ssize_t n;
        struct msghdr message;
        memset(&message, 0, sizeof message);
        message.msg_iov = parts;
        message.msg_iovlen = count;
        do n = sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL); while (n < 0 && errno == EINTR);
        return fs_outcome(n);
    }

    static inline Py_ssize_t fs_send_two(int fd, const void *a, size_t m, const void *b, size_t n_b)
    {
        struct iovec parts[2] = {{(void *)a, m}, {(void *)b, n_b}};
        return fs_send_spans(fd, parts, 2);
    }

    /* At most `size` octets of `file` from `offset` on; 0 where the file has none there. */
    static inline Py_ssize_t fs_sendfile(int fd, int file, int64_t offset, size_t size)
    {
    #if defined(__linux__)
        ssize_t n;
        off_t at = (off_t)offset;
        do n = sendfile(fd, file, &at, size); while (n < 0 && errno == EINTR);
        return fs_outcome(n);
    #else
        /* The BSDs and macOS each have another sendfile; a copy is right everywhere. */
        char copy[65536];
        ssize_t n = pread(file, copy, size < sizeof copy ? size : sizeof copy, (off_t)offset);
        return n > 0 ? fs_send(fd, copy, (size_t)n, 0) : fs_outcome(n);
    #endif
    }

    /* Whether the kernel makes TLS records of what is sent: struct tls_crypto_info of linux/tls.h tells. */
    static inline int fs_encrypts(int fd)
    {
    #if defined(__linux__)
        struct { uint16_t version, cipher; } info = {0, 0};
        socklen_t size = sizeof info;
        const int sol_tls = 282, tls_tx = 1;    /* that header is younger than some systems' */
        return getsockopt(fd, sol_tls, tls_tx, &info, &size) == 0 && info.cipher != 0;
    #else
        return 0;
    #endif
    }

    static inline Py_ssize_t fs_pread(int file, void *at, size_t size, int64_t offset)
    {
        ssize_t n;
        do n = pread(file, at, size, (off_t)offset); while (n < 0 && errno == EINTR);
        return n < 0 ? FAILED : n;
    }

    /* Set or clear O_NONBLOCK; answers what it was, or FAILED. */
    static inline int fs_set_nonblocking(int fd, int on)
    {
        int flags = fcntl(fd, F_GETFL);
        if (flags < 0) return FAILED;
        if (!(flags & O_NONBLOCK) != !on
            && fcntl(fd, F_SETFL, on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK) < 0) return FAILED;
        return !!(flags & O_NONBLOCK);
    }

    /* The address of a client over IP, of either family. */
    typedef union {
        struct sockaddr any;
        struct sockaddr_in four;
        struct sockaddr_in6 six;
    } fs_address;

    /* Accept a connection as non-blocking: its descriptor, AGAIN or FAILED. */
    static inline int fs_accept(int listener, fs_address *address)
    {
        int fd;
        socklen_t size = sizeof *address;
        memset(address, 0, sizeof *address);
    #if defined(__linux__)
        do fd = accept4(listener, &address->any, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
        while (fd < 0 && (errno == EINTR || errno == ECONNABORTED));
    #else
        do fd = accept(listener, &address->any, &size);
        while (fd < 0 && (errno == EINTR || errno == ECONNABORTED));
        if (fd >= 0) {
            fcntl(fd, F_SETFD, FD_CLOEXEC);
            fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
        }
    #endif
        return fd >= 0 ? fd : (int)fs_outcome(fd);
    }

    /* What a name stands for: all that changes when that changes. */
    typedef struct {
        int64_t device, inode, size;
        int64_t modified, changed;      /* ns since the epoch, modulo 2**64 after the year 2262 */
        int64_t second;                 /* of `modified` */
        int kind;                                           /* S_IFMT's bits, or minus errno */
    } fs_file;

    static inline int64_t fs_nanoseconds(time_t second, long nanosecond)
    {
        return (int64_t)((uint64_t)second * 1000000000u + (uint64_t)nanosecond);
    }

    static inline void fs_look_in(int folder, const char *name, int follow, fs_file *file)
    {
        struct stat found;
        memset(file, 0, sizeof *file);
        if (fstatat(folder, name, &found, follow ? 0 : AT_SYMLINK_NOFOLLOW) < 0) {
            file->kind = -errno;
            return;
        }
        file->kind = (int)(found.st_mode & S_IFMT);
        file->device = (int64_t)found.st_dev;
        file->inode = (int64_t)found.st_ino;
        file->size = (int64_t)found.st_size;
    #if defined(__APPLE__)
        file->modified = fs_nanoseconds(found.st_mtimespec.tv_sec, found.st_mtimespec.tv_nsec);
        file->second = (int64_t)found.st_mtimespec.tv_sec;
        file->changed = fs_nanoseconds(found.st_ctimespec.tv_sec, found.st_ctimespec.tv_nsec);
    #else
        file->modified = fs_nanoseconds(found.st_mtim.tv_sec, found.st_mtim.tv_nsec);
        file->second = (int64_t)found.st_mtim.tv_sec;
        file->changed = fs_nanoseconds(found.st_ctim.tv_sec, found.st_ctim.tv_nsec);
    #endif
    }

    static inline void fs_look(const char *path, int follow, fs_file *file)
    {
        fs_look_in(AT_FDCWD, path, follow, file);
    }

    /* The next entry of a folder: 1, 0 at its end, FAILED. `kind` is S_IFMT's bits, 0 where it must be
       asked for. The name stays until the next call. */
    static inline int fs_next_entry(DIR *folder, const char **name, int *kind)
    {
        const struct dirent *entry;
        errno = 0;
        entry = readdir(folder);
        if (!entry) return errno ? FAILED : 0;
        *name = entry->d_name;
    #if defined(DT_UNKNOWN) && defined(DTTOIF)
        *kind = entry->d_type == DT_UNKNOWN ? 0 : DTTOIF(entry->d_type);
    #else
        *kind = 0;
    #endif
        return 1;
    }

    /* Whether what stat() says of a file is so now, and no memory of what another machine or program said. */
    static inline int fs_is_local(const char *path)
    {
        struct statfs system;
        if (statfs(path, &system) < 0) return errno == ENOENT || errno == ENOTDIR;
    #if defined(__linux__)
        switch ((uint32_t)system.f_type) {
        case 0x6969:        /* NFS */
        case 0x517b:        /* SMB */
        case 0xff534d42:    /* CIFS */
        case 0xfe534d42:    /* SMB2 */
        case 0x65735546:    /* FUSE */
        case 0x01021997:    /* 9P */
        case 0x00c36400:    /* Ceph */
        case 0x5346414f:    /* AFS */
        case 0x6b414653:    /* AFS, too */
        case 0x73757245:    /* Coda */
        case 0x7461636f:    /* OCFS2 */
        case 0x01161970:    /* GFS2 */
        case 0x0bd00bd0:    /* Lustre */
        case 0x9fa0:        /* proc */
        case 0x62656572:    /* sysfs */
            return 0;
        }
        return 1;
    #else
        return (system.f_flags & MNT_LOCAL) != 0;
    #endif
    }

    /* The clock of time.monotonic() on Linux; where there is no poller below nobody asks. */
    static inline double fs_monotonic(void)
    {
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
    }

    static inline int64_t fs_wall_clock(void)
    {
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
    }

    /* Linux's epoll, of level-triggered events; FAILED with errno ENOSYS elsewhere. */
    enum { FS_READABLE = 1, FS_WRITABLE = 2 };
    #if defined(__linux__)
    typedef struct epoll_event fs_event;

    static inline int fs_open_poller(void)
    {
        int poller = epoll_create1(EPOLL_CLOEXEC);
        return poller < 0 ? FAILED : poller;
    }

    /* `operation`: 1 to add, 2 to delete, 3 to change, as epoll_ctl() has them. */
    static inline int fs_control(int poller, int operation, int fd, int interest)
    {
        fs_event event;
        memset(&event, 0, sizeof event);
        event.events = (interest & FS_READABLE ? EPOLLIN : 0) | (interest & FS_WRITABLE ? EPOLLOUT : 0);
        event.data.fd = fd;
        return epoll_ctl(poller, operation, fd, &event) < 0 ? FAILED : 0;
    }

    static inline int fs_wait(int poller, fs_event *events, int room, int milliseconds)
    {
        int count = epoll_wait(poller, events, room, milliseconds);
        return count < 0 ? FAILED : count;
    }

    static inline int fs_event_fd(const fs_event *event) { return event->data.fd; }
    #else
    typedef struct { int fd; } fs_event;
    static inline int fs_open_poller(void) { errno = ENOSYS; return FAILED; }
    static inline int fs_control(int p, int o, int f, int i) { errno = ENOSYS; return FAILED; }
    static inline int fs_wait(int p, fs_event *e, int r, int m) { errno = ENOSYS; return FAILED; }
    static inline int fs_event_fd(const fs_event *event) { return event->fd; }
    #endif

    /* Closing it is to drop what has not left, and reset the connection. */
    static inline void fs_reset_at_end(int fd)
    {
        struct linger now = {1, 0};
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    }

    /* Send no more: the client reads the end. 0 or FAILED. */
    static inline int fs_send_end(int fd)
    {
        return shutdown(fd, SHUT_WR) < 0 ? FAILED : 0;
    }

    /* CPUs that this process may run on. */
    static inline long fs_usable_cpus(void)
    {
    #if defined(__linux__)
        cpu_set_t set;
        if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
    #endif
        return sysconf(_SC_NPROCESSORS_ONLN);
    }

    /* Wait until fd is readable or writable: 1, 0 after `milliseconds` (-1: none), FAILED (EINTR too). */
    static inline int fs_poll(int fd, int readable, int writable, int milliseconds)
    {
        struct pollfd one = {fd, (short)((readable ? POLLIN : 0) | (writable ? POLLOUT : 0)), 0};
        int n = poll(&one, 1, milliseconds);
        return n < 0 ? FAILED : n;
    }
    """
    cdef struct iovec:
        void *iov_base
        size_t iov_len
    enum: AGAIN
    enum: FAILED
    enum: FS_READABLE
    Py_ssize_t fs_recv(int fd, void *at, size_t room) noexcept nogil
    Py_ssize_t fs_peek(int fd, void *at, size_t room) noexcept nogil
    Py_ssize_t fs_send(int fd, const void *at, size_t size, bint more) noexcept nogil
    Py_ssize_t fs_send_two(int fd, const void *a, size_t m, const void *b, size_t n) noexcept nogil
    Py_ssize_t fs_send_spans(int fd, iovec *parts, size_t count) noexcept nogil
    Py_ssize_t fs_sendfile(int fd, int file, int64_t offset, size_t size) noexcept nogil
    int fs_encrypts(int fd) noexcept nogil
    Py_ssize_t fs_pread(int file, void *at, size_t size, int64_t offset) noexcept nogil
    int fs_set_nonblocking(int fd, bint on) noexcept nogil
    void fs_reset_at_end(int fd) noexcept nogil
    int fs_send_end(int fd) noexcept nogil
    int fs_poll(int fd, bint readable, bint writable, int milliseconds) noexcept nogil

    ctypedef union fs_address:
        pass
    int fs_accept(int listener, fs_address *address) noexcept nogil

    ctypedef struct fs_file:
        int64_t device
        int64_t inode
        int64_t size
        int64_t modified
        int64_t changed
        int64_t second
        int kind
    void fs_look(const char *path, bint follow, fs_file *file) noexcept nogil
    void fs_look_in(int folder, const char *name, bint follow, fs_file *file) noexcept nogil

    ctypedef struct DIR:
        pass
    int fs_next_entry(DIR *folder, const char **name, int *kind) noexcept nogil
    bint fs_is_local(const char *path) noexcept nogil
    double fs_monotonic() noexcept nogil
    int64_t fs_wall_clock() noexcept nogil

    ctypedef struct fs_event:
        pass
    int fs_open_poller() noexcept nogil
    int fs_control(int poller, int operation, int fd, int interest) noexcept nogil
    int fs_wait(int poller, fs_event *events, int room, int milliseconds) noexcept nogil
    int fs_event_fd(const fs_event *event) noexcept nogil
