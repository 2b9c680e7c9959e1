local process = require "spec.support.process"
local package_spec = require "spec.package.support"
local sh, root, build = package_spec.sh, package_spec.root, package_spec.build

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

  it("puts everything below DESTDIR", function()
    local listed = sh(work, "cd dest/usr/local && find . ! -type d ! -name '*.lua' | sort")
    assert.equal([[
./bin/memshare
./include/memshare.h
./include/memshare_lua.h
./lib/cmake/memshare/memshareConfig.cmake
./lib/cmake/memshare/memshareConfigVersion.cmake
./lib/libmemshare.a
./lib/libmemshare.so
./lib/libmemshare.so.0
./lib/libmemshare.so.0.1.0
./lib/libmemshare_lua.a
./lib/lua/5.4/memshare/core.so
./lib/pkgconfig/memshare.pc
]], listed)
  end)

  it("installs every Lua module of the tree", function()
    local find = "find . -name '*.lua' | sort"
    assert.equal(sh(root .. "/lua", find, { }), sh(prefix .. "/share/lua/5.4", find))
  end)

  it("gives the library a SONAME and exports the public names only", function()
    local lib = "dest/usr/local/lib/libmemshare.so"
    assert.matches("SONAME.*%[libmemshare%.so%.0%]", sh(work, "readelf -d " .. lib))
    local names = sh(work, ("nm -D --defined-only %s | cut -d' ' -f3"):format(lib))
    local count = 0
    for name in names:gmatch "%S+" do
      assert.matches("^ms_", name)
      count = count + 1
    end
    assert.is_true(count > 50)
    assert.equal("luaopen_memshare_core\n",
      sh(work, "nm -D --defined-only dest/usr/local/lib/lua/5.4/memshare/core.so | cut -d' ' -f3"))
  end)

  it("serves an outside C program through pkg-config", function()
    sh(work, ("cc -std=c11 -Wall -Wextra -Werror '%s/spec/package/outside.c' -o shared "
      .. "$(pkg-config --cflags --libs memshare)"):format(root), env)
    assert.matches("^memshare 0%.1%.0: round 42\n$", sh(work, "./shared", env))
    assert.equal("0.1.0\n", sh(work, "pkg-config --modversion memshare", env))
  end)

  it("serves a statically linked one", function()
    sh(work, ("cc -std=c11 -Wall -Wextra -Werror '%s/spec/package/outside.c' -o static "
      .. "$(pkg-config --cflags memshare) '%s/lib/libmemshare.a' "
      .. "$(pkg-config --libs libuv jansson) -pthread"):format(root, prefix), env)
    assert.matches("^memshare 0%.1%.0: round 42\n$", sh(work, "LD_LIBRARY_PATH= ./static", env))
  end)

  it("serves an outside CMake project through find_package", function()
    sh(work, "mkdir project")
    package_spec.write(work .. "/project/CMakeLists.txt", ([[
cmake_minimum_required(VERSION 3.18)
project(outside C)
find_package(memshare 0.1 REQUIRED)
foreach(kind memshare memshare_static)
  add_executable(with_${kind} "%s/spec/package/outside.c")
  target_link_libraries(with_${kind} PRIVATE memshare::${kind})
endforeach()
]]):format(root))
    sh(work, ("cmake -S project -B project/build -DCMAKE_PREFIX_PATH='%s' "
      .. "&& cmake --build project/build"):format(prefix))
    for _, kind in ipairs { "memshare", "memshare_static" } do
      local out = sh(work, "project/build/with_" .. kind, { MEMSHARE_DIR = env.MEMSHARE_DIR })
      assert.equal("memshare 0.1.0: round 42\n", out)
    end
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
