"""The rig: what fastserve, and any other server, client or proxy, is tested and measured with.

    origin      a server whose answers are as a client asks for them: python -m fastserve.rig origin
    measure     load at a constant rate and closed loops, on one server or several in turns
    report      pages, tables and CSV from what was measured
    locusts     the same scenarios by Locust
    testing     an origin and scripted answers for the tests of other programs

`origin` and `testing` need no package but fastserve; what the others need comes by fastserve[rig] and
fastserve[locust]. Nothing of fastserve itself imports this.
"""
