#!/usr/bin/env bash
# The libraries that weir needs, of another architecture, unpacked into a folder:
#
#   tools/sysroot.sh ARCHITECTURE FOLDER        for instance: arm64 build/sysroot-arm64
#
# They come from the mirror of this machine's own release, by way of package lists in a temporary
# folder: nothing is installed here, and the machine's own lists and architectures stay as they are.
# A folder that is complete is left as it is.
set -euo pipefail
umask 022
. "$(dirname "${BASH_SOURCE[0]}")/install.sh"

packages="libc6-dev libssl-dev libnghttp2-dev libc-ares-dev liburing-dev libyaml-dev zlib1g-dev
          libyyjson-dev libcmocka-dev"

# The release's own source, and the next release's, which has what it lacks (see install.sh).
sources_for() {
    local release=$1 next source uri options
    source=$(source_in_lists "$release")
    [ -n "$source" ] || source=$(source_in_stanzas "$release")
    [ -n "$source" ] || {
        echo "tools/sysroot.sh: no apt source for $release under $apt_folder: cannot tell which" \
             "mirror to ask" >&2
        return 1
    }
    uri=${source%%$'\t'*}
    options=$(sed 's/arch=[^ ]*//' <<<"${source#*$'\t'}")
    echo "deb ${options:+[$options] }$uri $release main"
    next=$(next_release "$release" 2>/dev/null) || return 0
    echo "deb [signed-by=$(dpkg -L debian-archive-keyring | grep -m1 'archive-keyring\.\(gpg\|pgp\)$')]" \
         "$uri $next main"
}

# An absolute link leads out of the folder: lead it back in.
mend_links() {
    local link target
    find "$1" -type l -lname '/*' | while read -r link; do
        target=$(readlink "$link")
        ln -sfn "$(realpath -ms --relative-to="$(dirname "$link")" "$1$target")" "$link"
    done
}

unpack() (
    local architecture=$1 folder=$2 release dir package
    release=$(. /etc/os-release && echo "${VERSION_CODENAME:-unknown}")
    dir=$(mktemp -d)
    trap 'rm -rf "$dir"' EXIT
    mkdir -p "$dir/lists/partial" "$dir/cache/archives/partial"
    : >"$dir/status"
    sources_for "$release" >"$dir/sources.list"
    local apt=(apt-get -q -y -o Dir::Etc::sourcelist="$dir/sources.list" -o Dir::Etc::sourceparts=-
               -o Dir::State::lists="$dir/lists" -o Dir::State::status="$dir/status"
               -o Dir::State::extended_states="$dir/extended"
               -o Dir::Cache="$dir/cache" -o APT::Architecture="$architecture"
               -o APT::Architectures="$architecture" -o APT::Default-Release="$release"
               -o APT::Sandbox::User= -o Acquire::Languages=none -o Debug::NoLocking=1
               -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false -o Acquire::Retries=3)
    "${apt[@]}" update
    # shellcheck disable=SC2086  # words
    "${apt[@]}" install --download-only --no-install-recommends $packages
    rm -rf "$folder.part"
    mkdir -p "$folder.part"
    for package in "$dir"/cache/archives/*.deb; do
        dpkg-deb -x "$package" "$folder.part"
    done
    mend_links "$folder.part"
    rm -rf "$folder"
    mv "$folder.part" "$folder"
)

main_sysroot() {
    [ $# = 2 ] || { sed -n '2,9s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2; return 1; }
    [ ! -d "$2" ] || return 0
    echo "sysroot: the libraries of $1 into $2"
    mkdir -p "$(dirname "$2")"
    unpack "$1" "$2" >"$2.log" 2>&1 & # as a job of its own, so that a failure in it ends it
    wait $! || {
        tail -n 20 "$2.log" >&2
        echo "tools/sysroot.sh: $2 could not be made: see above, and $2.log" >&2
        return 1
    }
}

[ "${BASH_SOURCE[0]}" != "$0" ] || main_sysroot "$@"
