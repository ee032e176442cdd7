#!/usr/bin/env bash
# The mirror of a release is found in either form of apt's source files, and only there.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../../tools/install.sh"
apt_folder=$(mktemp -d)
trap 'rm -rf "$apt_folder"' EXIT
mkdir "$apt_folder/sources.list.d"
failed=0

# expect NAME WANTED GOT
expect() {
    [ "$2" = "$3" ] && return
    printf '%s: wanted "%s", got "%s"\n' "$1" "$2" "$3"
    failed=1
}

expect "no sources" "" "$(source_in_lists here)$(source_in_stanzas here)"

cat >"$apt_folder/sources.list" <<'TEXT'
# deb http://mirror.example/commented here main
deb-src http://mirror.example/source here main
deb http://mirror.example/later here-updates main
  deb   [arch=amd64 signed-by=/keys/a.gpg]   http://mirror.example/debian   here   main contrib
deb http://mirror.example/second here main
TEXT
expect "one line" "http://mirror.example/debian	arch=amd64 signed-by=/keys/a.gpg" "$(source_in_lists here)"
expect "one line, plain" "http://mirror.example/later	" "$(source_in_lists here-updates)"
expect "one line, absent" "" "$(source_in_lists elsewhere)"

cat >"$apt_folder/sources.list.d/a.sources" <<'TEXT'
Types: deb-src
URIs: http://mirror.example/source
Suites: here
Components: main

Enabled: no
Types: deb
URIs: http://mirror.example/off
Suites: here
Components: main

# a comment
Types: deb deb-src
# another
URIs: http://mirror.example/debian http://mirror.example/spare
Suites: there here
 here-updates
Components: main
Signed-By: /keys/b.gpg
TEXT
printf 'types: deb\nuris: mirror+file:/lists/a\nsuites: last\nsigned-by:\n -----BEGIN PGP-----\n .\n' \
    >"$apt_folder/sources.list.d/b.sources"
expect "stanza" "http://mirror.example/debian	signed-by=/keys/b.gpg" "$(source_in_stanzas here)"
expect "stanza, folded" "http://mirror.example/debian	signed-by=/keys/b.gpg" "$(source_in_stanzas here-updates)"
expect "stanza, key inside" "mirror+file:/lists/a	" "$(source_in_stanzas last)"
expect "stanza, absent" "" "$(source_in_stanzas elsewhere)"

expect "unknown purpose" 1 "$(main nothing >/dev/null 2>&1 && echo 0 || echo 1)"
exit $failed
