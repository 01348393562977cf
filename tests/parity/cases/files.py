"""Files, and the paths that name them or do not."""

import mimetypes

from .table import CLOSE, Case, Seen, bare, get, head, logs, old, part, post, typed, with_header

LONG = "x" * 5000
SHRUNK = logs('"GET /hello.txt HTTP/1.1" was answered with 4 bytes fewer than its Content-Length')


def twice(seen: Seen) -> Seen:
    """The first answer is whole, and so is a second one, which is the last."""
    first, log = seen.replies[0], seen.log[0]
    return Seen((first, with_header(first, "Connection", "close")), False, (log, log), ())


PLAIN = [
    Case("a file", "files", get("/hello.txt")),
    Case("a file, HTTP/1.0", "files", old("/hello.txt")),
    Case("a file, HEAD", "files", head("/hello.txt"), "HEAD"),
    Case("a file on HTTP/1.1", "files11", get("/hello.txt")),
    Case("an empty file", "files11", get("/empty.txt")),
    Case("HEAD for an empty file", "files11", head("/empty.txt"), "HEAD"),
    Case("a file of 70 KiB", "files11", get("/medium.bin")),
    Case("a file of 2 MiB", "files11", get("/large.bin")),
    Case("a file of 2 MiB, HTTP/1.0", "files", old("/large.bin")),
    Case("HEAD for a file of 2 MiB", "files11", head("/large.bin"), "HEAD"),
    Case("a hidden file", "files11", get("/.hidden")),
    Case("a symbolic link", "files11", get("/list/link")),
    Case("a broken link", "files11", get("/list/broken")),
    Case("a link that leads out of the folder", "files11", get("/list/outside")),
    Case("a file that is not there", "files", get("/nothing")),
    Case("a file that is not there, on HTTP/1.1", "files11", get("/nothing")),
    Case("HEAD for a file that is not there", "files11", head("/nothing"), "HEAD"),
    Case("a name in another case", "files11", get("/HELLO.TXT")),
]

SPECIAL = [
    Case("a FIFO", "files11", get("/special/fifo"))
    .differs("regular-files", like=get("/nothing"), hangs=True),
    Case("a file that grows while it is sent", "files that grow",
         get("/hello.txt") + get("/hello.txt", CLOSE),
         "GET GET").differs("file-changes", twice),
    Case("a file that shrinks while it is sent", "files that shrink", get("/hello.txt"))
    .differs("file-changes", SHRUNK, like=get("/hello.txt", CLOSE), hangs=True),
]

METHODS = [
    Case("POST to files", "files11", get("/hello.txt", method="POST")),
    Case("POST with a body to files", "files11", post("/hello.txt", b"a body")),
    Case("PUT to files", "files11", post("/new.txt", b"a body", method="PUT")),
    Case("DELETE of a file", "files11", get("/hello.txt", method="DELETE")),
    Case("a method in lower case", "files11", get("/hello.txt", method="get")),
    Case("a method in mixed case", "files11", get("/hello.txt", method="Get")),
    Case("OPTIONS", "files11", get("*", method="OPTIONS")),
    Case("TRACE", "files11", get("/", method="TRACE")),
    Case("CONNECT", "files11", get("any.host:443", method="CONNECT")),
]

RANGES = [
    Case("a range", "files11", get("/hello.txt", "Range: bytes=1-2")).differs("ranges", part(1, 3)),
    Case("a range, HTTP/1.0", "files", old("/hello.txt", "Range: bytes=1-2"))
    .differs("ranges", part(1, 3, "1.0")),
    Case("a range that is the whole", "files11", get("/hello.txt", "Range: bytes=0-"))
    .differs("ranges", part(0, 6)),
    Case("the last octets", "files11", get("/hello.txt", "Range: bytes=-2")).differs("ranges", part(4, 6)),
    Case("a range that cannot be", "files11", get("/hello.txt", "Range: bytes=100-"))
    .differs("ranges", bare(416, ("Content-Range", "bytes */6"), ("Content-Length", "0"))),
    Case("several ranges that are near to each other", "files11", get("/hello.txt", "Range: bytes=0-1,3-4"))
    .differs("ranges", part(0, 5)),
    Case("a range in another unit", "files11", get("/hello.txt", "Range: lines=1-2")),
    Case("a range that ends before it begins", "files11", get("/hello.txt", "Range: bytes=2-1")),
    Case("HEAD with a range", "files11", head("/hello.txt", "Range: bytes=1-2"), "HEAD"),
    Case("POST with a range", "files11", post("/hello.txt", b"", "Range: bytes=1-2")),
    Case("a range of a listing", "files11", get("/list/", "Range: bytes=1-2")),
    Case("a range of what is not there", "files11", get("/nothing", "Range: bytes=1-2")),
    Case("a range on a condition", "files11",
         get("/hello.txt", "Range: bytes=1-2", "If-Range: Sun, 09 Sep 2001 01:46:40 GMT"))
    .differs("ranges", part(1, 3)),
    Case("a range on a condition that is not met", "files11",
         get("/hello.txt", "Range: bytes=1-2", "If-Range: Sun, 09 Sep 2001 01:46:39 GMT")),
    Case("a range and a class that sends other octets", "files in upper case",
         get("/hello.txt", "Range: bytes=1-2")),
    Case("a compressed answer", "files11", get("/hello.txt", "Accept-Encoding: gzip, br")),
    Case("a type that is not there", "files11", get("/hello.txt", "Accept: image/png")),
]


def of_type(name: str, target: str, content_type: str) -> Case:
    """A type that the system's tables may know, or not."""
    case = Case(name, "files11", get(target))
    known = mimetypes.guess_type(target)[0]
    return case if known == content_type else case.differs("types", typed(content_type))


TYPES = [
    Case("an HTML file", "files11", get("/page.html")),
    Case("an extension in upper case", "files11", get("/UPPER.HTML")),
    Case("a compressed file", "files11", get("/pack.tar.gz")),
    Case("a file without extension", "files11", get("/noext")),
    of_type("a script", "/a.js", "text/javascript"),
    of_type("an image of a new kind", "/a.jxl", "image/jxl"),
    Case("a style and data", "files11", get("/a.css") + get("/a.json"), "GET GET"),
    Case("an extension that stands for two", "files11", get("/a.tgz") + get("/a.svgz"), "GET GET"),
    Case("other compressed files", "files11", get("/a.Z") + get("/a.bz2") + get("/a.xz"), "GET GET GET"),
    Case("an extension that nobody knows", "files11", get("/a.unknown")),
    Case("types of the class's own", "files with their own types", get("/hello.txt")),
    Case("a type for everything else", "files with their own types", get("/noext")),
    Case("a type of the class's own for a missing file", "files with their own types", get("/nothing.txt")),
]

NAMES = [
    Case("an encoded space", "files11", get("/sp%20ace.txt")),
    Case("a plus sign that is no space", "files11", get("/sp+ace.txt")),
    Case("a name with a plus sign", "files11", get("/pl+us.txt")),
    Case("an encoded plus sign", "files11", get("/pl%2Bus.txt")),
    Case("a name in UTF-8", "files11", get("/%C3%BCn%C3%AF.txt")),
    Case("a name in UTF-8 that is not encoded", "files11", get("/\xc3\xbcn\xc3\xaf.txt")),
    Case("a name in latin-1 that is not encoded", "files11", get("/\xfcn\xef.txt")),
    Case("a name that is no UTF-8", "files11", get("/octets/%ff%fe.txt"))
    .differs("octets-in-names", like=get("/octets/%ed%b3%bf%ed%b3%be.txt")),
    Case("a name that is no UTF-8, as http.server links it", "files11",
         get("/octets/%ed%b3%bf%ed%b3%be.txt")),
    Case("octets that are no UTF-8", "files11", get("/%ff%fe")),
    Case("an overlong slash", "files11", get("/list%c0%afb.txt")),
    Case("an encoded surrogate", "files11", get("/%ed%a0%80")).differs("nul-in-path", like=get("/nothing")),
    Case("a name with markup", "files11", get("/a%26b%3C.txt")),
    Case("a name with a percent sign", "files11", get("/per%25cent.txt")),
    Case("a name with a percent sign that is not encoded", "files11", get("/per%cent.txt")),
    Case("a percent sign that encodes nothing", "files11", get("/%zz%")),
    Case("half a percent code at the end", "files11", get("/hello.txt%4")),
    Case("a percent code that is encoded itself", "files11", get("/%2541.txt")),
    Case("what a percent code that is encoded does not stand for", "files11", get("/%41.txt")),
    Case("any letter encoded", "files11", get("/%68%65llo%2Etxt")),
    Case("percent codes in lower case", "files11", get("/per%25cent%2etxt")),
    Case("a name with a backslash", "files11", get("/back%5Cslash.txt")),
    Case("a backslash that is not encoded", "files11", get("/back\\slash.txt")),
    Case("a backslash for a slash", "files11", get("/list\\b.txt")),
    Case("an encoded question mark", "files11", get("/list/q%3F.txt")),
    Case("an encoded number sign", "files11", get("/ha%23sh.txt")),
    Case("a name with a semicolon", "files11", get("/semi;colon.txt")),
    Case("parameters behind a semicolon", "files11", get("/hello.txt;version=1")),
    Case("a name with a colon", "files11", get("/co:lon.txt")),
    Case("a colon that looks like a drive", "files11", get("/C:/hello.txt")),
    Case("a name with a tilde", "files11", get("/~user")),
    Case("a name of 5000 letters", "files11", get("/" + LONG)),
    Case("a name of 5000 letters, kept open", "files11", get("/" + LONG) + get("/hello.txt"), "GET GET"),
    Case("a path of 5000 letters", "files11", get("/list" + "/." * 2500 + "/b.txt")),
    Case("a newline in a name", "files11", get("/%0a")),
    Case("CR and LF in a name", "files11", get("/x%0d%0aSet-Cookie:%20a")),
    Case("a NUL", "files11", get("/a%00b")).differs("nul-in-path", like=get("/nothing")),
    Case("a NUL behind a name", "files11", get("/hello.txt%00")).differs("nul-in-path", like=get("/nothing")),
    Case("HEAD for a NUL", "files11", head("/a%00b"), "HEAD").differs("nul-in-path", like=head("/nothing")),
]

PATHS = [
    Case("a query", "files11", get("/hello.txt?a=b&c")),
    Case("an empty query behind a file", "files11", get("/hello.txt?")),
    Case("a query with a slash at its end", "files11", get("/hello.txt?a/")),
    Case("a query with a question mark", "files11", get("/hello.txt?a?b")),
    Case("a query with a NUL", "files11", get("/hello.txt?%00")),
    Case("a query that leads out", "files11", get("/hello.txt?/../../")),
    Case("a fragment", "files11", get("/hello.txt#top")),
    Case("a fragment with a query inside", "files11", get("/hello.txt#top?a/b")),
    Case("a file with a slash behind", "files11", get("/hello.txt/")),
    Case("a file with an encoded slash behind", "files11", get("/hello.txt%2F"))
    .differs("encoded-slash", like=get("/hello.txt/")),
    Case("a file with a slash and a dot behind", "files11", get("/hello.txt/.")),
    Case("a file with a space behind", "files11", get("/hello.txt%20")),
    Case("a file with a slash and a space behind", "files11", get("/hello.txt/%20")),
    Case("a file below a file", "files11", get("/hello.txt/x")),
    Case("a way up from a file", "files11", get("/hello.txt/../empty.txt")),
    Case("dots that lead out", "files11", get("/../../hello.txt")),
    Case("encoded dots that lead out", "files11", get("/%2e%2e/%2e%2e%2fhello.txt")),
    Case("dots that are encoded by half", "files11", get("/.%2e/%2E./hello.txt")),
    Case("dots that are encoded twice", "files11", get("/%252e%252e/hello.txt")),
    Case("dots behind a backslash", "files11", get("/..\\..\\hello.txt")),
    Case("dots that lead to the password file", "files11", get("/../../../../../../../../etc/passwd")),
    Case("an absolute path inside", "files11", get("//etc/passwd")),
    Case("an encoded absolute path", "files11", get("/%2fetc%2fpasswd")),
    Case("dots inside", "files11", get("/list/../hello.txt")),
    Case("dots that leave a directory that is not there", "files11", get("/nowhere/../hello.txt")),
    Case("a dot", "files11", get("/./list/./b.txt")),
    Case("an encoded dot", "files11", get("/%2e/hello.txt")),
    Case("three dots", "files11", get("/.../hello.txt")),
    Case("two slashes in front", "files11", get("//hello.txt")),
    Case("many slashes in front", "files11", get("/////hello.txt")),
    Case("two slashes inside", "files11", get("/list//b.txt")),
    Case("encoded slashes", "files11", get("/list%2fb.txt")),
    Case("no slash in front", "files11", get("hello.txt")),
    Case("no slash in front, and a way up", "files11", get("../hello.txt")),
    Case("a star", "files11", get("*")),
]

ABSOLUTE = [
    Case("an absolute-form target", "files11", get("http://any.host:80/hello.txt?x"))
    .differs("absolute-form", like=get("/hello.txt?x")),
    Case("an absolute-form target, HTTPS", "files11", get("https://any.host/hello.txt"))
    .differs("absolute-form", like=get("/hello.txt")),
    Case("an absolute-form target in upper case", "files11", get("HTTP://ANY.HOST/hello.txt"))
    .differs("absolute-form", like=get("/hello.txt")),
    Case("an absolute-form target with a user", "files11", get("http://me:secret@any.host/hello.txt"))
    .differs("absolute-form", like=get("/hello.txt")),
    Case("an absolute-form target that leads out", "files11", get("http://any.host/../../hello.txt")),
    Case("an absolute-form target, HEAD", "files11", head("http://any.host/hello.txt"), "HEAD")
    .differs("absolute-form", like=head("/hello.txt")),
    Case("an absolute-form target that is not there", "files11", get("http://any.host/nothing")),
    Case("an absolute-form target of another scheme", "files11", get("ftp://any.host/hello.txt")),
    Case("a path that begins as an absolute-form target", "files11", get("/http://any.host/hello.txt")),
]

CASES = [*PLAIN, *SPECIAL, *METHODS, *RANGES, *TYPES, *NAMES, *PATHS, *ABSOLUTE]
