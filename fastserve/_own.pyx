"""Whether methods of an object are still the library's own: several of them, asked at once.

As overrides.is_own() for one. A class, any of its bases and the object itself may have got another at any
time, so they are looked up each time, as a call would do it; and no bound method is made for the answer.

Knows no class of ours. handlers.base decides by it which shorter way it may take.
"""

cimport cython

cdef extern from *:
    """
    /* Whether a call of obj.name() would call that function, with obj first; -1 with an exception. */
    static int fs_is_method(PyObject *obj, PyObject *name, PyObject *function)
    {
        int same;
    #if PY_VERSION_HEX < 0x030E0000
        /* What CPython's own calls do. Since 3.13 in no header for extensions, but it is still there. */
        PyAPI_FUNC(int) _PyObject_GetMethod(PyObject *, PyObject *, PyObject **);
        PyObject *found = NULL;
        same = _PyObject_GetMethod(obj, name, &found) && found == function;
    #else
        PyObject *found = PyObject_GetAttr(obj, name);
        same = found && PyMethod_Check(found)
            && PyMethod_GET_FUNCTION(found) == function && PyMethod_GET_SELF(found) == obj;
    #endif
        if (!found) return -1;
        Py_DECREF(found);
        return same;
    }
    """
    bint fs_is_method(object obj, object name, object function) except -1


@cython.final
cdef class OwnMethods:
    """The methods of these names that ``kind``, a class, has itself by now."""

    cdef tuple names, functions

    def __cinit__(self, type kind not None, *names):
        self.names = names
        self.functions = tuple([vars(kind)[name] for name in names])

    def are_of(self, obj):
        """Return whether ``obj`` has all of them, and no others of their names."""
        cdef Py_ssize_t i
        for i in range(len(self.names)):
            if not fs_is_method(obj, self.names[i], self.functions[i]):
                return False
        return True
