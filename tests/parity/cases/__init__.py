"""The cases of the parity table: a request, the handler it is sent to, and where fastserve means to differ.

A case that differs names the row of differences.py and what is expected instead. That is another request,
and fastserve answers as http.server answers to that one; or a function from what http.server did to what
fastserve should do; or both. Each module has the cases of one subject; test_table.py runs them all, and
apps.py has the handlers.
"""

from . import (
    bodies,
    calls,
    connections,
    directories,
    errors,
    fields,
    files,
    logs,
    overrides,
    request_lines,
    responses,
    validators,
)
from .table import Case

SUBJECTS = (files, directories, validators, request_lines, fields, connections, bodies, responses, errors,
            logs, overrides, calls)

CASES: list[Case] = [case for subject in SUBJECTS for case in subject.CASES]
