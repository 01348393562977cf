"""What rfile and wfile have in common: a connection's octets, which are no file and have no place to seek to.

Knows no octets itself. _reader and _writer derive from it, and nobody else.
"""

import io


cdef class Stream:
    """Half of a connection, an ``io.BufferedIOBase``."""

    def seekable(self):
        """False."""
        return False

    def isatty(self):
        """False."""
        return False

    def detach(self):
        """Raises io.UnsupportedOperation: there is no raw stream underneath."""
        raise io.UnsupportedOperation("detach")

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        self.close()


io.BufferedIOBase.register(Stream)
