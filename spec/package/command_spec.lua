-- The manual page and the completion of the command, held against what the command itself says.
local process = require "spec.support.process"
local package_spec = require "spec.package.support"
local sh, root, build = package_spec.sh, package_spec.root, package_spec.build

local COMMAND <const> = build .. "/bin/memshare"
local MANUAL <const> = root .. "/docs/man/memshare.1"

local function sorted(set)
  local list = {}
  for name in pairs(set) do list[#list + 1] = name end
  table.sort(list)
  return list
end

-- What `--help` lists: its options, its positional arguments in order, its commands.
local function read_help(command)
  local text = sh(root, ("'%s' %s --help"):format(COMMAND, command or ""))
  local help = { options = {}, arguments = {}, commands = {} }
  local list
  for line in text:gmatch "[^\n]+" do
    list = line:match "^(%u%l+):$" or list
    local name = line:match "^   (%S+)"
    if name and list == "Options" then
      help.options[line:match "%-%-[%l%-]+"] = true
    elseif name and list == "Arguments" then
      help.arguments[#help.arguments + 1] = name:gsub("s$", "")
    elseif name and list == "Commands" then
      help.commands[name] = true
    end
  end
  return help
end

-- The manual's sections by their titles.
local function read_manual()
  local text = package_spec.read(MANUAL):gsub("\\%-", "-")
  local sections, body = {}
  for line in text:gmatch "[^\n]+" do
    local title = line:match "^%.SH (.+)"
    if title then
      body = {}
      sections[title] = body
    end
    if body then body[#body + 1] = line end
  end
  for title, lines in pairs(sections) do sections[title] = table.concat(lines, "\n") .. "\n" end
  return sections
end

local function options_in(text)
  local options = {}
  for option in text:gmatch "%-%-[%l%-]+" do options[option] = true end
  return options
end

-- name -> { head, body } of the manual's section COMMANDS.
local function manual_commands(section)
  local commands, current = {}, nil
  for line in (section:gsub("%.TP\n", ".TP ")):gmatch "[^\n]+" do
    local name = line:match "^%.TP \\fB(%l+)\\fR" or line:match "^%.TP %.B (%l+)$"
    if name then
      current = { head = line, body = line }
      commands[name] = current
    elseif current then
      current.body = current.body .. "\n" .. line
    end
  end
  return commands
end

-- What bash offers after these words, the last of which is incomplete.
local function complete(words, env)
  local list = { ("'%s'"):format(COMMAND) }
  for _, word in ipairs(words) do list[#list + 1] = ("'%s'"):format(word) end
  local script = ([[source completions/memshare; COMP_WORDS=(%s); COMP_CWORD=%d; _memshare
    printf '%%s\n' "${COMPREPLY[@]}"]]):format(table.concat(list, " "), #words)
  local directory = process.directory()
  package_spec.write(directory .. "/script", script)
  local out = sh(root, ("bash '%s/script'"):format(directory), env)
  process.remove_directory(directory)
  local offered = {}
  for word in out:gmatch "%S+" do offered[word] = true end
  return offered
end

describe("the manual page", function()
  local sections = read_manual()

  it("is formatted without a complaint", function()
    assert.equal("", sh(root, ("groff -man -ww -Tutf8 -z '%s'"):format(MANUAL)))
  end)

  it("has the commands and their arguments and options that the command has, no others", function()
    local commands = manual_commands(sections.COMMANDS)
    assert.same(sorted(read_help().commands), sorted(commands))
    for name, entry in pairs(commands) do
      local help = read_help(name)
      help.options["--help"] = nil -- said once for all
      assert.same(sorted(help.options), sorted(options_in(entry.body)), name)
      local arguments = {}
      local head = entry.head:gsub("%[?\\fB%-%-[^%]]*%]", "")
      for argument in head:gmatch "\\fI(%u+)\\fR" do
        arguments[#arguments + 1] = argument:lower()
      end
      assert.same(help.arguments, arguments, name)
    end
  end)

  it("has the options that stand anywhere", function()
    assert.same(sorted(read_help().options), sorted(options_in(sections.OPTIONS)))
  end)

  it("names the exit statuses that the documentation names", function()
    for status in package_spec.read(root .. "/docs/cli.md"):gmatch "\n| (%d) | " do
      assert.matches("\n.B " .. status .. "\n", sections["EXIT STATUS"], 1, true)
    end
  end)
end)

describe("the completion of bash", function()
  it("offers the commands that the command has", function()
    assert.same(sorted(read_help().commands), sorted(complete { "" }))
    assert.same({ "dump" }, sorted(complete { "--json", "--dir", "/tmp", "du" }))
  end)

  it("offers the options that stand anywhere, and those of each command", function()
    local help = read_help()
    help.options["-h"] = true
    assert.same(sorted(help.options), sorted(complete { "-" }))
    for name in pairs(help.commands) do
      local own = read_help(name).options
      own["-h"] = true
      if name ~= "run" and name ~= "exec" then -- for others they may stand behind it, too
        for option in pairs(help.options) do own[option] = true end
      end
      assert.same(sorted(own), sorted(complete { name, "-" }), name)
    end
  end)

  it("offers the shares that there are, and files to load and run", function()
    local directory = process.directory()
    local env = { MEMSHARE_DIR = directory .. "/shares", XDG_RUNTIME_DIR = false }
    package_spec.write(directory .. "/first.json", "{}")
    local served <close> = process.spawn(COMMAND,
      { "load", "arena", directory .. "/first.json", "--serve" }, { env = env })
    process.wait(function() return served.log:find "serving" or served.exited end, 20000)
    assert.same({ "arena" }, sorted(complete({ "get", "" }, env)))
    assert.same({ "arena" }, sorted(complete({ "--dir", directory .. "/shares", "watch", "ar" })))
    assert.same({ }, sorted(complete({ "get", "x" }, env)))
    local file = directory .. "/first.json"
    assert.same({ file }, sorted(complete { "load", "arena", directory .. "/f" }))
    assert.same({ file }, sorted(complete { "run", directory .. "/f" }))
    assert.same({ file }, sorted(complete { "run", "script.lua", directory .. "/f" }))
    served:close()
    process.remove_directory(directory)
  end)
end)
