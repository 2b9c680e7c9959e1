-- luacheck: ignore 212 (arguments are named for their annotations)
---@meta memshare.core
--- What the C module exports, for the Lua language server. Scripts use `require "memshare"`.
---
--- A caller's mistake raises at the caller's line, the message ending in " (ECODE)"; what the world
--- does returns nil, message, code.

---@class memshare.core
---@field version string of the library, such as "0.1.0"
---@field null lightuserdata the null of JSON and MongoDB; lua-cjson's `null`
local core = {}

---A dotted path (MongoDB's: indexes from 0) or a list of keys (Lua's: indexes from 1).
---@alias memshare.Path string | (string|integer)[]

---@class memshare.OpenOptions
---@field dir? string where the group's files lie
---@field timeout? number seconds to wait for: open, close, flush, sync, wait (5)
---@field write_timeout? number seconds a write waits for room in the queue (5; 0 never waits)
---@field host_timeout? number seconds after which a host that hangs is replaced (2)
---@field readonly? boolean
---@field can_host? boolean (true) false: never host, and do not keep the share alive
---@field must_exist? boolean ENOENT instead of founding a new share
---@field merge_defaults? boolean add missing top-level keys to a share that exists
---@field max_document? integer bytes
---@field max_patch? integer bytes
---@field max_queue? integer patches that are not settled
---@field max_writers? integer of a new share: how many may write; EDENIED for a further peer
---@field roles? string[] what this peer is, for share:grant: at most 16, of 1 to 64 bytes

---Open a share: join its group, or found it with `defaults` as its document.
---@param name string
---@param defaults? table
---@param options? memshare.OpenOptions
---@return memshare.Share? share
---@return string? message
---@return string? code
function core.open(name, defaults, options) end

---A share that is not started: `share:start()` does the rest of `open`.
---@param name string
---@param defaults? table
---@param options? memshare.OpenOptions
---@return memshare.Share? share
---@return string? message
---@return string? code
function core.new(name, defaults, options) end

---@class memshare.Listing
---@field name string
---@field group string
---@field term integer
---@field alive boolean false: left over by a group that died

---The shares of a directory.
---@param options? { dir: string? }
---@return memshare.Listing[]? shares
---@return string? message
---@return string? code
function core.list(options) end

--- To stand alone on the right of an assignment, or in `share:set(path, operator)`. Its operand is
--- converted when it is made. Inside a table only `timestamp` may stand.
---@class memshare.Operator

---Add: `data.count = memshare.inc(1)`. Concurrent increments all count.
---@param by? number (1)
---@return memshare.Operator
function core.inc(by) end

---Multiply; what is not there becomes 0.
---@param by number
---@return memshare.Operator
function core.mul(by) end

---The smaller of what stands there and `value`, in MongoDB's order of values.
---@param value any
---@return memshare.Operator
function core.min(value) end

---The greater of what stands there and `value`, in MongoDB's order of values.
---@param value any
---@return memshare.Operator
function core.max(value) end

---Append to the array, which is made when nothing is there: `data.log = memshare.push("go")`.
---@param value any one element
---@return memshare.Operator
function core.push(value) end

---Remove all elements that equal a value or meet a query:
---`data.scores = memshare.pull { ["$lt"] = 5 }`.
---@param condition any
---@return memshare.Operator
function core.pull(condition) end

---Append to the array unless an element equals the value.
---@param value any
---@return memshare.Operator
function core.add_to_set(value) end

---The patch's own wall time, as integer milliseconds since 1970, the same for all peers. Also as a
---value inside a table that is assigned, pushed or inserted:
---`log[#log + 1] = { at = memshare.timestamp() }`.
---@return memshare.Operator
function core.timestamp() end

---Insert an element into a shared list, `memshare.insert(list, value)` at its end, where it never
---conflicts. A position from 1 to n + 1; others raise.
---@param list table proxy
---@param position integer
---@param value any
---@return memshare.Receipt? receipt
---@return string? message
---@return string? code
---@overload fun(list: table, value: any): memshare.Receipt?, string?, string?
function core.insert(list, position, value) end

---Remove an element from a shared list: exactly the one that is returned goes, or the patch is
---rejected. Nil alone when the list is empty; a position outside of 1 to n raises.
---@param list table proxy
---@param position? integer (n)
---@return any removed a copy of the element
---@return memshare.Receipt | string | nil receipt the message when it failed
---@return string? code
function core.remove(list, position) end

---A plain Lua copy of a proxy, a read-only copy or a table; nil when nothing is there.
---@param value any
---@return any
function core.copy(value) end

---How many items an array, object or table has.
---@param value table
---@return integer
function core.count(value) end

---Mark a table as an array, so that it stays one when it is empty.
---@param list? table
---@return table
function core.array(list) end

---Mark a table as an object: it may be empty, and integer keys become strings.
---@param map? table
---@return table
function core.object(map) end

---"array" "object" "empty" "null" "integer" "float" "string" "boolean" "nil" "operator", or
---Lua's type.
---@param value any
---@return string
function core.type(value) end

---Same types, same contents; proxies count as what they show.
---@param a any
---@param b any
---@return boolean
function core.equal(a, b) end

---The dotted path of a proxy.
---@param proxy table
---@return string
function core.path(proxy) end

---The value of JSON text: arrays are marked, so that `[]` stays apart from `{}`.
---@param text string
---@return any value
---@return string? message
---@return string? code
function core.from_json(text) end

---The JSON text of a value or a proxy, its keys in byte order.
---@param value any
---@param options? { pretty: boolean?, lossless: boolean? } lossless keeps `{}` apart from objects
---@return string? text
---@return string? message
---@return string? code
function core.to_json(value, options) end

---@class memshare.UpdateOptions
---@field array_filters? table[] for which elements `$[x]` stands: {{ ["x.hp"] = { ["$lt"] = 5 } }}
---@field where? table a query on the whole document; where it does not hold: ECONDITION

---The document that MongoDB's update makes of a document, which stays as it is. Arguments of a
---wrong type and unknown options raise; what is wrong with the update itself, its filters or its
---condition, and what does not fit the document, is nil, message, code.
---@param document table
---@param update table
---@param options? memshare.UpdateOptions
---@return table? document
---@return string? message
---@return string? code
function core.apply(document, update, options) end

---Do what there is to do, call callbacks, and return whether work is left.
---@param timeout? number seconds to wait for something to happen (0)
---@param budget? number seconds after which it returns between two patches
---@return boolean more
function core.poll(timeout, budget) end

---Poll until `stop()`, or until no share is open, no timer armed and no task under way.
function core.run() end

---End `run()`.
function core.stop() end

---Start a task: a coroutine that runs `fn` up to its first wait and is resumed by polls, whoever
---makes them. In it `receipt:wait`, `share:flush`, `sync`, `wait_for`, `transaction`, `start`,
---`close`, `memshare.open` and `memshare.sleep` yield instead of blocking, and `coroutine.yield()`
---gives way until the next poll. An error of a task goes to `memshare.on_error`;
---`coroutine.close` ends it while it waits.
---@param fn fun(...: any)
---@param ... any arguments of `fn`
---@return thread task
function core.go(fn, ...) end

---Poll for that long.
---@param seconds number
function core.sleep(seconds) end

---@class memshare.Timer
---@field close fun(self: memshare.Timer)

---Call `fn` once, inside a poll.
---@param seconds number
---@param fn fun()
---@return memshare.Timer
function core.after(seconds, fn) end

---Call `fn` again and again, inside polls.
---@param seconds number
---@param fn fun()
---@return memshare.Timer
function core.every(seconds, fn) end

---A descriptor that polls readable when `poll(0)` has something to do.
---@return integer
function core.fd() end

---For the module itself: a method of shares that is written in Lua.
---@param name string
---@param fn function its first argument is the share
function core.add_method(name, fn) end

---Name the module whose `on_error` and `log` are called.
---@param module table
function core.attach(module) end

---For programs that own their process: SIGINT and SIGTERM make `run()` return, and interrupt the
---script by an error outside of it. The third one kills.
function core.catch_signals() end

---What `catch_signals` has caught.
---@return "SIGINT" | "SIGTERM" | nil name of the signal caught, once
function core.caught_signal() end

---Put the former handlers back.
function core.release_signals() end

---@class memshare.Share
---@field data table the proxy of the document
---@field id string? this peer's id in hexadecimal, once it joined
---@field me table? the proxy of this peer's own place, "@peers.<id>"; see docs/coordination.md
---@field name string
local Share = {}

---Join or found.
---@param timeout? number seconds; 0 begins and returns
---@return memshare.Share? share
---@return string? message
---@return string? code
function Share:start(timeout) end

---Wait until own patches are settled, and leave. `share:stop()` and `<close>` are the same.
---@param timeout? number
---@return true? ok
---@return string? message
---@return string? code
function Share:close(timeout) end

Share.stop = Share.close

---What is at a path: a scalar, a proxy, or nil.
---@param path memshare.Path
---@return any
function Share:get(path) end

---@class memshare.Receipt
---@field state "pending" | "accepted" | "rejected" | "unknown"
---@field version integer? of the entry
---@field number integer? counted from 1 by this peer
---@field value any when rejected: what stands at `path` (a table is a read-only copy)
---@field code string? why it was rejected
---@field message string?
---@field path string?
---@field winner string? id of the peer it lost to
---@field winner_version integer?
---@field winner_time number? seconds since 1970
local Receipt = {}

---Poll until the patch is settled.
---@param timeout? number
---@return integer? version
---@return string? message
---@return string? code
function Receipt:wait(timeout) end

---MongoDB's update language. The host asks the condition `where` when it decides the patch,
---whatever the view shows: where it does not hold, `receipt:wait()` gives nil, message,
---"ECONDITION". In a batch `patch` itself does.
---@param update table
---@param options? memshare.UpdateOptions
---@return memshare.Receipt? receipt
---@return string? message
---@return string? code
function Share:patch(update, options) end

---@class memshare.SetOptions
---@field ttl? number seconds after which it goes (math.huge: never); each write begins it anew

---Write a value, or apply an operator; containers that are missing are made.
---@param path memshare.Path
---@param value any or an operator such as `memshare.max(5)`
---@param options? memshare.SetOptions
---@return memshare.Receipt? receipt
---@return string? message
---@return string? code
function Share:set(path, value, options) end

---Remove what is at a path; nothing there is no mistake.
---@param path memshare.Path
---@return memshare.Receipt? receipt
---@return string? message
---@return string? code
function Share:unset(path) end

---Add to the number at a path; what is not there counts as 0.
---@param path memshare.Path
---@param by? number (1)
---@return memshare.Receipt? receipt
---@return string? message
---@return string? code
function Share:inc(path, by) end

---Append to an array, which is made when nothing is there.
---@param path memshare.Path
---@param value any
---@return memshare.Receipt? receipt
---@return string? message
---@return string? code
function Share:push(path, value) end

---The whole document.
---@param document table
---@return memshare.Receipt? receipt
---@return string? message
---@return string? code
function Share:replace(document) end

---All that `fn` writes is one patch; an error discards it.
---@param fn fun()
---@return memshare.Receipt? receipt
---@return string? message
---@return string? code
function Share:batch(fn) end

---@class memshare.TransactionOptions
---@field retries? integer runs after the first one (100)
---@field timeout? number seconds for all of it (the share's)

---Read and write a draft that looks like `data`: the host accepts what was written, as one
---patch, only if nothing has changed that was read. After a conflict `fn` runs again on fresh
---data. It writes to nothing but the draft, which ends with it, and cannot yield, poll or
---nest; an error discards its writes.
---@generic T
---@param fn fun(draft: table): T?
---@param options? memshare.TransactionOptions
---@return T|true|nil result what `fn` returns; true when it returns nothing
---@return string? message
---@return string? code "ECONFLICT" after all retries, "ETIMEDOUT": it may yet be accepted
function Share:transaction(fn, options) end

---@class memshare.Change
---@field keys (string|integer)[] the path as Lua has it: indexes from 1
---@field origin string? id of the writer
---@field is_local boolean an own write
---@field version integer? nil while an own patch is not settled
---@field time number seconds since 1970
---@field kind "set" | "remove" | "rollback" | "join"

---@class memshare.OnOptions
---@field immediate? boolean also once per match of what is there now
---@field coalesce? boolean once a poll for each path, with the first old and the last new value

---@class memshare.Subscription
---@field close fun(self: memshare.Subscription)

---Hear of changes at a path. In text `*` is one key and `**` any number of them.
---@param path memshare.Path
---@param fn fun(new: any, old: any, path: string, change: memshare.Change)
---@param options? memshare.OnOptions
---@return memshare.Subscription
function Share:on(path, fn, options) end

---As `on`, for the first change only.
---@param path memshare.Path
---@param fn fun(new: any, old: any, path: string, change: memshare.Change)
---@param options? memshare.OnOptions
---@return memshare.Subscription
function Share:once(path, fn, options) end

---Wait until `predicate` is true of what is at `path` (a scalar, a proxy or nil), without one until
---something is there. It is asked at once, and again whenever something changed at the path.
---@param path memshare.Path without wildcards
---@param predicate? fun(value: any): any
---@param timeout? number seconds
---@return any value what the predicate was true of
---@return string? message
---@return string? code "ETIMEDOUT", or "ECLOSED"
function Share:wait_for(path, predicate, timeout) end

---@class memshare.Patch
---@field version integer
---@field is_local boolean an own patch
---@field merged boolean it stands for several patches: the fields below are nil
---@field origin string? id of the writer
---@field time number? seconds since 1970
---@field paths string[]? what it wrote, dotted

---Hear of each accepted patch, own ones included, once the view shows it.
---@param fn fun(patch: memshare.Patch)
---@return memshare.Subscription
function Share:on_patch(fn) end

---Hear of peers that join and leave. Who is there already is in share:peers().
---@param fn fun(event: "join" | "leave", peer: memshare.Peer)
---@return memshare.Subscription
function Share:on_peer(fn) end

---Tell all peers that something happened; in a batch it is part of the batch's patch.
---@param event string 1 to 4096 bytes
---@param ... any what comes with it; tables and proxies are copied
---@return memshare.Receipt? receipt
---@return string? message
---@return string? code
function Share:emit(event, ...) end

---@class memshare.Event
---@field name string
---@field origin string who emitted it
---@field version integer
---@field time number seconds since 1970
---@field is_local boolean

---Hear of events: once each, in one order with patches at all peers. `fn` is called with what came
---with the event and, as its last argument, who emitted it and when (see Event).
---@param event? string nil: of any
---@param fn fun(...)
---@return memshare.Subscription
function Share:on_event(event, fn) end

---@class memshare.Call
---@field name string
---@field origin string who calls
local Call = {}

---The answer to come later: what the handler returns is none.
---@return memshare.Call self
function Call:defer() end

---Answer with a value; once.
---@param value any
---@return true? done
---@return string? message
---@return string? code
function Call:reply(value) end

---Answer that there is no answer.
---@param message string
---@param code? string any word; EARGUMENT when it is left out
---@return true? done
---@return string? message
---@return string? code
function Call:fail(message, code) end

---Answer calls of that name. What `fn` returns goes to the caller: a value, or nil, message and
---code. When it raises the caller hears that, and memshare.on_error the traceback. Closing the
---subscription ends it. A call that is neither answered nor deferred nor held any more fails with
---ECLOSED.
---@param name string 1 to 4096 bytes
---@param fn fun(args: any, call: memshare.Call): any, string?, string?
---@return memshare.Subscription
function Share:handle(name, fn) end

---@class memshare.CallOptions
---@field to? "any"|"host"|string a peer's id; "any", when it is left out, is one who handles it
---@field timeout? number seconds; that of the share when it is left out

---Ask another process, or this one. Waits for the answer; in a task it yields.
---nil, message, code: ENOENT (nobody handles it there, or no such peer), ETIMEDOUT, ENOHOST (the
---peer was gone before it answered), ECLOSED, or what the handler said.
---@param name string
---@param args any
---@param options? memshare.CallOptions
---@return any answer
---@return string? message
---@return string? code
function Share:call(name, args, options) end

---Bind what is at a path, now and later, to the life of this process: it goes with the entry that
---tells of its departure. Whoever binds a path last owns it.
---@param path memshare.Path
---@return memshare.Receipt? receipt
---@return string? message
---@return string? code
function Share:ephemeral(path) end

---Let what is at a path go after a time, by an entry of the host. Each write there or below begins
---the time anew.
---@param path memshare.Path
---@param seconds? number nil or math.huge: it stays
---@return memshare.Receipt? receipt
---@return string? message
---@return string? code
function Share:expire(path, seconds) end

---Only who has the role may write at the places of the pattern from now on (EDENIED); what no grant
---names is free. The pattern is a path with `*` for any one key, `**` at its end for all below.
---@param role string
---@param pattern string
---@return memshare.Receipt? receipt
---@return string? message
---@return string? code
function Share:grant(role, pattern) end

---Take back what share:grant gave.
---@param role string
---@param pattern string
---@return memshare.Receipt? receipt
---@return string? message
---@return string? code
function Share:revoke(role, pattern) end

---What the document has to be, checked by the host before each patch commits (EDENIED, with the
---place and the rule). Patterns ("" is the document) with `type`, `min`, `max`, `min_length`,
---`max_length`, `required`, `keys`, `enum`. Refused where the document as it is does not fit.
---@param schema? table nil: anything
---@return memshare.Receipt? receipt
---@return string? message
---@return string? code
function Share:schema(schema) end

---A Lua chunk that the host runs in a sandbox: it calls `rule(pattern, fn, message)`, and `fn(new,
---old, path, change)` returns whether that may be, and else why not. Peers that cannot run it do
---not become host.
---@param source? string nil: no rules
---@return memshare.Receipt? receipt
---@return string? message
---@return string? code
function Share:rules(source) end

---How many peers may write at a time. Those who do already stay.
---@param count? integer nil or 0: any number
---@return memshare.Receipt? receipt
---@return string? message
---@return string? code
function Share:max_writers(count) end

---A lock that is held, or was: `<close>` gives it back.
---@class memshare.Lease
---@field name string? nil once it was given back
---@field fence integer? the fencing number while it is held: it grows from each holder to the next
local Lease = {}

---Is the lock held still, as far as this process knows?
---@return boolean
function Lease:is_held() end

---Give the lock back; nothing happens the second time.
---@return true? ok
---@return string? message
---@return string? code "EBUSY" while the queue of own patches is full: try again
function Lease:release() end

---Wait until it is lost or given back. In a task this yields.
---@param timeout? number seconds, without end by default
---@return boolean gone false when the time is up
function Lease:wait_lost(timeout) end

---Take the lock of a name: one peer holds it at a time, the others wait in the order in which they
---asked. In a task this yields. Raises inside a batch, a transaction and, outside of tasks, a
---callback.
---@param name string 1 to 4096 bytes
---@param options? { timeout: number } seconds, without end by default
---@return memshare.Lease? lease
---@return string? message
---@return string? code "ETIMEDOUT", "ECLOSED", "EDENIED" (lost while this peer was cut off), ...
function Share:lock(name, options) end

---The same, but "EBUSY" where somebody holds it. One round trip to the host at most.
---@param name string
---@return memshare.Lease? lease
---@return string? message
---@return string? code
function Share:try_lock(name) end

---@class memshare.Singleton
local Singleton = {}

---Does this process run the task?
---@return boolean
function Singleton:is_running() end

---Stop taking part: the task is closed and runs elsewhere from then on. `<close>` is the same.
function Singleton:close() end

---Have a task run in one process at a time, of all that ask for it by this name. When that process
---dies or is cut off, the next one starts its own. When `fn` returns, this process is through with
---it and the next one has its turn; when it raises, too, but this one queues again.
---@param name string of the lock that its process holds
---@param fn fun(lease: memshare.Lease)
---@return memshare.Singleton
function Share:singleton(name, fn) end

---@class memshare.Rejection
---@field code string
---@field message string
---@field path string?
---@field value any what stands at `path`
---@field number integer of the patch
---@field winner string?
---@field winner_version integer?
---@field winner_time number?

---Hear of own patches that were rejected, or whose outcome is unknown.
---@param fn fun(rejection: memshare.Rejection)
---@return memshare.Subscription
function Share:on_reject(fn) end

---@class memshare.Status
---@field state "new" | "joining" | "waiting" | "client" | "host" | "closed"
---@field id string?
---@field host string? id of the host
---@field group string?
---@field term integer
---@field version integer
---@field pending integer own patches that are not settled

---Hear of changes of state, term or host.
---@param fn fun(state: string, status: memshare.Status)
---@return memshare.Subscription
function Share:on_status(fn) end

---Wait until all own patches are settled.
---@param timeout? number
---@return true? ok
---@return string? message
---@return string? code
function Share:flush(timeout) end

---Wait until the view shows all that was committed when this was called.
---@param timeout? number
---@return true? ok
---@return string? message
---@return string? code
function Share:sync(timeout) end

---As `memshare.poll`, for the runtime of this share.
---@param timeout? number
---@param budget? number
---@return boolean more
function Share:poll(timeout, budget) end

---The descriptor to wait for, as cqueues asks for it; `memshare.fd()` is the same.
---@return integer fd
function Share:pollfd() end

---What to wait for on the descriptor, as cqueues asks for it.
---@return "r"
function Share:events() end

---Seconds after which `poll` should be called even if the descriptor stays silent; nil: no need.
---@return number?
function Share:timeout() end

---The share's state, and a table that says more.
---@return string state
---@return memshare.Status status
function Share:status() end

---The version that the view shows.
---@return integer
function Share:version() end

---Is this peer the host?
---@return boolean
function Share:is_host() end

---Counters since the share was opened.
---@return table<string, integer>
function Share:stats() end

---@class memshare.Peer
---@field id string
---@field pid integer
---@field since number seconds since 1970
---@field me any what is at the peer's own place: a proxy, or nil; in share:peers() only
---@field program string
---@field is_host boolean
---@field is_self boolean
---@field readonly boolean
---@field can_host boolean
---@field roles string[]

---All peers of the share, as every replica knows them.
---@return memshare.Peer[]? peers
---@return string? message
---@return string? code
function Share:peers() end

-- The classes are for the spec that compares this file with the module.
return core,
  { Share = Share, Receipt = Receipt, Lease = Lease, Singleton = Singleton, Call = Call }
