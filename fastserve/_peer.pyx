"""What socket.accept() makes of a descriptor, made when somebody asks for it: a socket, and an address.

For TCP over IPv4 and IPv6, the families that a lane accepts itself. _conn calls it.
"""

from libc.stdint cimport uint16_t, uint32_t

from fastserve._sys cimport fs_address, fs_set_nonblocking

import socket

cdef extern from "<arpa/inet.h>":
    const char *inet_ntop(int family, const void *address, char *text, unsigned int room) noexcept nogil
    uint16_t ntohs(uint16_t number) noexcept nogil
    uint32_t ntohl(uint32_t number) noexcept nogil

cdef extern from *:
    """
    static inline int fs_family(const fs_address *a) { return a->any.sa_family; }
    static inline const void *fs_host(const fs_address *a)
    {
        return a->any.sa_family == AF_INET6 ? (const void *)&a->six.sin6_addr
                                            : (const void *)&a->four.sin_addr;
    }
    static inline uint16_t fs_port(const fs_address *a)
    {
        return ntohs(a->any.sa_family == AF_INET6 ? a->six.sin6_port : a->four.sin_port);
    }
    static inline uint32_t fs_flow(const fs_address *a) { return ntohl(a->six.sin6_flowinfo); }
    static inline uint32_t fs_scope(const fs_address *a) { return a->six.sin6_scope_id; }
    """
    int fs_family(const fs_address *address) noexcept nogil
    const void *fs_host(const fs_address *address) noexcept nogil
    uint16_t fs_port(const fs_address *address) noexcept nogil
    uint32_t fs_flow(const fs_address *address) noexcept nogil
    uint32_t fs_scope(const fs_address *address) noexcept nogil

cdef enum:
    ADDRESS_ROOM = 64


cdef object address_of(const fs_address *address):
    """(host, port), over IPv6 (host, port, flowinfo, scope_id), as accept() gives it."""
    cdef char[ADDRESS_ROOM] text
    cdef int family = fs_family(address)
    inet_ntop(family, fs_host(address), text, ADDRESS_ROOM)
    host = (<bytes>text).decode("ascii")
    if family == socket.AF_INET:
        return host, fs_port(address)
    return host, fs_port(address), fs_flow(address), fs_scope(address)


cdef object socket_of(int fd, const fs_address *address):
    """A socket that owns `fd`, and blocks as an accepted one does."""
    fs_set_nonblocking(fd, False)
    return socket.socket(fs_family(address), socket.SOCK_STREAM, 0, fd)
