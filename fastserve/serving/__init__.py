"""How to run a server: the loop, its timers, TLS. Knows no handler class; fastserve.server calls it."""
