/*
 * Receipts: what became of one patch.
 *
 * All writes inside a batch share the receipt of the batch, which is pending until the
 * batch is submitted. A batch that wrote nothing is accepted at once; one that was
 * discarded is rejected.
 */
#include "core.h"

#include <string.h>

static const char receipt_type[] = "memshare.receipt";

static msl_receipt *check_receipt(lua_State *L) {
  msl_receipt *self = luaL_testudata(L, 1, receipt_type);
  if (self == NULL) msl_raise_type(L, 1, "self", receipt_type);
  return self;
}

msl_receipt *msl_push_receipt(lua_State *L, int share_index) {
  msl_receipt *self = lua_newuserdatauv(L, sizeof(*self), MSL_RECEIPT_SLOTS);
  memset(self, 0, sizeof(*self));
  luaL_setmetatable(L, receipt_type);
  lua_pushvalue(L, share_index);
  lua_setiuservalue(L, -2, MSL_RECEIPT_SHARE);
  return self;
}

static int receipt_gc(lua_State *L) {
  msl_receipt *self = lua_touserdata(L, 1);
  ms_receipt *receipt = self->receipt;
  self->receipt = NULL;
  ms_receipt_release(receipt);
  return 0;
}

static ms_receipt_state state_of(const msl_receipt *self) {
  if (self->receipt != NULL) return ms_receipt_get_state(self->receipt);
  if (self->is_discarded) return MS_REJECTED;
  return self->is_open ? MS_PENDING : MS_ACCEPTED;
}

static uint64_t version_of(lua_State *L, const msl_receipt *self) {
  if (self->receipt != NULL) return ms_receipt_version(self->receipt);
  if (self->is_open || self->is_discarded) return 0;
  lua_getiuservalue(L, 1, MSL_RECEIPT_SHARE);
  const msl_share *share = lua_touserdata(L, -1);
  ms_share_info info;
  memset(&info, 0, sizeof(info));
  info.bytes = sizeof(info);
  if (share->share != NULL) ms_share_inspect(share->share, &info);
  lua_pop(L, 1);
  return info.version;
}

/* ------------------------------------------------------------- rejections */

/* Pushes the value that stands: a scalar or a read-only copy. */
static void push_standing(lua_State *L, const ms_value *value) {
  if (value == NULL) {
    lua_pushnil(L);
  } else if (msl_is_scalar(value)) {
    msl_push_scalar(L, value);
  } else {
    msl_push_snapshot(L, value);
  }
}

typedef void (*push_field)(lua_State *L, const ms_rejection *rejection);

static void push_code(lua_State *L, const ms_rejection *rejection) {
  lua_pushstring(L, ms_status_name(rejection->status));
}
static void push_message(lua_State *L, const ms_rejection *rejection) {
  lua_pushstring(L, rejection->message);
}
static void push_path(lua_State *L, const ms_rejection *rejection) {
  if (rejection->path == NULL) {
    lua_pushnil(L);
  } else {
    msl_push_text(L, rejection->path);
  }
}
static void push_value(lua_State *L, const ms_rejection *rejection) {
  push_standing(L, rejection->standing);
}
static void push_number(lua_State *L, const ms_rejection *rejection) {
  lua_pushinteger(L, (lua_Integer)rejection->number);
}
static void push_winner(lua_State *L, const ms_rejection *rejection) {
  msl_push_id(L, rejection->winner);
}
static void push_winner_version(lua_State *L, const ms_rejection *rejection) {
  if (rejection->winner_version == 0) {
    lua_pushnil(L);
  } else {
    lua_pushinteger(L, (lua_Integer)rejection->winner_version);
  }
}
static void push_winner_time(lua_State *L, const ms_rejection *rejection) {
  if (rejection->winner_wall_ms == 0) {
    lua_pushnil(L);
  } else {
    lua_pushnumber(L, (lua_Number)rejection->winner_wall_ms / 1000);
  }
}

static const struct {
  const char *name;
  push_field push;
} rejection_fields[] = {
    {"code", push_code},
    {"message", push_message},
    {"path", push_path},
    {"value", push_value},
    {"number", push_number},
    {"winner", push_winner},
    {"winner_time", push_winner_time},
    {"winner_version", push_winner_version},
};
enum { REJECTION_FIELDS = sizeof(rejection_fields) / sizeof(rejection_fields[0]) };

void msl_push_rejection(lua_State *L, const ms_rejection *rejection) {
  lua_createtable(L, 0, REJECTION_FIELDS);
  for (int i = 0; i < REJECTION_FIELDS; i++) {
    rejection_fields[i].push(L, rejection);
    lua_setfield(L, -2, rejection_fields[i].name);
  }
}

/* ----------------------------------------------------------------- fields */

static void push_state(lua_State *L, const msl_receipt *self) {
  static const char *const names[] = {"pending", "accepted", "rejected", "unknown"};
  lua_pushstring(L, names[state_of(self)]);
}

/* Pushes a field of the rejection; nil when there is none. */
static void push_rejection_field(lua_State *L, const msl_receipt *self,
                                 const char *name) {
  ms_rejection rejection;
  memset(&rejection, 0, sizeof(rejection));
  rejection.bytes = sizeof(rejection);
  if (self->is_discarded) {
    rejection.status = MS_ECLOSED;
    rejection.message = "the batch was discarded";
  } else if (self->receipt == NULL || !ms_receipt_rejection(self->receipt, &rejection)) {
    lua_pushnil(L);
    return;
  }
  for (int i = 0; i < REJECTION_FIELDS; i++) {
    if (strcmp(name, rejection_fields[i].name) == 0) {
      rejection_fields[i].push(L, &rejection);
      return;
    }
  }
  lua_pushnil(L);
}

static int receipt_index(lua_State *L) {
  const msl_receipt *self = check_receipt(L);
  lua_settop(L, 2);
  lua_pushvalue(L, 2);
  if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL) return 1;
  const char *name = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
  if (strcmp(name, "state") == 0) {
    push_state(L, self);
  } else if (strcmp(name, "version") == 0) {
    uint64_t version = version_of(L, self);
    lua_pushnil(L);
    if (version > 0) lua_pushinteger(L, (lua_Integer)version);
  } else if (strcmp(name, "number") == 0 && self->receipt != NULL) {
    lua_pushinteger(L, (lua_Integer)ms_receipt_number(self->receipt));
  } else {
    push_rejection_field(L, self, name);
  }
  return 1;
}

/* ---------------------------------------------------------------- waiting */

static bool is_settled(void *ud) {
  const msl_receipt *self = ud;
  return ms_receipt_get_state(self->receipt) != MS_PENDING;
}

/* In a task, and for a receipt that is settled. */
static int after_wait(lua_State *L, int status, lua_KContext timeout_ms) {
  const msl_receipt *self = lua_touserdata(L, 1);
  ms_error error = {MS_OK, ""};
  (void)status;
  if (self->receipt != NULL && !is_settled((void *)self)) {
    msl_fail(&error, MS_ETIMEDOUT, "the patch was not settled in %d ms", (int)timeout_ms);
    return msl_push_failure(L, &error);
  }
  if (self->receipt != NULL &&
      msl_finish(&error, ms_receipt_wait(self->receipt, 0, &error)) != MS_OK) {
    return msl_push_failure(L, &error);
  }
  lua_pushinteger(L, (lua_Integer)version_of(L, self));
  return 1;
}

/* Blocks. */
static int wait_here(lua_State *L, const msl_receipt *self, msl_state *state,
                     int timeout_ms) {
  ms_error error = {MS_OK, ""};
  ms_status status =
      msl_finish(&error, ms_receipt_wait(self->receipt, timeout_ms, &error));
  msl_after_poll(L, state);
  if (status == MS_EBUSY || status == MS_EWRONGTHREAD) return msl_raise_error(L, &error);
  if (status != MS_OK) return msl_push_failure(L, &error);
  lua_pushinteger(L, (lua_Integer)version_of(L, self));
  return 1;
}

/* wait(timeout): the version, or nil, message, code. */
static int receipt_wait(lua_State *L) {
  msl_receipt *self = check_receipt(L);
  lua_settop(L, 2);
  lua_getiuservalue(L, 1, MSL_RECEIPT_SHARE);
  const msl_share *share = lua_touserdata(L, 3);
  int timeout_ms = msl_check_seconds(L, 2, "timeout", share->timeout_ms);
  bool in_task = msl_in_task(L, share->state);
  if (!in_task) msl_check_may_poll(L, share->state, "wait");
  if (self->receipt == NULL && self->is_discarded) {
    ms_error error;
    msl_fail(&error, MS_ECLOSED, "the batch was discarded");
    return msl_push_failure(L, &error);
  }
  if (self->receipt == NULL && self->is_open) {
    return msl_raise(L, MS_EBUSY, "wait inside the batch");
  }
  if (self->receipt == NULL || (in_task && (timeout_ms == 0 || is_settled(self)))) {
    return after_wait(L, LUA_OK, timeout_ms);
  }
  if (!in_task) return wait_here(L, self, share->state, timeout_ms);
  return msl_yield_until(L, share->state, is_settled, self, timeout_ms, timeout_ms,
                         after_wait);
}

static int receipt_tostring(lua_State *L) {
  const msl_receipt *self = check_receipt(L);
  push_state(L, self);
  lua_pushfstring(L, "%s: %s", receipt_type, lua_tostring(L, -1));
  return 1;
}

static const luaL_Reg methods[] = {{"wait", receipt_wait}, {NULL, NULL}};
static const luaL_Reg metamethods[] = {
    {"__gc", receipt_gc},
    {"__tostring", receipt_tostring},
    {NULL, NULL},
};

void msl_open_receipt(lua_State *L, msl_state *state) {
  (void)state;
  luaL_newmetatable(L, receipt_type);
  luaL_setfuncs(L, metamethods, 0);
  lua_newtable(L);
  luaL_setfuncs(L, methods, 0);
  lua_pushcclosure(L, receipt_index, 1);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
}
