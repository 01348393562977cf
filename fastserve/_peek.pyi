# What Python sees of a first look: nothing, it is for _conn. tests/test_imports.py holds it to that.
