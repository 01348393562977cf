"""Content types by the ends of file names: ours, and then the system's.

Knows names and tables, and no file and no handler. handlers.static asks.
"""

import functools
import mimetypes
import posixpath
from typing import Final

# 3.13 took file names away from guess_type().
GUESS_FILE_TYPE: Final = getattr(mimetypes, "guess_file_type", mimetypes.guess_type)

# What a browser refuses, or downloads, under another type. Systems' tables lack some, and have others wrong:
# text/plain for .js in many a Windows registry.
TYPES: Final = {
    ".avif": "image/avif",
    ".css": "text/css",
    ".htm": "text/html",
    ".html": "text/html",
    ".js": "text/javascript",  # RFC 9239
    ".json": "application/json",
    ".jxl": "image/jxl",
    ".md": "text/markdown",  # RFC 7763
    ".mjs": "text/javascript",
    ".svg": "image/svg+xml",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
    ".webp": "image/webp",
    ".woff2": "font/woff2",  # RFC 8081
}

# What depends on nothing but its argument is worked out once; a longer name is not worth the memory.
KEPT_NAMES: Final = 1024
KEPT_LENGTH: Final = 256


@functools.lru_cache(KEPT_NAMES)
def split_extension(name: str) -> str:
    """Return the extension of a file name, with its dot, or ''."""
    return posixpath.splitext(name)[1]


def guess_type(path: str, first: dict[str, str], default: str) -> str:
    """Return the content type for a file name: by ``first``, a table of extensions, and then by TYPES and the
    system's tables; ``default`` where none knows it.
    """
    extension = split_extension(path[-KEPT_LENGTH:])
    lower = extension.lower()
    for table, key in ((first, extension), (first, lower), (TYPES, lower)):
        if key in table:
            return table[key]
    if not mimetypes.inited:
        mimetypes.init()
    if lower in mimetypes.suffix_map or extension in mimetypes.encodings_map:
        return GUESS_FILE_TYPE(path)[0] or default  # such as .tgz, .svg.br
    return mimetypes.types_map.get(lower) or default
