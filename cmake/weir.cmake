# Options, flags and the few functions that the build files below use: a folder
# lists its sources, tests and fuzz targets as data.

option(WEIR_TESTS "Build the tests" ON)
option(WEIR_BENCH "Build the benchmarks" ON)
option(WEIR_OS_LOCKS "Link debug builds' programs with what finds a thread's lock held across a wait" ON)
option(WEIR_FUZZ "Build the fuzz targets with libFuzzer (clang)" OFF)
option(WEIR_LTO "Optimise across files when linking (gcc)" OFF)
option(WEIR_WERROR "Make every warning an error" OFF)
option(WEIR_IO_URING "Build the io_uring backend where liburing is found" ON)
option(WEIR_SHARED "Build the shared library too (not with sanitizers)" ON)
option(WEIR_VISIBLE "Build in what shows the runtime at work: recorder, times, watchdog" ON)
set(WEIR_SANITIZE "" CACHE STRING "Sanitizers to build with: address,undefined or thread")

# What a program that is linked with the shared library asks for. Before 1.0 a minor version may
# change the API, so each has a soname of its own: libweir.so.0.1, and from 1.0 on libweir.so.1.
if(PROJECT_VERSION_MAJOR EQUAL 0)
    set(WEIR_SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
else()
    set(WEIR_SOVERSION ${PROJECT_VERSION_MAJOR})
endif()
set(CMAKE_C_STANDARD 17)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_C_VISIBILITY_PRESET hidden)

find_package(PkgConfig REQUIRED)
pkg_check_modules(YYJSON REQUIRED IMPORTED_TARGET yyjson)
pkg_check_modules(YAML REQUIRED IMPORTED_TARGET yaml-0.1)
pkg_check_modules(CARES REQUIRED IMPORTED_TARGET libcares)
pkg_check_modules(OPENSSL REQUIRED IMPORTED_TARGET openssl>=3.0)
pkg_check_modules(NGHTTP2 REQUIRED IMPORTED_TARGET libnghttp2>=1.52)
find_package(Threads REQUIRED)
pkg_check_modules(UV IMPORTED_TARGET libuv>=1.0) # only an example and a test live in it
# Found or left out; 2.3 is the first with all that is used.
if(WEIR_IO_URING)
    pkg_check_modules(URING IMPORTED_TARGET liburing>=2.3)
    set(WEIR_HAS_IO_URING ${URING_FOUND})
endif()

# Found or left out: without it the stacks of tasks are followed and named less well.
pkg_check_modules(LIBDW IMPORTED_TARGET libdw>=0.170)

# Found or left out: the probes for tools that look from outside.
include(CheckIncludeFile)
check_include_file(sys/sdt.h WEIR_HAVE_SDT_H)

add_library(weir_flags INTERFACE)
target_include_directories(weir_flags INTERFACE ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}/src)
target_compile_definitions(weir_flags INTERFACE _GNU_SOURCE WEIR_VERSION="${PROJECT_VERSION}")
target_compile_options(weir_flags INTERFACE
    -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wvla
    -fno-omit-frame-pointer -funwind-tables -ftls-model=initial-exec
    -ffile-prefix-map=${PROJECT_SOURCE_DIR}/=)
# Valgrind's header alone: it tells Valgrind of the tasks' stacks.
check_include_file(valgrind/valgrind.h WEIR_HAVE_VALGRIND_H)
if(WEIR_HAVE_VALGRIND_H)
    target_compile_definitions(weir_flags INTERFACE WEIR_VALGRIND)
endif()
if(WEIR_HAVE_SDT_H)
    target_compile_definitions(weir_flags INTERFACE WEIR_HAS_SDT)
endif()
if(NOT WEIR_VISIBLE)
    target_compile_definitions(weir_flags INTERFACE WEIR_INVISIBLE)
endif()
if(WEIR_WERROR)
    target_compile_options(weir_flags INTERFACE -Werror)
endif()
# The hot paths cross the layers' files; the objects can also be linked without.
if(WEIR_LTO)
    target_compile_options(weir_flags INTERFACE -flto=auto -ffat-lto-objects)
    target_link_options(weir_flags INTERFACE -flto=auto)
endif()
if(WEIR_SANITIZE)
    target_compile_options(weir_flags INTERFACE -fsanitize=${WEIR_SANITIZE} -fno-sanitize-recover=all)
    target_link_options(weir_flags INTERFACE -fsanitize=${WEIR_SANITIZE})
endif()

if(WEIR_FUZZ)
    target_compile_options(weir_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()
add_custom_target(weir_fuzzers COMMENT "All fuzz targets")

# What the tests and examples of debug builds are linked with besides.
if(WEIR_OS_LOCKS AND CMAKE_BUILD_TYPE STREQUAL "Debug" AND NOT WEIR_FUZZ)
    set(WEIR_CHECK_LIBS weir_os_locks)
endif()

# The sources of one layer, relative to its folder, become part of libweir.
function(weir_layer)
    if(NOT ARGN)
        return()
    endif()
    list(TRANSFORM ARGN PREPEND ${CMAKE_CURRENT_SOURCE_DIR}/)
    target_sources(weir PRIVATE ${ARGN})
endfunction()

# weir_test(name source... [TIMEOUT seconds] [LABELS label...]): a cmocka program;
# each runs in its own process. The folder's name is a label too.
function(weir_test name)
    get_filename_component(folder ${CMAKE_CURRENT_SOURCE_DIR} NAME)
    cmake_parse_arguments(T "" "TIMEOUT" "LABELS;LIBS;ARGS" ${ARGN})
    add_executable(test_${name} ${T_UNPARSED_ARGUMENTS})
    target_link_libraries(test_${name} PRIVATE weir weir_flags cmocka ${T_LIBS} ${WEIR_CHECK_LIBS})
    target_include_directories(test_${name} PRIVATE ${PROJECT_SOURCE_DIR}/tests)
    add_test(NAME ${name} COMMAND test_${name} ${T_ARGS})
    if(NOT T_TIMEOUT)
        set(T_TIMEOUT 60)
    endif()
    if(CMAKE_CROSSCOMPILING)
        math(EXPR T_TIMEOUT "4 * ${T_TIMEOUT}") # under an emulator
    endif()
    set_tests_properties(${name} PROPERTIES TIMEOUT ${T_TIMEOUT} LABELS "${folder};${T_LABELS}")
endfunction()

# weir_fuzz(name source...): with WEIR_FUZZ a libFuzzer program; always a test that
# replays the corpus in tests/fuzz/corpus/<name>.
function(weir_fuzz name)
    add_executable(fuzz_${name} ${ARGN})
    target_link_libraries(fuzz_${name} PRIVATE weir weir_flags)
    add_dependencies(weir_fuzzers fuzz_${name})
    set_target_properties(fuzz_${name} PROPERTIES
        RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests/fuzz)
    if(WEIR_FUZZ)
        target_compile_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
        target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
    else()
        target_sources(fuzz_${name} PRIVATE ${PROJECT_SOURCE_DIR}/tests/fuzz/replay.c)
        add_test(NAME fuzz_${name}_corpus
                 COMMAND fuzz_${name} ${PROJECT_SOURCE_DIR}/tests/fuzz/corpus/${name})
        set_tests_properties(fuzz_${name}_corpus PROPERTIES TIMEOUT 60)
    endif()
endfunction()
