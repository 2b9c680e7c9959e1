# The build tree as a mirror of what `make install` makes, for the command and the specs.
set_target_properties(memshare_core PROPERTIES
  LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/${MEMSHARE_LUA_LIBRARIES}/memshare)
file(MAKE_DIRECTORY ${PROJECT_BINARY_DIR}/${MEMSHARE_LUA_MODULES} ${PROJECT_BINARY_DIR}/bin)
file(CREATE_LINK ${PROJECT_SOURCE_DIR}/lua/memshare
  ${PROJECT_BINARY_DIR}/${MEMSHARE_LUA_MODULES}/memshare SYMBOLIC)
file(CREATE_LINK ${PROJECT_SOURCE_DIR}/bin/memshare ${PROJECT_BINARY_DIR}/bin/memshare SYMBOLIC)
