"""Directories: redirects, index pages and listings."""

from .table import Case, get, head, old

REDIRECTS = [
    Case("a directory without a slash", "files11", get("/list")),
    Case("a directory without a slash, HTTP/1.0", "files", old("/list")),
    Case("HEAD for a directory without a slash", "files11", head("/list"), "HEAD"),
    Case("a directory without a slash, with a query", "files11", get("/list?a=b")),
    Case("a directory without a slash, with a slash in its query", "files11", get("/list?a/")),
    Case("a directory without a slash, with a fragment", "files11", get("/list#top")),
    Case("a directory without a slash, with parameters", "files11", get("/list;a=b")),
    Case("a directory that looks like a file", "files11", get("/dir.txt")),
    Case("a directory with an index page and no slash", "files11", get("/index")),
    Case("a directory with an encoded name and no slash", "files11", get("/%6Cist")),
    Case("a directory with a space and no slash", "files11", get("/sp%20ace%20dir")),
    Case("a directory in UTF-8 and no slash", "files11", get("/d%C3%AFr")),
    Case("a directory in UTF-8 that is not encoded", "files11", get("/d\xc3\xafr")),
    Case("a directory below dots and no slash", "files11", get("/index/../list")),
    Case("a directory and a dot", "files11", get("/list/.")),
    Case("a directory and two dots", "files11", get("/list/deep/..")),
    Case("the root and a dot", "files11", get("/.")),
    Case("a way up from the root", "files11", get("/..")),
    Case("an encoded way up from the root", "files11", get("/%2e%2e")),
    Case("a linked directory", "files11", get("/list/dirlink")),
    Case("an empty query", "files11", get("/list?")),
    Case("two slashes before a directory", "files11", get("//list")),
    Case("another host in a redirect", "files11", get("//evil.test/..%2flist")),
    Case("an encoded CR and LF in a redirect", "files11", get("/x%0d%0aSet-Cookie:%20a/..%2flist")),
    Case("another host behind a backslash", "files11", get("/\\evil.test/..%2flist"))
    .differs("location", like=get("/%5Cevil.test/..%2flist")),
    Case("another host behind a slash and a backslash", "files11", get("//\\evil.test/..%2flist"))
    .differs("location", like=get("/%5Cevil.test/..%2flist")),
    Case("a redirect of an absolute-form target", "files11", get("http://any.host/list?a"))
    .differs("location", like=get("/list?a")),
    Case("a redirect without a slash in front", "files11", get("list"))
    .differs("location", like=get("/list")),
    Case("a query alone", "files11", get("?q")).differs("location", like=get("/")),
    Case("a fragment alone", "files11", get("#top")).differs("location", like=get("/")),
    Case("a directory with an encoded slash", "files11", get("/list%2F"))
    .differs("encoded-slash", like=get("/list/")),
    Case("a directory with an encoded slash in lower case", "files11", get("/list%2f?q"))
    .differs("encoded-slash", like=get("/list/")),
]

INDEX_PAGES = [
    Case("an index page", "files11", get("/index/")),
    Case("HEAD for an index page", "files11", head("/index/"), "HEAD"),
    Case("an index page with a query", "files11", get("/index/?q")),
    Case("an index page by its name", "files11", get("/index/index.html")),
    Case("index.htm", "files11", get("/htm/")),
    Case("index.html before index.htm", "files11", get("/both/")),
    Case("a directory called index.html", "files11", get("/indexdir/")),
]

LISTINGS = [
    Case("a listing", "files11", get("/list/")),
    Case("a listing on HTTP/1.0", "files", get("/list/")),
    Case("a listing of the root", "files11", get("/")),
    Case("a listing of an empty directory", "files11", get("/list/empty/")),
    Case("a listing of names that are no UTF-8", "files11", get("/octets/")),
    Case("HEAD for a listing", "files11", head("/list/"), "HEAD"),
    Case("a listing by an encoded name", "files11", get("/%6Cist/")),
    Case("a listing by a name in UTF-8", "files11", get("/d%C3%AFr/")),
    Case("a listing by a name with a space", "files11", get("/sp%20ace%20dir/")),
    Case("a listing by a name with markup", "files11", get("/%3Cb%3E/")),
    Case("a listing by way of dots", "files11", get("/index/../list/")),
    Case("a listing above the root", "files11", get("/../")),
    Case("a listing with two slashes", "files11", get("/list//")),
    Case("a listing of a linked directory", "files11", get("/list/dirlink/")),
    Case("a listing of a directory that is not there", "files11", get("/nowhere/")),
    Case("listings pipelined", "files11", get("/list/") + get("/list/deep/"), "GET GET"),
    Case("a listing with a query", "files11", get("/list/?sort=name"))
    .differs("listing-title", like=get("/list/")),
    Case("a listing with a fragment", "files11", get("/list/#top"))
    .differs("listing-title", like=get("/list/")),
]

ABSOLUTE = [
    Case("an absolute-form target without a path", "files11", get("http://any.host?q"))
    .differs("absolute-form", like=get("/")),
    Case("an absolute-form target with half an address", "files11", get("http://[/list"))
    .differs("absolute-form", like=get("/list")),
    Case("an absolute-form listing", "files11", get("http://any.host/list/"))
    .differs("absolute-form", like=get("/list/")),
]

CASES = [*REDIRECTS, *INDEX_PAGES, *LISTINGS, *ABSOLUTE]
