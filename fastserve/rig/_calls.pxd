# What the load driver asks of the system, and what differs between systems there: connections that are made
# without waiting, waits that are told in nanoseconds, a clock.
#
# Beside fastserve/_sys.pxd, which has a server's calls; FAILED is that one's. Header-only. For _drive.

from libc.stdint cimport int64_t

cdef extern from *:
    """
    #ifndef _GNU_SOURCE
    #define _GNU_SOURCE
    #endif
    #include <arpa/inet.h>
    #include <errno.h>
    #include <fcntl.h>
    #include <netinet/in.h>
    #include <netinet/tcp.h>
    #include <poll.h>
    #include <stdint.h>
    #include <stdlib.h>
    #include <string.h>
    #include <sys/socket.h>
    #include <sys/un.h>
    #include <time.h>
    #include <unistd.h>
    #if defined(__linux__)
    #include <sys/epoll.h>
    #include <sys/prctl.h>
    #include <sys/syscall.h>
    #endif

    enum { RIG_FAILED = -2, RIG_READABLE = 1, RIG_WRITABLE = 2, RIG_MOST_TOLD = 256 };

    /* CLOCK_MONOTONIC, in ns. */
    static inline int64_t rig_clock(void)
    {
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
    }

    /* How late this thread's sleep may end, in ns: 50,000 unless it is said. Answers what it was. */
    static inline int64_t rig_set_slack(int64_t ns)
    {
    #if defined(__linux__)
        int before = prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0);
        prctl(PR_SET_TIMERSLACK, (unsigned long)ns, 0, 0, 0);
        return before < 0 ? 0 : before;
    #else
        return 0;
    #endif
    }

    /* -- Connections -- */

    typedef struct { struct sockaddr_storage any; socklen_t size; } rig_address;

    /* An address as people write it; 0, or FAILED where it is none. */
    static inline int rig_take_host(rig_address *address, const char *host, int port)
    {
        struct sockaddr_in *four = (struct sockaddr_in *)&address->any;
        struct sockaddr_in6 *six = (struct sockaddr_in6 *)&address->any;
        memset(address, 0, sizeof *address);
        if (inet_pton(AF_INET, host, &four->sin_addr) == 1) {
            four->sin_family = AF_INET;
            four->sin_port = htons((uint16_t)port);
            address->size = sizeof *four;
            return 0;
        }
        if (inet_pton(AF_INET6, host, &six->sin6_addr) == 1) {
            six->sin6_family = AF_INET6;
            six->sin6_port = htons((uint16_t)port);
            address->size = sizeof *six;
            return 0;
        }
        return RIG_FAILED;
    }

    static inline int rig_take_path(rig_address *address, const char *path, size_t size)
    {
        struct sockaddr_un *local = (struct sockaddr_un *)&address->any;
        memset(address, 0, sizeof *address);
        if (size == 0 || size >= sizeof local->sun_path) return RIG_FAILED;
        local->sun_family = AF_UNIX;
        memcpy(local->sun_path, path, size);
        address->size = (socklen_t)sizeof *local;
        return 0;
    }

    /* A socket that has begun to connect: its descriptor, or FAILED. It is writable when that is over. */
    static inline int rig_connect(const rig_address *address)
    {
        int on = 1, code, fd, family = address->any.ss_family;
    #if defined(__linux__)
        fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    #else
        fd = socket(family, SOCK_STREAM, 0);
        if (fd >= 0) {
            fcntl(fd, F_SETFD, FD_CLOEXEC);
            fcntl(fd, F_SETFL, O_NONBLOCK);
        }
    #endif
        if (fd < 0) return RIG_FAILED;
        if (family != AF_UNIX) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        if (connect(fd, (const struct sockaddr *)&address->any, address->size) < 0
            && errno != EINPROGRESS && errno != EINTR) {
            code = errno;
            close(fd);
            errno = code;
            return RIG_FAILED;
        }
        return fd;
    }

    /* How connecting went: 0, or what errno would be. */
    static inline int rig_outcome(int fd)
    {
        int code = 0;
        socklen_t size = sizeof code;
        return getsockopt(fd, SOL_SOCKET, SO_ERROR, &code, &size) < 0 ? errno : code;
    }

    /* -- Waiting. What is watched has a number, less than that for which there is room. -- */

    typedef struct { int number, ready; } rig_told;

    typedef struct {
        int epoll;                  /* a descriptor, -1 where poll() is asked */
        int room;
        int next;                   /* whom poll() tells of first, so that nobody is always the last */
        struct pollfd *polled;      /* by number; NULL with epoll */
        rig_told told[RIG_MOST_TOLD];
    } rig_poller;

    static inline int rig_open_poller(rig_poller *poller, int room, int plain)
    {
        int i;
        poller->epoll = -1;
        poller->room = room;
        poller->next = 0;
        poller->polled = NULL;
    #if defined(__linux__)
        if (!plain) {
            poller->epoll = epoll_create1(EPOLL_CLOEXEC);
            return poller->epoll < 0 ? RIG_FAILED : 0;
        }
    #endif
        poller->polled = calloc((size_t)room, sizeof *poller->polled);
        if (!poller->polled) return RIG_FAILED;
        for (i = 0; i < room; i++) poller->polled[i].fd = -1;
        return 0;
    }

    static inline void rig_close_poller(rig_poller *poller)
    {
        if (poller->epoll >= 0) close(poller->epoll);
        free(poller->polled);
        poller->epoll = -1;
        poller->polled = NULL;
    }

    /* Watch a descriptor for `interest`, 0 before it is closed; `anew` where it was not watched yet. */
    static inline int rig_watch(rig_poller *poller, int number, int fd, int interest, int anew)
    {
        if (poller->polled) {
            poller->polled[number].fd = interest ? fd : -1;
            poller->polled[number].events = (short)((interest & RIG_READABLE ? POLLIN : 0)
                                                    | (interest & RIG_WRITABLE ? POLLOUT : 0));
            return 0;
        }
    #if defined(__linux__)
        struct epoll_event event; if (!interest) return 0;            /* epoll forgets it when it is closed */
        memset(&event, 0, sizeof event); event.events = (interest & RIG_READABLE ? EPOLLIN : 0) | (interest &
        RIG_WRITABLE ? EPOLLOUT : 0); event.data.u32 = (uint32_t)number; return epoll_ctl(poller->epoll, anew
        ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, fd, &event) < 0 ? RIG_FAILED : 0;
    #else
        return RIG_FAILED;
    #endif
    }

    static inline int rig_poll(struct pollfd *polled, int count, int64_t ns)
    {
    #if defined(__linux__) || defined(__FreeBSD__)
        struct timespec time = {(time_t)(ns / 1000000000), (long)(ns % 1000000000)};
        return ppoll(polled, (nfds_t)count, &time, NULL);
    #else
        return poll(polled, (nfds_t)count, (int)(ns / 1000000));    /* too short: the rest is spun */
    #endif
    }

    #if defined(__linux__)
    static inline int rig_epoll(int epoll, struct epoll_event *events, int room, int64_t ns)
    {
        struct pollfd one = {epoll, POLLIN, 0};
        int count;
        if (ns == 0) return epoll_wait(epoll, events, room, 0);
    #if defined(SYS_epoll_pwait2)
        static int lacks;                   /* Linux has it since 5.11 */
        struct { int64_t seconds, ns; } time = {ns / 1000000000, ns % 1000000000};
        if (!lacks) {
            count = (int)syscall(SYS_epoll_pwait2, epoll, events, room, &time, NULL, (size_t)0);
            if (count >= 0 || (errno != ENOSYS && errno != EPERM)) return count;
            lacks = 1;
        }
    #endif
        count = rig_poll(&one, 1, ns);
        return count <= 0 ? count : epoll_wait(epoll, events, room, 0);
    }

    static inline int rig_ready_of(uint32_t events)
    {
        const uint32_t over = EPOLLERR | EPOLLHUP; return (events & (EPOLLIN | over) ? RIG_READABLE : 0) |
        (events & (EPOLLOUT | over) ? RIG_WRITABLE : 0);
    }
    #endif

    /* Wait at most `ns`: how many are told of in `told`, or FAILED. A signal ends it. */
    static inline int rig_wait(rig_poller *poller, int64_t ns)
    {
        int i, at, count, found = 0;
    #if defined(__linux__)
        if (!poller->polled) {
            struct epoll_event events[RIG_MOST_TOLD];
            count = rig_epoll(poller->epoll, events, RIG_MOST_TOLD, ns);
            if (count < 0) return errno == EINTR ? 0 : RIG_FAILED;
            for (i = 0; i < count; i++) {
                poller->told[i].number = (int)events[i].data.u32;
                poller->told[i].ready = rig_ready_of(events[i].events);
            }
            return count;
        }
    #endif
        count = rig_poll(poller->polled, poller->room, ns);
        if (count < 0) return errno == EINTR ? 0 : RIG_FAILED;
        for (i = 0, at = poller->next; i < poller->room && found < count && found < RIG_MOST_TOLD; i++) {
            const int told = poller->polled[at].fd < 0 ? 0 : poller->polled[at].revents;
            const int over = told & (POLLERR | POLLHUP | POLLNVAL);
            if (told) {
                poller->told[found].number = at;
                poller->told[found++].ready = (told & POLLIN || over ? RIG_READABLE : 0)
                                            | (told & POLLOUT || over ? RIG_WRITABLE : 0);
            }
            at = at + 1 < poller->room ? at + 1 : 0;
        }
        poller->next = at;
        return found;
    }

    /* -- What other threads and processes read meanwhile -- */

    static inline void rig_put(int64_t *cell, int64_t value)
    {
        __atomic_store_n(cell, value, __ATOMIC_RELAXED);
    }
    static inline int64_t rig_get(const int64_t *cell)
    {
        return __atomic_load_n(cell, __ATOMIC_RELAXED);
    }
    """
    enum: RIG_READABLE
    enum: RIG_WRITABLE

    int64_t rig_clock() noexcept nogil
    int64_t rig_set_slack(int64_t ns) noexcept nogil

    ctypedef struct rig_address:
        pass
    int rig_take_host(rig_address *address, const char *host, int port) noexcept
    int rig_take_path(rig_address *address, const char *path, size_t size) noexcept
    int rig_connect(const rig_address *address) noexcept nogil
    int rig_outcome(int fd) noexcept nogil

    ctypedef struct rig_told:
        int number
        int ready
    ctypedef struct rig_poller:
        rig_told *told
    int rig_open_poller(rig_poller *poller, int room, bint plain) noexcept
    void rig_close_poller(rig_poller *poller) noexcept
    int rig_watch(rig_poller *poller, int number, int fd, int interest, bint anew) noexcept nogil
    int rig_wait(rig_poller *poller, int64_t ns) noexcept nogil

    void rig_put(int64_t *cell, int64_t value) noexcept nogil
    int64_t rig_get(const int64_t *cell) noexcept nogil
