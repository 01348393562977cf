# When requests are meant to be sent: a plan of the load driver, and the numbers that chance is made of.
#
# Header-only; knows no connection and no clock. For _drive.

from libc.math cimport log
from libc.stdint cimport INT64_MAX, int64_t, uint64_t

cdef extern from *:
    """
    #define RIG_FAR INT64_MAX
    """
    int64_t FAR "RIG_FAR"

cdef enum Kind:
    NONE
    RATE
    CLOSED
    THINK
    CHURN

cdef struct Plan:
    Kind kind
    int64_t seconds         # ns, as all times here
    int64_t pause           # behind an answer
    double gap              # between two requests
    double offset           # of the next one, from the beginning on
    bint by_chance          # whether these are means
    uint64_t seed


cdef inline double chance(uint64_t *state) noexcept nogil:
    """A number from 0 up to 1, by SplitMix64: the same ones for the same seed everywhere."""
    cdef uint64_t x
    state[0] += <uint64_t>0x9E3779B97F4A7C15
    x = state[0]
    x = (x ^ (x >> 30)) * <uint64_t>0xBF58476D1CE4E5B9
    x = (x ^ (x >> 27)) * <uint64_t>0x94D049BB133111EB
    x ^= x >> 31
    return <double>(x >> 11) * (1.0 / 9007199254740992.0)


cdef inline double exponential(uint64_t *state, double mean) noexcept nogil:
    return -log(1.0 - chance(state)) * mean


cdef inline int64_t next_offset(Plan *plan, int64_t number) noexcept nogil:
    """When the next request is meant to be sent, the one of that number; FAR where there is none."""
    if plan.by_chance:
        plan.offset += exponential(&plan.seed, plan.gap)
    else:
        # Not by adding gaps up: what they are rounded by would add up too.
        plan.offset = plan.gap * <double>number
    return FAR if plan.offset >= <double>plan.seconds else <int64_t>plan.offset


cdef inline int64_t first_pause(Plan *plan) noexcept nogil:
    """They come spread over one pause."""
    if plan.by_chance:
        return next_pause(plan)
    return <int64_t>(chance(&plan.seed) * <double>plan.pause)


cdef inline int64_t next_pause(Plan *plan) noexcept nogil:
    return <int64_t>exponential(&plan.seed, <double>plan.pause) if plan.by_chance else plan.pause
