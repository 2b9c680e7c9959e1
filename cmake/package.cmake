# `cpack -G DEB --config BUILD/CPackConfig.cmake` makes a Debian package of all that is installed.
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME memshare)
set(CPACK_PACKAGE_VENDOR memshare)
set(CPACK_PACKAGE_CONTACT "memshare <memshare@localhost>")
set(CPACK_PACKAGE_DESCRIPTION "Several processes open the same share, write to it as to a table and see \
each other's writes. One of them keeps order; when it dies another takes over and nothing accepted is lost.")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_RESOURCE_FILE_LICENSE ${PROJECT_SOURCE_DIR}/LICENSE)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION libs)
# The C libraries that it is linked with, in the versions it was built with.
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
# Tells ldconfig of the shared library, and other packages what to depend on.
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
if(TARGET memshare_core)
  set(CPACK_DEBIAN_PACKAGE_DEPENDS "lua5.4, lua-cjson (>= 2.1.0), lua-argparse (>= 0.7.0)")
endif()
# For programs that are built against it.
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "libuv1-dev, libjansson-dev, pkg-config")
include(CPack)
