# What Python sees of clients' addresses: nothing, they are for _conn. tests/test_imports.py holds it to that.
