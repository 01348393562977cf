"""The head of a first request, looked at where it lies: in a socket, or in what a lane has received from it.

Whoever takes the connection then finds every octet where it was. It knows sockets and heads, and no state of
a connection. _conn calls it.
"""

from libc.stdint cimport uint8_t

from fastserve._channel cimport Channel
from fastserve._head cimport RequestHead
from fastserve._parser cimport COMPLETE, RequestParser
from fastserve._sys cimport fs_peek, fs_recv

cdef enum:
    PEEKED = 4096           # octets of a socket that are looked at


cdef bint is_held(Channel channel) except -1:
    """Whether octets have been received already."""
    return channel is not None and channel.stop > channel.start


cdef RequestHead peeked_head(int fd, Channel channel, Py_ssize_t *size):
    """The head, and of how many octets it is the beginning; None where they do not begin with a whole one."""
    cdef uint8_t[PEEKED] octets
    cdef const uint8_t *at = octets
    cdef RequestParser parser = RequestParser()
    if is_held(channel):
        at, size[0] = channel.data + channel.start, channel.stop - channel.start
    else:
        size[0] = fs_peek(fd, octets, sizeof(octets))
    if size[0] <= 0 or parser.advance(at, size[0]) != COMPLETE or parser.head_start:
        return None
    return parser.release(at, size[0])


cdef bint pass_over(int fd, Channel channel, Py_ssize_t size) except -1:
    """Read a head that was looked at. Returns whether it was there."""
    cdef uint8_t[PEEKED] scrap
    if is_held(channel):
        channel.consume(size)
        return True
    return fs_recv(fd, scrap, size) == size
