---memshare exec NAME PROGRAM [ARGUMENT...]
local output = require "memshare.cli.output"
local session = require "memshare.cli.session"

local M = { summary = "Run a command as a peer: its presence stands in the share while it runs." }

function M.describe(parser)
  parser:argument("name", "The share."):convert(function(name)
    if name == "-h" or name == "--help" then
      print(parser:get_help())
      os.exit(0)
    elseif name:sub(1, 1) == "-" then
      return nil, ("options of memshare stand before exec: memshare %s exec NAME"):format(name)
    end
    return name
  end)
  parser:argument("program", "What to run.")
  parser:argument("arguments", "Handed to it."):args "*"
  -- Whatever follows PROGRAM belongs to it, options included.
  parser:handle_options(false)
end

local function quote(text) return "'" .. text:gsub("'", [['\'']]) .. "'" end

function M.run(args)
  -- The environment of the command is that of a shell line, which sets what is new.
  local share <close> = session.open(args.name, args)
  local words = { quote(args.program) }
  for _, argument in ipairs(args.arguments) do words[#words + 1] = quote(argument) end
  share:batch(function()
    share.me.command = table.concat({ args.program, table.unpack(args.arguments) }, " ")
  end)
  if not share:flush(args.timeout) then
    output.fail(("%s: the presence of the command was not accepted in time"):format(args.name))
  end
  local line = ("MEMSHARE_SHARE=%s MEMSHARE_PEER=%s "):format(quote(args.name), quote(share.id))
  if args.dir then line = ("MEMSHARE_DIR=%s "):format(quote(args.dir)) .. line end
  -- The script waits in here; the runtime goes on by itself.
  local _, how, number = os.execute(line .. "exec " .. table.concat(words, " "))
  return how == "signal" and 128 + number or number
end

return M
