# What `cmake --install` puts down: the library (static, and shared under its soname), its headers,
# pkg-config files, a CMake package and the program. All of it finds itself from where it lies.

include(GNUInstallDirs)

# The pkg-config file finds its prefix from where it lies: `--prefix` is often given only when installing.
file(RELATIVE_PATH WEIR_PC_TO_PREFIX
     ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
set(WEIR_PC_REQUIRES "yyjson yaml-0.1 libcares openssl libnghttp2")
if(WEIR_HAS_IO_URING)
    string(APPEND WEIR_PC_REQUIRES " liburing")
endif()
if(LIBDW_FOUND)
    string(APPEND WEIR_PC_REQUIRES " libdw")
endif()
list(JOIN WEIR_OS_LOCK_FLAGS " " WEIR_OS_LOCK_WORDS)
foreach(file weir.pc weir-static.pc weir-os-locks.pc)
    configure_file(${PROJECT_SOURCE_DIR}/cmake/${file}.in ${PROJECT_BINARY_DIR}/${file} @ONLY)
    install(FILES ${PROJECT_BINARY_DIR}/${file} DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endforeach()

include(CMakePackageConfigHelpers)
set(config_folder ${CMAKE_INSTALL_LIBDIR}/cmake/weir)
configure_package_config_file(
    ${PROJECT_SOURCE_DIR}/cmake/weirConfig.cmake.in ${PROJECT_BINARY_DIR}/weirConfig.cmake
    INSTALL_DESTINATION ${config_folder} PATH_VARS CMAKE_INSTALL_LIBDIR CMAKE_INSTALL_INCLUDEDIR)
# Before 1.0 a minor version may change the API.
write_basic_package_version_file(${PROJECT_BINARY_DIR}/weirConfigVersion.cmake
                                 COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/weirConfig.cmake ${PROJECT_BINARY_DIR}/weirConfigVersion.cmake
        DESTINATION ${config_folder})

if(TARGET weir_shared)
    install(TARGETS weir_shared LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
endif()
install(TARGETS weir weir_os_locks ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/weir DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
        FILES_MATCHING PATTERN "*.h")
if(TARGET weir_program)
    install(TARGETS weir_program RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
# Commands for gdb that show tasks: (gdb) source PREFIX/share/weir/gdb/weir.py
install(FILES ${PROJECT_SOURCE_DIR}/tools/gdb/weir.py DESTINATION ${CMAKE_INSTALL_DATADIR}/weir/gdb)
