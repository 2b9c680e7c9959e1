local example = require "spec.support.example"
local package_spec = require "spec.package.support"
local sh, root = package_spec.sh, package_spec.root

describe("memshare.hpp", function()
  it("seats the processes of its example without giving a seat twice", function()
    local stage <close> = example.stage()
    local program = example.build .. "/examples/cpp/lobby"
    local players <const> = { "ada", "bob", "eve" }
    local children, taken = {}, {}
    for _, name in ipairs(players) do children[name] = stage:start(program, name, "3") end
    for name, child in pairs(children) do
      local out = example.wait_end(child)
      local seat = out:match(name .. " has seat (%d)\n")
      assert.is_nil(taken[seat])
      taken[seat] = name
      for _, other in ipairs(players) do
        if other ~= name then assert.matches(other .. " sits down\n", out, 1, true) end
      end
      assert.matches("all 3 are ready\n$", out)
    end
    assert.truthy(taken["1"] and taken["2"] and taken["3"])
  end)

  it("compiles without exceptions, with the warnings of a strict program", function()
    for _, compiler in ipairs { "c++ -std=c++17", "c++ -std=c++20" } do
      sh(root, ("echo '#include <memshare.hpp>' | %s -x c++ -fno-exceptions -fno-rtti -Wall "
        .. "-Wextra -Wpedantic -Wshadow -Wconversion -Wold-style-cast -Werror -Iruntime/include "
        .. "-fsyntax-only -"):format(compiler))
    end
  end)

  it("has parts that each compile alone", function()
    for name in sh(root, "ls runtime/include/memshare"):gmatch "%S+" do
      sh(root, ("echo '#include <memshare/%s>' | c++ -std=c++17 -x c++ -Wall -Wextra -Wpedantic "
        .. "-Wshadow -Wconversion -Werror -Iruntime/include -fsyntax-only -"):format(name))
    end
  end)

  it("leaves memshare.h a header of C11 and of C++11", function()
    for _, compiler in ipairs { "cc -std=c11 -x c", "c++ -std=c++11 -x c++" } do
      sh(root, ("echo '#include <memshare.h>' | %s -Wall -Wextra -Wpedantic -Wshadow -Wconversion "
        .. "-Werror -Iruntime/include -fsyntax-only -"):format(compiler))
    end
  end)
end)
