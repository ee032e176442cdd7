# What `cmake --install` puts down: the library, its headers, a pkg-config file and the program.

include(GNUInstallDirs)

# The pkg-config file finds its prefix from where it lies: `--prefix` is often given only when installing.
file(RELATIVE_PATH WEIR_PC_TO_PREFIX
     ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
set(WEIR_PC_REQUIRES "yyjson yaml-0.1 libcares")
if(WEIR_HAS_IO_URING)
    string(APPEND WEIR_PC_REQUIRES " liburing")
endif()
configure_file(${PROJECT_SOURCE_DIR}/cmake/weir.pc.in ${PROJECT_BINARY_DIR}/weir.pc @ONLY)

install(TARGETS weir ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/weir DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
        FILES_MATCHING PATTERN "*.h")
install(FILES ${PROJECT_BINARY_DIR}/weir.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
if(TARGET weir_program)
    install(TARGETS weir_program RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
