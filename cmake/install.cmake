# What `make install` puts where.
include(CMakePackageConfigHelpers)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/memshare)
set(pkgconfig_dir ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

# The pkg-config file finds its prefix from where it lies, so a tree moved by DESTDIR works as well.
file(RELATIVE_PATH MEMSHARE_PC_PREFIX /${pkgconfig_dir} /)
string(REGEX REPLACE "/$" "" MEMSHARE_PC_PREFIX "${MEMSHARE_PC_PREFIX}")
configure_file(memshare.pc.in memshare.pc @ONLY)
configure_package_config_file(cmake/memshareConfig.cmake.in memshareConfig.cmake
  INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(memshareConfigVersion.cmake COMPATIBILITY SameMinorVersion)

set(libraries memshare_shared memshare_static)
if(TARGET memshare_lua)
  list(APPEND libraries memshare_lua)
endif()
install(TARGETS ${libraries} EXPORT memshareTargets
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
  INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(EXPORT memshareTargets NAMESPACE memshare:: DESTINATION ${package_dir})
install(FILES runtime/include/memshare.h runtime/include/memshare.hpp
  DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(DIRECTORY runtime/include/memshare DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/memshare.pc DESTINATION ${pkgconfig_dir})
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/memshareConfig.cmake
  ${CMAKE_CURRENT_BINARY_DIR}/memshareConfigVersion.cmake DESTINATION ${package_dir})
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR} RENAME copyright)

if(TARGET memshare_core)
  install(TARGETS memshare_core LIBRARY DESTINATION ${MEMSHARE_LUA_LIBRARIES}/memshare)
  install(DIRECTORY lua/memshare DESTINATION ${MEMSHARE_LUA_MODULES} FILES_MATCHING PATTERN "*.lua")
  install(FILES c/memshare_lua.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
  install(PROGRAMS bin/memshare DESTINATION ${CMAKE_INSTALL_BINDIR})
  install(FILES docs/man/memshare.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
  install(FILES completions/memshare
    DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
endif()
