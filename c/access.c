/*
 * Access: share:grant(role, pattern), share:revoke, share:max_writers; and what documents have to be: share:schema and
 * share:rules. Each is one patch and returns a receipt.
 */
#include "core.h"

#include <string.h>

/* The receipt is on top of the stack. */
static int finish(lua_State *L, ms_error *error, ms_status status) {
  if (msl_finish(error, status) == MS_OK) return 1;
  if (msl_is_mistake(error->status)) return msl_raise_error(L, error);
  return msl_push_failure(L, error);
}

static const char *check_text(lua_State *L, int index, const char *name) {
  const char *text = msl_check_string(L, index, name, NULL);
  if (strlen(text) != lua_rawlen(L, index))
    msl_raise(L, MS_EARGUMENT, "%s: holds a NUL", name);
  return text;
}

typedef ms_status (*grant_fn)(ms_share *share, const char *role, const char *pattern,
                              ms_receipt **receipt, ms_error *error);

static int grant(lua_State *L, grant_fn fn) {
  msl_share *share = msl_check_open_share(L, 1);
  ms_error error = {MS_OK, ""};
  lua_settop(L, 3);
  const char *role = check_text(L, 2, "role");
  const char *pattern = check_text(L, 3, "pattern");
  ms_receipt **receipt = msl_push_write_receipt(L, 1);
  ms_status status = fn(share->share, role, pattern, receipt, &error);
  if (status == MS_EPATH) msl_raise_error(L, &error); /* the pattern is no path */
  return finish(L, &error, status);
}

/* grant(role, pattern) */
int msl_share_grant(lua_State *L) { return grant(L, ms_share_grant); }

/* revoke(role, pattern) */
int msl_share_revoke(lua_State *L) { return grant(L, ms_share_revoke); }

/* max_writers(count): nil: any number */
int msl_share_max_writers(lua_State *L) {
  msl_share *share = msl_check_open_share(L, 1);
  ms_error error = {MS_OK, ""};
  lua_Integer count = 0;
  int exact = 1;
  lua_settop(L, 2);
  if (!lua_isnil(L, 2))
    count = lua_type(L, 2) == LUA_TNUMBER ? lua_tointegerx(L, 2, &exact) : -1;
  if (!exact || count < 0) msl_raise_type(L, 2, "count", "non-negative integer or nil");
  ms_receipt **receipt = msl_push_write_receipt(L, 1);
  ms_status status =
      ms_share_set_max_writers(share->share, (uint64_t)count, receipt, &error);
  return finish(L, &error, status);
}

/* schema(table): nil takes it away. */
int msl_share_schema(lua_State *L) {
  msl_share *share = msl_check_open_share(L, 1);
  ms_error error = {MS_OK, ""};
  const msl_where where = {NULL, "schema", 6};
  lua_settop(L, 2);
  msl_hold *hold = msl_push_hold(L);
  ms_status status = MS_OK;
  if (!lua_isnil(L, 2)) status = msl_read_any(L, 2, &where, &hold->value, &error);
  if (msl_finish(&error, status) != MS_OK) return msl_raise_error(L, &error);
  ms_receipt **receipt = msl_push_write_receipt(L, 1);
  status = ms_share_set_schema(share->share, hold->value, receipt, &error);
  if (status == MS_EPATH) msl_raise_error(L, &error); /* a pattern is no path */
  return finish(L, &error, status);
}

/* rules(source): nil takes them away. */
int msl_share_rules(lua_State *L) {
  msl_share *share = msl_check_open_share(L, 1);
  ms_error error = {MS_OK, ""};
  size_t length = 0;
  lua_settop(L, 2);
  const char *source = lua_isnil(L, 2) ? NULL : msl_check_string(L, 2, "source", &length);
  ms_receipt **receipt = msl_push_write_receipt(L, 1);
  ms_status status = ms_share_set_rules(share->share, source, length, receipt, &error);
  return finish(L, &error, status);
}
