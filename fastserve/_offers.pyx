"""How a handler that is being made comes by its streams, and a loop by the handler.

A loop offers a connection while it has a handler made for its socket. The handler asks for streams over that
socket, and is attached to the connection if it still has them in the end. Over any other socket it gets
streams of its own.

It knows connections and streams, and of a handler nothing. serving.loop offers, handlers.base calls the rest.
"""

from fastserve._channel cimport Channel
from fastserve._conn cimport Connection
from fastserve._reader cimport RequestReader
from fastserve._writer cimport ResponseWriter

import socket
import threading

from fastserve import limits
from fastserve._deadlines import of_server

cdef Py_ssize_t SEND_HIGH_WATER = limits.SEND_HIGH_WATER

# Connections that a loop offers to the handler it is about to make, by the id of their socket.
cdef dict offers = {}


# -- For loops -------------------------------------------------------------------------------------

def offer(Connection conn not None):
    """From now on ``attach(sock, handler)`` takes this connection, in the calling thread."""
    conn.thread = threading.get_ident()
    offers[id(conn.sock)] = conn


def withdraw(Connection conn not None):
    """The end of an offer. Returns whether a handler was attached."""
    conn.thread = 0
    offers.pop(id(conn.sock), None)
    return conn.handler is not None


# -- For handlers ----------------------------------------------------------------------------------

cdef Connection offered(object sock):
    """The connection of that socket, where the calling thread's loop offers it."""
    cdef Connection conn = offers.get(id(sock))
    if conn is None or conn.sock is not sock or conn.thread != threading.get_ident():
        return None
    return conn


cdef tuple streams_of(Connection conn):
    if conn.reader is None:
        conn.get_channel().carry(conn.sock)
        conn.reader = RequestReader(conn.channel)
        conn.writer = ResponseWriter(conn.channel)
        conn.reader.ending = conn.ending
        conn.writer.reader = conn.reader
        conn.writer.tally = conn.tally
    return conn.reader, conn.writer


def open_streams(sock, Py_ssize_t block=0, timeouts=None):
    """Return (rfile, wfile) over a connected, blocking ``socket.socket`` or ``ssl.SSLSocket``.

    Those of the loop's connection where one offers the socket, else a pair of their own. ``block`` is
    a handler's ``wbufsize`` in bytes, ``timeouts`` what its server has by that name.
    """
    cdef Connection conn = offered(sock)
    cdef Channel channel
    cdef tuple streams
    if conn is not None:
        streams = streams_of(conn)
    else:
        channel = Channel(sock, of_server(timeouts))
        streams = RequestReader(channel), ResponseWriter(channel)
        if sock.family in (socket.AF_INET, socket.AF_INET6):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
    if block:
        streams[1].gather(block)
    return streams


def attach(sock, handler, rfile, wfile):
    """Let the loop that offers ``sock`` drive ``handler``, if it still has the streams it was given.

    Returns whether it will: the loop then calls ``handle_one_request()`` once for each request, and
    ``finish()`` when there are no more.
    """
    cdef Connection conn = offered(sock)
    if conn is None or conn.handler is not None:
        return False
    if conn.reader is None or rfile is not conn.reader or wfile is not conn.writer:
        return False
    conn.handler = handler
    conn.writer.high_water = SEND_HIGH_WATER
    conn.channel.driven = True
    return True
