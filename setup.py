"""Builds the compiled core: the extensions and their one table of Cython directives.

Everything declarative stands in pyproject.toml. Environment switches (any non-empty value):

FASTSERVE_DEBUG     bounds and None checks, assertions, -O0, warnings of both compilers are errors
FASTSERVE_SANITIZE  the debug build under AddressSanitizer and UndefinedBehaviorSanitizer
FASTSERVE_FUZZ      the sanitizer build, made so that libFuzzer sees what is reached; asks for CC=clang

SOURCE_DATE_EPOCH   seconds since 1970: the source archive is the same octets whenever and wherever it is made
CFLAGS              with flags of your own, the release build keeps the debug information that they ask for
"""

import gzip
import os
import tarfile

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.sdist import sdist

FUZZ = bool(os.environ.get("FASTSERVE_FUZZ"))
SANITIZE = FUZZ or bool(os.environ.get("FASTSERVE_SANITIZE"))
DEBUG = SANITIZE or bool(os.environ.get("FASTSERVE_DEBUG"))
KIND = "fuzz" if FUZZ else "sanitize" if SANITIZE else "debug" if DEBUG else "release"

MODULES = [
    "_head", "_parser", "_chunks", "_response", "_deadlines", "_own", "_tally", "_tls", "_channel", "_files",
    "_listing", "_stream", "_reader", "_writer", "_peek", "_peer", "_conn", "_offers", "_timers", "_poller",
    "_lane", "_lead", "_signals", "serving._driver", "rig._answer", "rig._records", "rig._drive",
]

DIRECTIVES = {
    # What the code means: the same in every build.
    "language_level": "3",
    "binding": False,
    "embedsignature": True,
    "wraparound": False,
    "cdivision": True,
    "infer_types": False,
    "auto_pickle": False,
    # What is checked: on where bugs are looked for.
    "boundscheck": DEBUG,
    "initializedcheck": DEBUG,
    "nonecheck": DEBUG,
}

# Cython's own output is not ours to mend; what we write must compile without a word.
WARNINGS = ["-Wall", "-Wextra", "-Werror", "-Wno-unused-parameter", "-Wno-unused-function",
            "-Wno-missing-field-initializers", "-Wno-cast-function-type"]
SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined",
              "-fno-omit-frame-pointer"]

# Python's own flags ask for debug information: four fifths of a wheel, and where it was built.
RELEASE = ["-O3", f"-ffile-prefix-map={os.getcwd()}=.", *([] if os.environ.get("CFLAGS") else ["-g0"])]

compile_args = ["-O0", "-g", "-UNDEBUG", *WARNINGS] if DEBUG else RELEASE
link_args = []
if SANITIZE:
    compile_args += SANITIZERS
if FUZZ:  # the fuzzer brings the sanitizers' runtime along
    compile_args += ["-O1", "-fsanitize=fuzzer-no-link"]
elif SANITIZE:
    link_args += SANITIZERS


class CythonFirst(build_ext):
    """Cython when extensions are built, and not for a source archive or the metadata alone."""

    def run(self):
        import Cython.Compiler.Options
        from Cython.Build import cythonize

        Cython.Compiler.Options.warning_errors = DEBUG
        translated = cythonize(
            self.extensions, build_dir=f"build/{KIND}/cython", compiler_directives=DIRECTIVES)
        for extension, made in zip(self.extensions, translated, strict=True):
            extension.sources = made.sources
        super().run()


class SameOctets(sdist):
    """A source archive that shows no clock, no user and no umask, where SOURCE_DATE_EPOCH is set."""

    def make_archive(self, base_name, format, root_dir=None, base_dir=None, owner=None, group=None):
        epoch = os.environ.get("SOURCE_DATE_EPOCH")
        if format != "gztar" or not epoch:
            return super().make_archive(base_name, format, root_dir, base_dir, owner, group)

        def plain(member):
            member.uid = member.gid = 0
            member.uname = member.gname = ""
            member.mtime = int(epoch)
            member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
            return member

        name = f"{base_name}.tar.gz"
        with (open(name, "wb") as file, gzip.GzipFile("", "wb", 9, file, int(epoch)) as packed,
              tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar):
            tar.add(base_dir, filter=plain)  # what is in a folder is added by name
        return name


setup(
    ext_modules=[
        Extension(
            f"fastserve.{name}",
            [f"fastserve/{name.replace('.', '/')}.pyx"],
            define_macros=[("FASTSERVE_DEBUG", "1")] if DEBUG else [],
            extra_compile_args=compile_args,
            extra_link_args=link_args,
        )
        for name in MODULES
    ],
    cmdclass={"build_ext": CythonFirst, "sdist": SameOctets},
    options={
        # A folder for each kind, so that no object file of one is ever taken for that of another.
        "build": {"build_base": f"build/{KIND}"},
        "build_ext": {"parallel": str(os.cpu_count() or 1)},
    },
)
