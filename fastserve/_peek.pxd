# A first request that is looked at before there is a handler, as _conn does.

from fastserve._channel cimport Channel
from fastserve._head cimport RequestHead


cdef RequestHead peeked_head(int fd, Channel channel, Py_ssize_t *size)
cdef bint pass_over(int fd, Channel channel, Py_ssize_t size) except -1
