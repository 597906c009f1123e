if(SKBUILD)
  return()  # a wheel holds the extension alone
endif()
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)
if(MINITEN_PROGRAM)
  install(TARGETS miniten_program RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
install(TARGETS miniten EXPORT miniten-targets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY include/miniten DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(EXPORT miniten-targets NAMESPACE miniten:: DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/miniten)
configure_package_config_file(cmake/miniten-config.cmake.in ${CMAKE_CURRENT_BINARY_DIR}/miniten-config.cmake
                              INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/miniten)
write_basic_package_version_file(${CMAKE_CURRENT_BINARY_DIR}/miniten-config-version.cmake COMPATIBILITY SameMinorVersion)
# Relative to the file itself, so that an installed tree can be moved.
file(RELATIVE_PATH pc_to_prefix /prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig /prefix)
configure_file(cmake/miniten.pc.in ${CMAKE_CURRENT_BINARY_DIR}/miniten.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/miniten-config.cmake ${CMAKE_CURRENT_BINARY_DIR}/miniten-config-version.cmake
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/miniten)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/miniten.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
