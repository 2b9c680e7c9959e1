local process = require "spec.support.process"
local package_spec = require "spec.package.support"
local sh, root, build = package_spec.sh, package_spec.root, package_spec.build

-- What a command needs before it to change its root: nothing for root, else a user namespace; nil
-- where the system allows neither, as in some containers.
local function become_root()
  for _, before in ipairs { "", "unshare --map-root-user " } do
    if pcall(sh, root, before .. "chroot / /bin/true") then return before end
  end
end

describe("the Debian package", function()
  local work, deb, clean, before

  lazy_setup(function()
    work = process.directory()
    sh(work, ("cpack -G DEB --config '%s/CPackConfig.cmake' -B '%s/deb'"):format(build, work))
    deb = sh(work, "ls deb/*.deb"):match "%S+"
    sh(work, ("'%s/spec/package/clean-root' '%s' clean"):format(root, deb))
    clean = work .. "/clean"
    before = become_root()
  end)
  lazy_teardown(function() process.remove_directory(work) end)

  local function dpkg(arguments)
    return sh(work, ("%sdpkg --root=clean --log=/dev/null %s"):format(before, arguments))
  end

  -- The program's own files are at /tmp in the clean root.
  local function inside(line)
    return sh(work, ("%schroot clean /usr/bin/env -i PATH=/usr/bin MEMSHARE_DIR=/tmp/shares %s")
      :format(before, line))
  end

  it("names what it needs at run time", function()
    local depends = sh(work, ("dpkg-deb -f '%s' Depends"):format(deb))
    for name in ("libc6 libuv1 libjansson4 lua5.4 lua-cjson lua-argparse"):gmatch "%S+" do
      assert.matches(name, depends, 1, true)
    end
    assert.equal("memshare\n", sh(work, ("dpkg-deb -f '%s' Package"):format(deb)))
  end)

  it("installs into a root with its dependencies alone, works there, and goes again", function()
    if not before then
      pending "this system lets nobody but root change the root"
      return
    end
    dpkg(("-i '%s'"):format(deb))
    assert.equal("memshare 0.1.0\n", inside "memshare --version")

    package_spec.write(clean .. "/tmp/script.lua", [[
      local memshare = require "memshare"
      local share <close> = assert(memshare.open("own", { round = 7 }))
      print(share.data.round, package.searchpath("memshare", package.path))]])
    assert.equal("7\t/usr/bin/../share/lua/5.4/memshare/init.lua\n",
      inside "memshare run /tmp/script.lua")
    -- Plain Lua finds the module, too.
    assert.equal("7\t/usr/share/lua/5.4/memshare/init.lua\n", inside "lua5.4 /tmp/script.lua")

    -- A program that was built against what was installed, and runs without help from the outside.
    sh(work, ("cc -std=c11 '%s/spec/package/outside.c' -o clean/tmp/outside "
      .. "$(pkg-config --cflags --libs memshare)"):format(root),
      { PKG_CONFIG_PATH = clean .. "/usr/lib/pkgconfig" })
    assert.equal("memshare 0.1.0: round 42\n", inside "/tmp/outside")

    dpkg "--purge memshare"
    assert.equal("", sh(work, "find clean/usr clean/etc clean/var -name '*memshare*'"))
  end)

  it("works where its files are unpacked", function()
    sh(work, ("dpkg-deb -x '%s' unpacked"):format(deb))
    sh(work, ("cc -std=c11 '%s/spec/package/outside.c' -o outside "
      .. "$(pkg-config --cflags --libs memshare)"):format(root),
      { PKG_CONFIG_PATH = work .. "/unpacked/usr/lib/pkgconfig" })
    local env = { LD_LIBRARY_PATH = work .. "/unpacked/usr/lib", MEMSHARE_DIR = work .. "/shares",
      LUA_PATH = false, LUA_CPATH = false }
    assert.equal("memshare 0.1.0: round 42\n", sh(work, "./outside", env))
    assert.equal("memshare 0.1.0\n", sh(work, "unpacked/usr/bin/memshare --version", env))
  end)
end)
