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
    #include <errno.h>
    #include <fcntl.h>
    #include <poll.h>
    #include <stdint.h>
    #include <string.h>
    #include <sys/socket.h>
    #include <sys/types.h>
    #include <sys/uio.h>
    #include <unistd.h>
    #if defined(__linux__)
    #include <sys/sendfile.h>
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
    Py_ssize_t fs_recv(int fd, void *at, size_t room) noexcept nogil
    Py_ssize_t fs_peek(int fd, void *at, size_t room) noexcept nogil
    Py_ssize_t fs_send(int fd, const void *at, size_t size, bint more) noexcept nogil
    Py_ssize_t fs_send_two(int fd, const void *a, size_t m, const void *b, size_t n) noexcept nogil
    Py_ssize_t fs_send_spans(int fd, iovec *parts, size_t count) noexcept nogil
    Py_ssize_t fs_sendfile(int fd, int file, int64_t offset, size_t size) noexcept nogil
    int fs_encrypts(int fd) noexcept nogil
    Py_ssize_t fs_pread(int file, void *at, size_t size, int64_t offset) noexcept nogil
    int fs_set_nonblocking(int fd, bint on) noexcept nogil
    int fs_poll(int fd, bint readable, bint writable, int milliseconds) noexcept nogil
