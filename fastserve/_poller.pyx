"""Which descriptors are ready: selectors.DefaultSelector's part of a loop, without an object for each event.

On Linux epoll is asked directly, elsewhere the selector. A target stands for each descriptor, whatever it is.

It knows descriptors and no connection. serving.loop registers them, _lane waits.
"""

cimport cython
from cpython.exc cimport PyErr_CheckSignals
from libc.errno cimport EINTR, errno

from fastserve._sys cimport FAILED, fs_control, fs_event_fd, fs_monotonic, fs_open_poller, fs_wait
from posix.unistd cimport close as close_fd

import os
import selectors
import time


@cython.final
cdef class Poller:
    """Watches descriptors, by the methods that selectors have for it."""

    def __cinit__(self):
        self.targets = {}
        self.ready = []
        self.epoll = fs_open_poller()
        if self.epoll == FAILED:
            self.selector = selectors.DefaultSelector()

    def __dealloc__(self):
        if self.epoll >= 0:
            close_fd(self.epoll)

    def close(self):
        """Watch nothing any more."""
        if self.epoll >= 0:
            close_fd(self.epoll)
        elif self.selector is not None:
            self.selector.close()
        self.epoll = FAILED
        self.targets.clear()
        self.ready.clear()

    def register(self, int fd, int interest, target):
        """Watch ``fd`` for ``interest``, EVENT_READ or EVENT_WRITE of selectors. Raises KeyError if it is
        watched already, OSError where the system cannot watch it.
        """
        self.add(fd, interest, target)

    def modify(self, int fd, int interest):
        """Watch ``fd`` for something else. Raises KeyError if it is not watched."""
        self.targets[fd]
        self._control(CHANGE, fd, interest)

    def unregister(self, int fd):
        """Watch it no more; return its target. Raises KeyError if it is not watched."""
        return self.drop(fd)

    def target(self, int fd):
        """Return what was registered for ``fd``. Raises KeyError if it is not watched."""
        return self.targets[fd]

    def select(self, double timeout):
        """Wait ``timeout`` seconds at most, and return the targets that are ready (list)."""
        self.wait(timeout)
        return list(self.ready)

    cdef bint add(self, int fd, int interest, object target) except False:
        if fd in self.targets:
            raise KeyError(f"{fd} is watched already")
        self._control(ADD, fd, interest)
        self.targets[fd] = target
        return True

    cdef object drop(self, int fd):
        target = self.targets.pop(fd)
        if self.selector is None:
            fs_control(self.epoll, DELETE, fd, 0)   # if it was closed, the system has forgotten it by itself
        else:
            self.selector.unregister(fd)
        return target

    cdef bint _control(self, Operation operation, int fd, int interest) except False:
        if self.selector is None:
            if fs_control(self.epoll, operation, fd, interest) == FAILED:
                raise OSError(errno, os.strerror(errno))
        elif operation == ADD:
            self.selector.register(fd, interest)
        else:
            self.selector.modify(fd, interest)
        return True

    cdef bint wait(self, double timeout) except False:
        """Fill `ready`. A signal ends the wait, once its handler has run."""
        cdef int i, count
        cdef int milliseconds = <int>(timeout * 1000 + 0.999) if timeout > 0 else 0
        self.ready.clear()
        if self.selector is not None:
            self.ready.extend([self.targets[key.fd] for key, _ in self.selector.select(timeout)])
            return True
        with nogil:
            count = fs_wait(self.epoll, self.events, MOST_EVENTS, milliseconds)
        if count == FAILED and errno != EINTR:
            raise OSError(errno, os.strerror(errno))
        PyErr_CheckSignals()
        for i in range(count):
            # One that was unregistered by a signal's handler just now is no target any more.
            target = self.targets.get(fs_event_fd(&self.events[i]))
            if target is not None:
                self.ready.append(target)
        return True

    cdef double now(self) except? -1:
        """By time.monotonic()."""
        return fs_monotonic() if self.selector is None else time.monotonic()
