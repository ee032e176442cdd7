# Building for 64-bit ARM on another machine: Debian's cross compiler, the libraries that
# tools/sysroot.sh has unpacked, and qemu to run what was built (`./dev test --arch aarch64` does all).

set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)

get_filename_component(WEIR_SYSROOT ${CMAKE_CURRENT_LIST_DIR}/../build/sysroot-arm64 ABSOLUTE CACHE)
if(NOT IS_DIRECTORY ${WEIR_SYSROOT})
    message(FATAL_ERROR "no libraries to link with: tools/sysroot.sh arm64 ${WEIR_SYSROOT}")
endif()
set(CMAKE_SYSROOT ${WEIR_SYSROOT})
set(CMAKE_LIBRARY_ARCHITECTURE aarch64-linux-gnu)
set(CMAKE_FIND_ROOT_PATH ${WEIR_SYSROOT})
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
set(ENV{PKG_CONFIG_SYSROOT_DIR} ${WEIR_SYSROOT})
set(ENV{PKG_CONFIG_LIBDIR}
    ${WEIR_SYSROOT}/usr/lib/aarch64-linux-gnu/pkgconfig:${WEIR_SYSROOT}/usr/share/pkgconfig)

set(CMAKE_CROSSCOMPILING_EMULATOR
    ${CMAKE_CURRENT_LIST_DIR}/../tools/qemu-aarch64.sh;${WEIR_SYSROOT})
