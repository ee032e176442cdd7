#!/usr/bin/env bash
# What is installed, under a prefix that is named only then and by way of DESTDIR, is enough to build
# a program: with pkg-config against the shared library and with the static one inside, and as a
# CMake package; and the shared library can be loaded by a program that runs.
#   test_installed.sh BUILD-FOLDER
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
DESTDIR="$folder" cmake --install "$1" --prefix /prefix >/dev/null
found=$(find "$folder/prefix" -name weir.pc)
export PKG_CONFIG_PATH=${found%/*}${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}
libdir=$(dirname "${found%/*}")
cat >"$folder/hello.c" <<'C'
#include <weir/weir.h>

static int hello(weir_exchange *x)
{
    return weir_reply_text(x, 200, "Hello, World!");
}

int main(int argc, char **argv)
{
    weir_app *app = weir_app_new(.title = "Hello", .version = "7.5");

    weir_get(app, "/hello", hello);
    return weir_main(app, argc, argv);
}
C
cat >"$folder/load.c" <<'C'
#include <dlfcn.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    void *weir = dlopen(argv[argc - 1], RTLD_NOW);
    int (*run)(int (*fn)(void *), void *, const void *);

    if (!weir)
        return printf("%s\n", dlerror()), 1;
    run = (int (*)(int (*)(void *), void *, const void *))dlsym(weir, "weir_run_opt");
    return run ? 0 : 2;
}
C

# runs PROGRAM: it does, and knows its routes.
runs() {
    "$1" --routes | grep -q '^GET  *\/hello '
}

# The flags are words.
# shellcheck disable=SC2046
cc -std=gnu17 "$folder/hello.c" -o "$folder/static" $(pkg-config --cflags --libs weir-static)
runs "$folder/static"
if readelf -d "$folder/static" | grep -q 'NEEDED.*libweir'; then
    echo "the static program needs the shared library"
    exit 1
fi

if [ -e "$libdir/libweir.so" ]; then
    # shellcheck disable=SC2046
    cc -std=gnu17 "$folder/hello.c" -o "$folder/shared" $(pkg-config --cflags --libs weir) \
       -Wl,-rpath,"$libdir"
    runs "$folder/shared"
    readelf -d "$folder/shared" | grep -q 'NEEDED.*\[libweir\.so\.0\.1\]'
    readelf -d "$libdir/libweir.so" | grep -q 'SONAME.*\[libweir\.so\.0\.1\]'
    [ "$(readlink "$libdir/libweir.so.0.1")" = libweir.so.0.1.0 ]
    # What it exports is public, and nothing else is.
    other=$(nm -D --defined-only "$libdir/libweir.so" | awk '$3 !~ /^weir_/ { print $3 }')
    [ -z "$other" ] || { echo "exported: $other"; exit 1; }
    cc "$folder/load.c" -o "$folder/load"
    "$folder/load" "$libdir/libweir.so.0.1"
fi

# The locks of the operating system are noted, in a program with either library.
for library in weir-static $([ -e "$libdir/libweir.so" ] && echo weir); do
    # shellcheck disable=SC2046
    cc -std=gnu17 "$folder/hello.c" -o "$folder/locks" $(pkg-config --cflags --libs "$library" weir-os-locks) \
       -Wl,-rpath,"$libdir"
    runs "$folder/locks"
done

mkdir "$folder/package"
cat >"$folder/package/CMakeLists.txt" <<'CMAKE'
cmake_minimum_required(VERSION 3.25)
project(hello LANGUAGES C)
find_package(weir 0.1 CONFIG REQUIRED)
add_executable(hello ../hello.c)
target_link_libraries(hello PRIVATE weir::weir)
add_executable(hello_static ../hello.c)
target_link_libraries(hello_static PRIVATE weir::static)
add_executable(hello_locks ../hello.c)
target_link_libraries(hello_locks PRIVATE weir::static weir::os_locks)
CMAKE
cmake -S "$folder/package" -B "$folder/package/build" -DCMAKE_PREFIX_PATH="$folder/prefix" >/dev/null
cmake --build "$folder/package/build" >/dev/null
runs "$folder/package/build/hello"
runs "$folder/package/build/hello_static"
runs "$folder/package/build/hello_locks"

"$folder/prefix/bin/weir" version >/dev/null
