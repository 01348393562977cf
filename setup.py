"""Builds the compiled core: the extensions and their one table of Cython directives.

Everything declarative stands in pyproject.toml. Environment switches (any non-empty value):

FASTSERVE_DEBUG     bounds and None checks, assertions, -O0, warnings of both compilers are errors
FASTSERVE_SANITIZE  the debug build under AddressSanitizer and UndefinedBehaviorSanitizer
FASTSERVE_FUZZ      the sanitizer build, made so that libFuzzer sees what is reached; asks for CC=clang
"""

import os

import Cython.Compiler.Options
from Cython.Build import cythonize
from setuptools import Extension, setup

FUZZ = bool(os.environ.get("FASTSERVE_FUZZ"))
SANITIZE = FUZZ or bool(os.environ.get("FASTSERVE_SANITIZE"))
DEBUG = SANITIZE or bool(os.environ.get("FASTSERVE_DEBUG"))
KIND = "fuzz" if FUZZ else "sanitize" if SANITIZE else "debug" if DEBUG else "release"

MODULES = [
    "_head", "_parser", "_chunks", "_response", "_deadlines", "_own", "_tls", "_channel", "_files",
    "_listing", "_reader", "_writer", "_peek", "_peer", "_conn", "_offers", "_timers", "_poller", "_lane",
    "_lead", "_signals", "serving._driver",
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

compile_args = ["-O0", "-g", "-UNDEBUG", *WARNINGS] if DEBUG else ["-O3"]
link_args = []
if SANITIZE:
    compile_args += SANITIZERS
if FUZZ:  # the fuzzer brings the sanitizers' runtime along
    compile_args += ["-O1", "-fsanitize=fuzzer-no-link"]
elif SANITIZE:
    link_args += SANITIZERS

Cython.Compiler.Options.warning_errors = DEBUG

setup(
    ext_modules=cythonize(
        [
            Extension(
                f"fastserve.{name}",
                [f"fastserve/{name.replace('.', '/')}.pyx"],
                define_macros=[("FASTSERVE_DEBUG", "1")] if DEBUG else [],
                extra_compile_args=compile_args,
                extra_link_args=link_args,
            )
            for name in MODULES
        ],
        build_dir=f"build/{KIND}/cython",
        compiler_directives=DIRECTIVES,
    ),
    # A folder for each kind, so that no object file of one is ever taken for that of another.
    options={"build": {"build_base": f"build/{KIND}"}},
)
