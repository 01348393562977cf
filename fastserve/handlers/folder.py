"""FolderHandler, which the command line serves: SimpleHTTPRequestHandler with pages of folders for people.

They are to be had as JSON too, and whole folders as archives.

Which of them is sent, the query and the Accept field say. What makes them is imported when a folder is
listed, so that a server starts without it. Knows SimpleHTTPRequestHandler; the command line, and any program,
makes classes of it.
"""

import io
import urllib.parse
from http import HTTPStatus
from typing import Final

from fastserve.handlers.paths import split_target
from fastserve.handlers.static import SimpleHTTPRequestHandler

FORMATS: Final = ("html", "json")
ARCHIVES: Final = ("zip", "tar")


class FolderHandler(SimpleHTTPRequestHandler):
    """Answers GET and HEAD from ``directory`` and below; a folder without an index page by a page of its own.

    What the query of a folder may say:

    sort=name|size|date, order=asc|desc   how the page, or the JSON, is sorted; anything else is passed over
    format=html|json                      which it is, whatever Accept prefers
    archive=zip|tar                       that the folder itself is asked for, with all that is below it

    What a class may set:

    folder_pages   whether there is all that; else folders get http.server's page (bool)
    archives       whether folders are sent as archives (bool)
    """

    folder_pages = True
    archives = True

    def accepts_uploads_in(self, path: str) -> bool:
        """Return whether the page of a folder, whose file name ``path`` is, offers to put files there."""
        return False

    def list_directory(self, path: str) -> io.BytesIO | None:
        """Send the head of the answer for a folder, or all of it where that is an archive or an error.

        Returns a file object with the page, or None. A folder that cannot be read is 404, a format or an
        archive that is none of the above 400.
        """
        if not self.folder_pages:
            return super().list_directory(path)
        query = dict(reversed(urllib.parse.parse_qsl(split_target(self.path)[1], keep_blank_values=True)))
        if "archive" in query:
            self.__send_archive(path, query["archive"])
            return None
        if query.get("format", "html") not in FORMATS:
            self.send_error(HTTPStatus.BAD_REQUEST, "Folders have the formats html and json")
            return None
        return self.__send_listing(path, query)

    def __send_archive(self, path: str, kind: str) -> None:
        if kind not in ARCHIVES:
            self.send_error(HTTPStatus.BAD_REQUEST, "Folders have the archives zip and tar")
        elif not self.archives:
            self.send_error(HTTPStatus.FORBIDDEN, "Folders are not sent as archives here")
        else:
            from fastserve.handlers import archive

            archive.stream(self, path, kind)

    def __send_listing(self, path: str, query: dict[str, str]) -> io.BytesIO | None:
        from fastserve.handlers import listing

        folder = self._fastserve_read_folder(path, details=True)
        if folder is None:
            return None
        order = listing.Order.of(query)
        folder.sort(order.by, order.descending)
        target = split_target(self.path)[0]
        wanted, headers = query.get("format"), []
        if wanted is None:
            wanted = "json" if listing.prefers_json(self._fastserve_field("Accept") or "") else "html"
            headers = [("Vary", "Accept")]
        if wanted == "json":
            return self._fastserve_send_page(listing.json(target, folder), listing.JSON_HEADERS + headers)
        page = listing.html(target, folder, order, self.accepts_uploads_in(path), self.archives)
        return self._fastserve_send_page(page, listing.HTML_HEADERS + headers)
