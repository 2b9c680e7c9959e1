local process = require "spec.support.process"
local package_spec = require "spec.package.support"
local sh, root, build = package_spec.sh, package_spec.root, package_spec.build

local STRICT <const> = "-Wall -Wextra -Wpedantic -Wconversion -Werror"
local SAYS <const> = {
  c = "memshare 0.1.0: round 42\n",
  cpp = "memshare 0.1.0: round 42, heard of it: yes\n",
}
local COMPILE <const> = { c = "cc -std=c11 ", cpp = "c++ -std=c++17 " }

-- Of a CMake project outside: two programs for each of these targets.
local PROGRAMS <const> = [[
set(CMAKE_CXX_STANDARD 17)
add_compile_options(-Wall -Wextra -Wpedantic -Wconversion -Werror)
foreach(kind memshare memshare_static)
  foreach(language c cpp)
    add_executable(${kind}_${language} "%s/spec/package/outside.${language}")
    target_link_libraries(${kind}_${language} PRIVATE memshare::${kind})
  endforeach()
endforeach()
]]

-- The sorted names of a text, one a line.
local function sorted(names)
  table.sort(names)
  return table.concat(names, "\n")
end

-- What memshare.h declares as exported, by its own word for it.
local function declared_names()
  local header = package_spec.read(root .. "/runtime/include/memshare.h")
  header = header:gsub("/%*.-%*/", ""):gsub("#define[^\n]*", "")
  local names = {}
  for declaration in header:gmatch "MS_API([^;]*);" do
    names[#names + 1] = assert(declaration:match "([%w_]+)%s*%(", declaration)
  end
  return names
end

describe("make install", function()
  local work, prefix, env

  lazy_setup(function()
    work = process.directory()
    sh(work, ("cmake --install '%s' --prefix /usr/local"):format(build),
      { DESTDIR = work .. "/dest" })
    prefix = work .. "/dest/usr/local"
    env = {
      PKG_CONFIG_PATH = prefix .. "/lib/pkgconfig",
      LD_LIBRARY_PATH = prefix .. "/lib",
      MEMSHARE_DIR = work .. "/shares",
      LUA_PATH = false,
      LUA_CPATH = false,
    }
  end)
  lazy_teardown(function() process.remove_directory(work) end)

  -- The programs of a project that was built run without any help to find their libraries.
  local function run_programs(directory)
    for _, kind in ipairs { "memshare", "memshare_static" } do
      for language, says in pairs(SAYS) do
        assert.equal(says, sh(directory, ("./%s_%s"):format(kind, language),
          { MEMSHARE_DIR = env.MEMSHARE_DIR }))
      end
    end
  end

  it("puts everything below DESTDIR", function()
    local listed = sh(work, "cd dest/usr/local && find . ! -type d ! -name '*.lua' "
      .. "! -name 'memshareTargets-*.cmake' | sort", { LC_ALL = "C" })
    assert.equal([[
./bin/memshare
./include/memshare.h
./include/memshare.hpp
./include/memshare/callback.hpp
./include/memshare/detail.hpp
./include/memshare/path.hpp
./include/memshare/receipt.hpp
./include/memshare/request.hpp
./include/memshare/runtime.hpp
./include/memshare/share.hpp
./include/memshare/transaction.hpp
./include/memshare/value.hpp
./include/memshare_lua.h
./lib/cmake/memshare/memshareConfig.cmake
./lib/cmake/memshare/memshareConfigVersion.cmake
./lib/cmake/memshare/memshareTargets.cmake
./lib/libmemshare.a
./lib/libmemshare.so
./lib/libmemshare.so.0
./lib/libmemshare.so.0.1.0
./lib/libmemshare_lua.a
./lib/lua/5.4/memshare/core.so
./lib/pkgconfig/memshare.pc
./share/bash-completion/completions/memshare
./share/doc/memshare/copyright
./share/man/man1/memshare.1
]], listed)
  end)

  it("leaves no trace of the machine that it was built on", function()
    local found = sh(work, ("grep -rlF -e '%s' -e '%s' dest --include=*.cmake --include=*.pc "
      .. "--include=*.lua --include=*.h --include=*.hpp || true"):format(root, build))
    assert.equal("", found)
  end)

  it("installs every Lua module of the tree", function()
    local find = "find . -name '*.lua' | sort"
    assert.equal(sh(root .. "/lua", find, { }), sh(prefix .. "/share/lua/5.4", find))
  end)

  it("gives the library a SONAME and exports what memshare.h declares, nothing else", function()
    local lib = "dest/usr/local/lib/libmemshare.so"
    assert.matches("SONAME.*%[libmemshare%.so%.0%]", sh(work, "readelf -d " .. lib))
    local names = {}
    for name in sh(work, ("nm -D --defined-only %s | cut -d' ' -f3"):format(lib)):gmatch "%S+" do
      names[#names + 1] = name
    end
    assert.is_true(#names > 50)
    assert.equal(sorted(declared_names()), sorted(names))
    assert.equal("luaopen_memshare_core\n",
      sh(work, "nm -D --defined-only dest/usr/local/lib/lua/5.4/memshare/core.so | cut -d' ' -f3"))
  end)

  it("serves outside C and C++ programs through pkg-config", function()
    for language, says in pairs(SAYS) do
      sh(work, COMPILE[language] .. STRICT .. (" '%s/spec/package/outside.%s' -o shared "
        .. "$(pkg-config --cflags --libs memshare)"):format(root, language), env)
      assert.equal(says, sh(work, "./shared", env))
    end
    assert.equal("0.1.0\n", sh(work, "pkg-config --modversion memshare", env))
  end)

  it("serves statically linked ones through pkg-config --static", function()
    for language, says in pairs(SAYS) do
      -- Without the shared library in the way, -lmemshare is the static one.
      sh(work, COMPILE[language] .. STRICT .. (" '%s/spec/package/outside.%s' -o static "
        .. "$(pkg-config --cflags memshare) -Wl,-Bstatic -lmemshare -Wl,-Bdynamic "
        .. "$(pkg-config --static --libs memshare | sed 's/-lmemshare//')")
        :format(root, language):gsub("%-lmemshare %-Wl", "-L" .. prefix .. "/lib %0"), env)
      assert.equal(says, sh(work, "LD_LIBRARY_PATH= ./static", env))
      assert.not_matches("libmemshare", sh(work, "readelf -d static"))
    end
  end)

  it("serves an outside CMake project through find_package", function()
    sh(work, "mkdir found")
    package_spec.write(work .. "/found/CMakeLists.txt", ([[
cmake_minimum_required(VERSION 3.18)
project(outside C CXX)
find_package(memshare 0.1 REQUIRED)
]] .. PROGRAMS):format(root))
    sh(work, ("cmake -G Ninja -S found -B found/build -DCMAKE_PREFIX_PATH='%s' "
      .. "&& cmake --build found/build"):format(prefix))
    run_programs(work .. "/found/build")
  end)

  it("is not found as a version that it is not compatible with", function()
    sh(work, "mkdir newer")
    package_spec.write(work .. "/newer/CMakeLists.txt", [[
cmake_minimum_required(VERSION 3.18)
project(newer NONE)
find_package(memshare 0.2 QUIET)
if(memshare_FOUND)
  message(FATAL_ERROR "found ${memshare_VERSION}")
endif()
]])
    sh(work, ("cmake -S newer -B newer/build -DCMAKE_PREFIX_PATH='%s'"):format(prefix))
  end)

  it("serves as a part of an outside CMake project, and leaves the project as it was", function()
    sh(work, "mkdir part")
    package_spec.write(work .. "/part/CMakeLists.txt", ([[
cmake_minimum_required(VERSION 3.18)
project(outside C CXX)
include(FetchContent)
get_cmake_property(before CACHE_VARIABLES)
FetchContent_Declare(memshare SOURCE_DIR "%s")
FetchContent_MakeAvailable(memshare)
get_cmake_property(after CACHE_VARIABLES)
list(REMOVE_ITEM after ${before})
list(FILTER after EXCLUDE REGEX
  "^(MEMSHARE_|memshare_|FETCHCONTENT_|.*_MEMSHARE_DEPS)") # its own names, under which it may
list(FILTER after EXCLUDE REGEX # those of CMake's modules
  "^(pkgcfg_lib_MEMSHARE_|PKG_CONFIG|FIND_PACKAGE_|_GNUInstallDirs|prefix_result)")
list(FILTER after EXCLUDE REGEX "^CMAKE_(INSTALL|HAVE|PROJECT)_")
if(after OR CMAKE_BUILD_TYPE OR CMAKE_C_STANDARD OR CMAKE_EXPORT_COMPILE_COMMANDS)
  message(FATAL_ERROR "set for everybody: ${after}")
endif()
foreach(target sim test_value frameloop bench_updates memshare_core)
  if(TARGET ${target})
    message(FATAL_ERROR "built for nobody: ${target}")
  endif()
endforeach()
]] .. PROGRAMS):format(root, root))
    sh(work, "cmake -G Ninja -S part -B part/build && cmake --build part/build")
    run_programs(work .. "/part/build")
    -- A guest installs nothing of its own.
    sh(work, "cmake --install part/build --prefix part/installed && test ! -e part/installed")
  end)

  it("installs a command that finds its own modules", function()
    package_spec.write(work .. "/script.lua", [[
      local memshare = require "memshare"
      local share <close> = assert(memshare.open("own", { round = 7 }))
      print(share.data.round, package.searchpath("memshare", package.path))]])
    local out = sh(work, "dest/usr/local/bin/memshare --version && "
      .. "dest/usr/local/bin/memshare run script.lua", env)
    assert.equal("memshare 0.1.0\n"
      .. "7\tdest/usr/local/bin/../share/lua/5.4/memshare/init.lua\n", out)
  end)
end)
