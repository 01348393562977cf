# The states of a connection of the loop, and the edges between them. _conn alone moves along them.

cdef enum State:
    HANDSHAKING     # a TLS handshake is under way
    WAITING         # there is no handler, and nothing of a request for one has been read
    IDLE            # between two requests
    HEAD            # a part of a request head is here
    BODY            # a head is here, and a part of a body that is collected before the handler runs
    ANSWERING       # a handler runs
    SENDING         # it has returned, and not all it wrote has left
    DRAINING        # the rest of a body it did not read is passed over
    LINGERING       # the last answer has left; the client reads it while what it still sends is dropped
    CLOSED          # given back


cdef inline int fs_next_states(int state) noexcept nogil:
    """One bit for each state that may follow."""
    if state == HANDSHAKING:
        return 1 << WAITING
    if state == WAITING:
        return 1 << IDLE | 1 << SENDING | 1 << LINGERING
    if state == IDLE:
        return 1 << WAITING | 1 << HEAD | 1 << BODY | 1 << ANSWERING
    if state == HEAD:
        return 1 << BODY | 1 << ANSWERING
    if state == BODY:
        return 1 << ANSWERING
    if state == ANSWERING:
        return 1 << IDLE | 1 << SENDING | 1 << DRAINING | 1 << LINGERING
    if state == SENDING:
        return 1 << WAITING | 1 << IDLE | 1 << DRAINING | 1 << LINGERING
    return 1 << IDLE | 1 << LINGERING if state == DRAINING else 0


cdef inline bint fs_is_edge(int before, int after) noexcept nogil:
    """Whether a connection may move so. Every state may be closed."""
    return after == CLOSED or fs_next_states(before) & (1 << after)
