#!/usr/bin/env bash
# Installs with apt what a purpose needs and this machine lacks; asks for nothing, and does
# nothing at all where everything is there.
#
#   tools/install.sh PURPOSE...      build | test | lint | sanitize | bench | valgrind | cross |
#                                    conformance | components
#
# libyyjson is the one package that a supported release (Debian 12) lacks. There it is taken from
# the next Debian release, from the mirror that the machine already uses, with package lists and
# archives in a temporary folder: the machine's own sources, lists and pins stay as they are, so
# no other package can move to that release.
set -euo pipefail
umask 022
apt_folder=/etc/apt

packages_for() {
    case $1 in
    build) echo gcc libc6-dev cmake ninja-build pkg-config libssl-dev libnghttp2-dev libc-ares-dev \
                libyaml-dev zlib1g-dev libyyjson-dev liburing-dev libdw-dev \
                systemtap-sdt-dev ;;
    test) echo libcmocka-dev libuv1-dev curl openssl python3 gdb ;;
    lint) echo clang-19 clang-tidy-19 clang-format-19 g++ binutils python3 git ;;
    sanitize) echo clang-19 libclang-rt-19-dev llvm-19 ;;
    bench) echo valgrind wrk python3 nginx-light nghttp2-client nghttp2-server openssl ;;
    valgrind) echo valgrind python3 ;;
    cross) echo gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user ;;
    # Go, cargo and node are taken as they are: the distribution's are too old.
    conformance) echo nghttp2-server openssl git python3 python3-venv ;;
    components) echo nghttp2-client nghttp2-server nginx-light haproxy curl openssl testssl.sh \
                     bsdextrautils python3 python3-venv ;;
    *)  echo "tools/install.sh: no purpose '$1': give build, test, lint, sanitize, bench, valgrind," \
             "cross, conformance or components" >&2
        return 1 ;;
    esac
}

installed() {
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null || true)" = installed ]
}

# What is missing for the given purposes, one name a line, each once.
missing_for() {
    local purpose package
    for purpose in "$@"; do
        for package in $(packages_for "$purpose"); do
            installed "$package" || echo "$package"
        done
    done | sort -u
}

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        echo "tools/install.sh: neither root nor sudo here: run as root: $*" >&2
        return 1
    fi
}

apt_quiet() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o Dpkg::Use-Pty=0 \
        -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 "$@"
}

in_own_release() {
    apt-cache policy "$1" 2>/dev/null | grep 'Candidate:' | grep -qv '(none)'
}

# "URI<tab>options" of the machine's own binary source for release $1, from one-line .list files.
source_in_lists() {
    local sources=() file
    for file in "$apt_folder"/sources.list "$apt_folder"/sources.list.d/*.list; do
        [ -r "$file" ] && sources+=("$file")
    done
    [ ${#sources[@]} -gt 0 ] || return 0
    awk -v suite="$1" '
        $1 == "deb" {
            line = $0; options = ""
            sub(/^[ \t]*deb[ \t]+/, "", line)
            if (match(line, /^\[[^]]*\][ \t]*/)) {
                options = substr(line, 2, RLENGTH - 1)
                sub(/\].*/, "", options)
                line = substr(line, RSTART + RLENGTH)
            }
            split(line, word, /[ \t]+/)
            if (word[2] == suite) { print word[1] "\t" options; exit }
        }' "${sources[@]}"
}

# The same from deb822 .sources files: stanzas between empty lines, fields in any order and case.
source_in_stanzas() {
    local sources=() file
    for file in "$apt_folder"/sources.list.d/*.sources; do
        [ -r "$file" ] && sources+=("$file")
    done
    [ ${#sources[@]} -gt 0 ] || return 0
    awk -v suite="$1" '
        function end_stanza() {
            if ((" " field["types"] " ") ~ / deb / && field["enabled"] != "no" && !found &&
                index(" " field["suites"] " ", " " suite " ")) {
                split(field["uris"], uri, " ")
                options = field["signed-by"] ~ /^\// ? "signed-by=" field["signed-by"] : ""
                if (field["trusted"] == "yes") options = options " trusted=yes"
                print uri[1] "\t" options
                found = 1
            }
            delete field
            name = ""
        }
        FNR == 1 { end_stanza() }
        /^#/ { next }
        /^[ \t]*$/ { end_stanza(); next }
        /^[ \t]/ { value = $0; gsub(/^[ \t]+|[ \t\r]+$/, "", value)
                   field[name] = field[name] " " value; sub(/^ /, "", field[name]); next }
        { name = tolower($0); sub(/[ \t]*:.*/, "", name); value = $0; sub(/^[^:]*:[ \t]*/, "", value)
          gsub(/[ \t\r]+$/, "", value); gsub(/\t/, " ", value); field[name] = value }
        END { end_stanza() }' "${sources[@]}"
}

next_release() {
    case $1 in
    bookworm) echo trixie ;;
    *)  echo "tools/install.sh: this release ($1) has no libyyjson-dev, and no later one is known" \
             "that has it: install yyjson 0.10 or later by hand, with its pkg-config file" >&2
        return 1 ;;
    esac
}

# Runs in a subshell, so that its trap removes the folder however it ends.
install_from_next_release() (
    local release next source uri options keyring dir
    release=$(. /etc/os-release && echo "${VERSION_CODENAME:-unknown}")
    next=$(next_release "$release")
    source=$(source_in_lists "$release")
    [ -n "$source" ] || source=$(source_in_stanzas "$release")
    if [ -z "$source" ]; then
        echo "tools/install.sh: no apt source for $release under $apt_folder: cannot tell which" \
             "mirror to ask for $*: add the release's own source, or install $* by hand" >&2
        return 1
    fi
    uri=${source%%$'\t'*}
    options=${source#*$'\t'}
    if [[ $options != *signed-by=* ]]; then
        keyring=$(dpkg -L debian-archive-keyring 2>/dev/null |
                  grep '/debian-archive-keyring\.\(gpg\|pgp\)$' | head -n 1 || true)
        [ -z "$keyring" ] || options="signed-by=$keyring $options"
    fi
    echo "install: $*: from $next, the release after $release, by way of a temporary package list"

    dir=$(mktemp -d)
    trap 'rm -rf "$dir"' EXIT
    mkdir -p "$dir/lists/partial" "$dir/cache/archives/partial"
    echo "deb ${options:+[$options] }$uri $next main" >"$dir/source.list"
    local apt=(apt-get -q -o Dir::Etc::sourcelist="$dir/source.list" -o Dir::Etc::sourceparts=-
               -o Dir::State::lists="$dir/lists" -o Dir::Cache="$dir/cache" -o APT::Default-Release=
               -o APT::Sandbox::User= -o Acquire::Languages=none
               -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false -o Acquire::Retries=3)
    cd "$dir"
    "${apt[@]}" update
    "${apt[@]}" download "$@"
    as_root dpkg -i "$dir"/*.deb
)

main() {
    local missing own=() next=() package
    [ $# -gt 0 ] || { packages_for ''; return 1; }
    for package in "$@"; do
        packages_for "$package" >/dev/null || return 1
    done
    if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
        echo "install: no apt on this machine: what is needed has to be there already:" >&2
        for package in "$@"; do echo "    $package: $(packages_for "$package")" >&2; done
        return 0
    fi
    missing=$(missing_for "$@")
    [ -n "$missing" ] || return 0
    echo "install: for $*: " $missing
    apt_quiet update >/dev/null ||
        echo "install: apt-get update reported a fault; going on with the lists that are there" >&2
    for package in $missing; do
        if [ "$package" = libyyjson-dev ] && ! in_own_release "$package"; then
            next+=(libyyjson0 libyyjson-dev)
        else
            own+=("$package")
        fi
    done
    if [ ${#own[@]} -gt 0 ]; then
        apt_quiet install --no-install-recommends "${own[@]}" >&2
    fi
    if [ ${#next[@]} -gt 0 ]; then
        install_from_next_release "${next[@]}"
    fi
}

# A test takes the functions without running them.
[ "${BASH_SOURCE[0]}" != "$0" ] || main "$@"
