# What `make install` puts where, and the mirror of it in the build tree.
include(CMakePackageConfigHelpers)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/memshare)
set(pkgconfig_dir ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

# The pkg-config file finds its prefix from where it lies, so a tree moved by DESTDIR works as well.
file(RELATIVE_PATH MEMSHARE_PC_PREFIX /${pkgconfig_dir} /)
string(REGEX REPLACE "/$" "" MEMSHARE_PC_PREFIX "${MEMSHARE_PC_PREFIX}")
configure_file(memshare.pc.in memshare.pc @ONLY)
configure_package_config_file(cmake/memshareConfig.cmake.in memshareConfig.cmake
  INSTALL_DESTINATION ${package_dir} PATH_VARS CMAKE_INSTALL_INCLUDEDIR CMAKE_INSTALL_LIBDIR)
write_basic_package_version_file(memshareConfigVersion.cmake COMPATIBILITY SameMinorVersion)

install(TARGETS memshare_shared memshare_static
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(FILES runtime/include/memshare.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/memshare.pc DESTINATION ${pkgconfig_dir})
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/memshareConfig.cmake
  ${CMAKE_CURRENT_BINARY_DIR}/memshareConfigVersion.cmake DESTINATION ${package_dir})

if(TARGET memshare_core)
  set_target_properties(memshare_core PROPERTIES
    LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/${MEMSHARE_LUA_LIBRARIES}/memshare)
  file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/${MEMSHARE_LUA_MODULES} ${CMAKE_BINARY_DIR}/bin)
  file(CREATE_LINK ${CMAKE_CURRENT_SOURCE_DIR}/lua/memshare
    ${CMAKE_BINARY_DIR}/${MEMSHARE_LUA_MODULES}/memshare SYMBOLIC)
  file(CREATE_LINK ${CMAKE_CURRENT_SOURCE_DIR}/bin/memshare ${CMAKE_BINARY_DIR}/bin/memshare
    SYMBOLIC)
  install(TARGETS memshare_core LIBRARY DESTINATION ${MEMSHARE_LUA_LIBRARIES}/memshare)
  install(DIRECTORY lua/memshare DESTINATION ${MEMSHARE_LUA_MODULES} FILES_MATCHING PATTERN "*.lua")
  install(FILES c/memshare_lua.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
  install(PROGRAMS bin/memshare DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
if(TARGET memshare_lua)
  install(TARGETS memshare_lua ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
endif()
