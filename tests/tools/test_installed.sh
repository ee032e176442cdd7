#!/usr/bin/env bash
# What is installed, under a prefix that is named only then, is enough to build a program with
# pkg-config.  test_installed.sh BUILD-FOLDER
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cmake --install "$1" --prefix "$folder/prefix" >/dev/null
found=$(find "$folder/prefix" -name weir.pc)
export PKG_CONFIG_PATH=${found%/*}${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}
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
# The flags are words.
# shellcheck disable=SC2046
cc -std=gnu17 "$folder/hello.c" -o "$folder/hello" $(pkg-config --cflags --libs --static weir)
"$folder/hello" --routes | grep -q '^GET  *\/hello '
"$folder/prefix/bin/weir" version >/dev/null
