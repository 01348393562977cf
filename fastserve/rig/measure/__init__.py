"""Measuring servers: load at a given rate or in a closed loop, what it costs, what became of it."""
