"""Ignoring a signal, as the system does it. It knows no handler; stopping calls it."""

from cpython.exc cimport PyErr_SetFromErrno

cdef extern from "Python.h":
    ctypedef void (*PyOS_sighandler_t)(int) noexcept
    PyOS_sighandler_t PyOS_setsig(int signum, PyOS_sighandler_t handler)

cdef extern from "<signal.h>":
    PyOS_sighandler_t SIG_ERR
    PyOS_sighandler_t SIG_IGN


def disregard(int signum):
    """Have the system drop a signal from now on; Python's handler stays, and what has come goes to it.

    To be called before ``signal.signal(signum, SIG_IGN)``, which has a gap: Python keeps a note of a signal
    that comes in it, finds later that it is ignored, and tells of that by a traceback. Raises OSError.
    """
    if PyOS_setsig(signum, SIG_IGN) == SIG_ERR:
        PyErr_SetFromErrno(OSError)
