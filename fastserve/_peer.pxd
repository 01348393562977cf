# A client's address and its socket, made when somebody asks.

from fastserve._sys cimport fs_address


cdef object address_of(const fs_address *address)
cdef object socket_of(int fd, const fs_address *address)
