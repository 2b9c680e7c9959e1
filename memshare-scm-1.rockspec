-- Built from a check-out: luarocks --lua-version=5.4 make
rockspec_format = "3.0"
package = "memshare"
version = "scm-1"
source = { url = "git+file://." }
description = {
  summary = "One live table, shared by the processes of one machine",
  detailed = [[
Several Lua processes open the same share, write to it as to a table and see each other's
writes. One of them keeps order; when it dies another takes over and nothing accepted is lost.
]],
  license = "MIT",
}
supported_platforms = { "linux" }
dependencies = {
  "lua >= 5.4, < 5.5",
  "lua-cjson >= 2.1.0",
  "argparse >= 0.7.0",
}
external_dependencies = {
  UV = { header = "uv.h", library = "uv" },
  JANSSON = { header = "jansson.h", library = "jansson" },
}
build = {
  type = "builtin",
  modules = {
    ["memshare.core"] = {
      -- As in runtime/CMakeLists.txt and c/CMakeLists.txt; spec/package compares them.
      sources = {
        "runtime/src/alloc.c", "runtime/src/status.c", "runtime/src/buffer.c",
        "runtime/src/string.c", "runtime/src/value.c", "runtime/src/trie.c",
        "runtime/src/object.c", "runtime/src/chunk.c", "runtime/src/array.c",
        "runtime/src/grave.c", "runtime/src/diff.c", "runtime/src/encode.c",
        "runtime/src/decode.c", "runtime/src/base64.c", "runtime/src/json_read.c",
        "runtime/src/json_write.c", "runtime/src/path.c", "runtime/src/sort.c",
        "runtime/src/compare.c", "runtime/src/value_set.c", "runtime/src/query_operator.c",
        "runtime/src/query_parse.c", "runtime/src/query.c", "runtime/src/query_match.c",
        "runtime/src/positional.c", "runtime/src/operator.c", "runtime/src/desk_operator.c",
        "runtime/src/desk_message.c", "runtime/src/array_operator.c", "runtime/src/push.c",
        "runtime/src/builder.c", "runtime/src/update.c", "runtime/src/update_parse.c",
        "runtime/src/update_decode.c", "runtime/src/mark.c", "runtime/src/apply.c",
        "runtime/src/rename.c", "runtime/src/visit.c", "runtime/src/pattern.c",
        "runtime/src/matcher.c", "runtime/src/hook.c", "runtime/src/schema.c",
        "runtime/src/rules.c", "runtime/src/path_trie.c", "runtime/src/reads.c",
        "runtime/src/entry.c", "runtime/src/desk.c", "runtime/src/desk_ask.c",
        "runtime/src/desk_ttl.c", "runtime/src/desk_role.c", "runtime/src/rule.c",
        "runtime/src/presence.c", "runtime/src/conflict.c", "runtime/src/conflict_position.c",
        "runtime/src/conflict_read.c", "runtime/src/conflict_pack.c", "runtime/src/members.c",
        "runtime/src/tail.c", "runtime/src/pending.c", "runtime/src/message.c",
        "runtime/src/snapshot.c", "runtime/src/replica.c", "runtime/src/host.c",
        "runtime/src/house.c", "runtime/src/decide.c", "runtime/src/client.c",
        "runtime/src/watch.c", "runtime/src/takeover.c", "runtime/src/view.c",
        "runtime/src/view_reads.c", "runtime/src/system_status.c", "runtime/src/random.c",
        "runtime/src/file_lock.c", "runtime/src/file_space.c", "runtime/src/fork_page.c",
        "runtime/src/process_name.c", "runtime/src/environment.c", "runtime/src/wake.c",
        "runtime/src/socket_open.c", "runtime/src/socket_address.c", "runtime/src/socket_peer.c",
        "runtime/src/fork_guard.c", "runtime/src/directory.c", "runtime/src/group.c",
        "runtime/src/listing.c", "runtime/src/log.c", "runtime/src/socket.c",
        "runtime/src/link.c", "runtime/src/listener.c", "runtime/src/rendezvous.c",
        "runtime/src/link_table.c", "runtime/src/driver.c", "runtime/src/mailbox.c",
        "runtime/src/station.c", "runtime/src/receipt.c", "runtime/src/notice.c",
        "runtime/src/gather.c", "runtime/src/runtime.c", "runtime/src/timer.c",
        "runtime/src/round.c", "runtime/src/recent.c", "runtime/src/known_paths.c",
        "runtime/src/view_watch.c", "runtime/src/draft.c", "runtime/src/share.c",
        "runtime/src/mail.c", "runtime/src/batch.c", "runtime/src/transaction.c",
        "runtime/src/transact.c", "runtime/src/lease.c", "runtime/src/share_presence.c",
        "runtime/src/share_access.c", "runtime/src/share_message.c", "runtime/src/call.c",
        "runtime/src/write.c", "runtime/src/share_read.c", "runtime/src/share_edit.c",
        "runtime/src/roster.c", "runtime/src/subscription.c", "c/error.c", "c/options.c",
        "c/log.c", "c/convert.c", "c/values.c", "c/keys.c", "c/operator.c", "c/proxy.c",
        "c/cache.c", "c/receipt.c", "c/batch.c", "c/lease.c", "c/presence.c", "c/access.c",
        "c/rules.c", "c/message.c", "c/transaction.c", "c/sub.c", "c/await.c", "c/task.c",
        "c/timer.c", "c/write.c", "c/share.c", "c/roster.c", "c/signal.c", "c/state.c",
        "c/module.c",
      },
      defines = { "_GNU_SOURCE", "_FILE_OFFSET_BITS=64" },
      incdirs = { "runtime/include", "runtime/src", "$(UV_INCDIR)", "$(JANSSON_INCDIR)" },
      libdirs = { "$(UV_LIBDIR)", "$(JANSSON_LIBDIR)" },
      libraries = { "uv", "jansson", "pthread" },
    },
    ["memshare.cli.change"] = "lua/memshare/cli/change.lua",
    ["memshare.cli.inc"] = "lua/memshare/cli/inc.lua",
    ["memshare.cli.push"] = "lua/memshare/cli/push.lua",
    ["memshare.cli.unset"] = "lua/memshare/cli/unset.lua",
    ["memshare.cli.tail"] = "lua/memshare/cli/tail.lua",
    ["memshare.cli.exec"] = "lua/memshare/cli/exec.lua",
    ["memshare.cli.doctor"] = "lua/memshare/cli/doctor.lua",
    ["memshare.cli.writers"] = "lua/memshare/cli/writers.lua",
    ["memshare.cli.dump"] = "lua/memshare/cli/dump.lua",
    ["memshare.cli.get"] = "lua/memshare/cli/get.lua",
    ["memshare.cli"] = "lua/memshare/cli/init.lua",
    ["memshare.cli.load"] = "lua/memshare/cli/load.lua",
    ["memshare.cli.ls"] = "lua/memshare/cli/ls.lua",
    ["memshare.cli.output"] = "lua/memshare/cli/output.lua",
    ["memshare.cli.patch"] = "lua/memshare/cli/patch.lua",
    ["memshare.cli.peers"] = "lua/memshare/cli/peers.lua",
    ["memshare.cli.run"] = "lua/memshare/cli/run.lua",
    ["memshare.cli.session"] = "lua/memshare/cli/session.lua",
    ["memshare.cli.set"] = "lua/memshare/cli/set.lua",
    ["memshare.cli.stats"] = "lua/memshare/cli/stats.lua",
    ["memshare.cli.text"] = "lua/memshare/cli/text.lua",
    ["memshare.cli.watch"] = "lua/memshare/cli/watch.lua",
    ["memshare"] = "lua/memshare/init.lua",
    ["memshare.singleton"] = "lua/memshare/singleton.lua",
    ["memshare.library.core"] = "lua/memshare/library/core.lua",
  },
  install = { bin = { memshare = "bin/memshare" } },
}
