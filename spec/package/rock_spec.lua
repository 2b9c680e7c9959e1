local cjson = require "cjson"
local process = require "spec.support.process"
local package_spec = require "spec.package.support"
local sh, root, build = package_spec.sh, package_spec.root, package_spec.build

local ROCKSPEC <const> = "memshare-scm-1.rockspec"

local function read_rockspec()
  local spec = {}
  assert(loadfile(root .. "/" .. ROCKSPEC, "t", spec))()
  return spec
end

local function lines(text)
  local list = {}
  for line in text:gmatch "[^\n]+" do list[#list + 1] = line end
  table.sort(list)
  return list
end

describe("the rockspec", function()
  it("compiles the files that CMake compiles", function()
    local compiled = {}
    for _, entry in ipairs(cjson.decode(package_spec.read(build .. "/compile_commands.json"))) do
      local source = entry.file:sub(#root + 2)
      local is_ours = source:match "^runtime/src/" or source:match "^c/[^/]*%.c$"
      if entry.file:sub(1, #root + 1) == root .. "/" and is_ours then
        compiled[source] = true
      end
    end
    local sources = {}
    for source in pairs(compiled) do sources[#sources + 1] = source end
    local listed = { table.unpack(read_rockspec().build.modules["memshare.core"].sources) }
    table.sort(sources)
    table.sort(listed)
    assert.same(sources, listed)
  end)

  it("installs every Lua module of the tree under its name", function()
    local expected, listed = {}, {}
    for _, path in ipairs(lines(sh(root .. "/lua", "find memshare -name '*.lua'"))) do
      expected[path:gsub("%.lua$", ""):gsub("/init$", ""):gsub("/", ".")] = "lua/" .. path
    end
    for name, path in pairs(read_rockspec().build.modules) do
      if type(path) == "string" then listed[name] = path end
    end
    assert.same(expected, listed)
  end)
end)

describe("luarocks make #rock", function()
  local work, tree, env

  lazy_setup(function()
    work = process.directory()
    tree = work .. "/tree"
    -- LuaRocks compiles beside the sources, so it gets a copy of them.
    sh(work, ("mkdir source && cd '%s' && cp -R --parents %s lua bin c/*.[ch] runtime/include "
      .. "runtime/src '%s/source'"):format(root, ROCKSPEC, work))
    -- Debian's packages are the dependencies; nothing is fetched.
    package_spec.write(work .. "/config.lua",
      [[rocks_provided = { ["lua-cjson"] = "2.1.0-1", argparse = "0.7.1-1" }]])
    sh(work .. "/source", ("luarocks --lua-version=5.4 --tree '%s' make"):format(tree),
      { LUAROCKS_CONFIG = work .. "/config.lua", LUA_PATH = false, LUA_CPATH = false })
    env = { MEMSHARE_DIR = work .. "/shares", LUA_PATH = false, LUA_CPATH = false }
  end)
  lazy_teardown(function() process.remove_directory(work) end)

  it("installs a command that works from anywhere", function()
    assert.equal("memshare 0.1.0\n", sh(work, "tree/bin/memshare --version", env))
    package_spec.write(work .. "/script.lua", [[
      local memshare = require "memshare"
      local share <close> = assert(memshare.open("own", { round = 7 }))
      share:set("round", share:get "round" + 1)
      assert(share:flush(5))
      print(share:get "round")]])
    assert.equal("8\n", sh(work, "tree/bin/memshare run script.lua", env))
  end)

  it("installs modules that plain Lua finds", function()
    local found = sh(work, [[eval "$(luarocks --lua-version=5.4 --tree tree path)"
      lua5.4 -e 'print(require("memshare")._VERSION)']], env)
    assert.equal("memshare 0.1.0\n", found)
  end)

  it("passes the specs of the command and of sharing", function()
    local out = sh(root, "lua5.4 /usr/bin/busted --ignore-lua -f spec/package/rock.busted "
      .. "-o plainTerminal spec/command spec/cluster/sharing_spec.lua",
      { ROCK_TREE = tree, MEMSHARE_COMMAND = tree .. "/bin/memshare",
        LUA_PATH = ";;", LUA_CPATH = ";;" })
    assert.matches("%d+ successes / 0 failures / 0 errors", out)
  end)
end)
