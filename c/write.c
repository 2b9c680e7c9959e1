/*
 * The methods that write: each is one patch, or joins the open batch. They return a
 * receipt; what depends on the document or the group (EPATH, ETYPE, EBUSY, ENOHOST) is
 * nil, message, code, and a mistake raises.
 */
#include "core.h"

/* One call: what C locals hold between reading the arguments and the end. */
typedef struct call {
  msl_share *share;
  ms_receipt **receipt; /* where the library's receipt goes; NULL in a batch */
  ms_path *path;
  const ms_value *value;
  ms_update *update;
  bool is_mistake; /* an argument is wrong, whatever the document */
  ms_error error;
} call;

/* Pushes the receipt, at `top` + 1. */
static void begin(lua_State *L, call *self, int top) {
  *self = (call){.share = msl_check_open_share(L, 1), .is_mistake = true};
  self->error.status = MS_OK;
  lua_settop(L, top);
  if (self->share->in_batch) {
    lua_getiuservalue(L, 1, MSL_SHARE_BATCH);
  } else {
    self->receipt = &msl_push_receipt(L, 1)->receipt;
  }
}

/* The receipt is on top of the stack. */
static int end(lua_State *L, call *self, ms_status status) {
  msl_finish(&self->error, status);
  ms_path_release(self->path);
  ms_value_release(self->value);
  ms_update_release(self->update);
  if (status == MS_OK) return 1;
  if (self->is_mistake || msl_is_mistake(status)) return msl_raise_error(L, &self->error);
  return msl_push_failure(L, &self->error);
}

static ms_status read_path(lua_State *L, call *self) {
  ms_status status =
      msl_read_path(L, 2, msl_share_root(self->share), &self->path, &self->error);
  if (status == MS_OK && ms_path_count(self->path) == 0) {
    return msl_fail(
        &self->error, MS_EPATH,
        "the path is empty; share:replace(document) writes the whole document");
  }
  return status;
}

static ms_status read_value(lua_State *L, call *self, int index) {
  const msl_where where = {self->path, NULL, 0};
  if (lua_isnil(L, index)) {
    return msl_fail(&self->error, MS_EARGUMENT, "value: nil; share:unset(path) removes");
  }
  return msl_read_value(L, index, &where, &self->value, &self->error);
}

static ms_status write(call *self, ms_operator op) {
  self->is_mistake = false;
  ms_write single;
  ms_write_init(&single);
  single.path = self->path;
  single.op = op;
  single.operand = self->value;
  return ms_share_write(self->share->share, &single, self->receipt, &self->error);
}

/* set(path, value) */
static int share_set(lua_State *L) {
  call self;
  begin(L, &self, 3);
  ms_status status = read_path(L, &self);
  if (status == MS_OK) status = read_value(L, &self, 3);
  if (status == MS_OK) status = write(&self, MS_OP_SET);
  return end(L, &self, status);
}

/* unset(path) */
static int share_unset(lua_State *L) {
  call self;
  begin(L, &self, 2);
  ms_status status = read_path(L, &self);
  self.value = ms_value_null();
  if (status == MS_OK) status = write(&self, MS_OP_UNSET);
  return end(L, &self, status);
}

/* inc(path, by): by 1 when it is left out. */
static int share_inc(lua_State *L) {
  call self;
  begin(L, &self, 3);
  ms_status status = read_path(L, &self);
  if (status == MS_OK && lua_isnil(L, 3)) {
    status = ms_value_new_int(NULL, 1, &self.value);
  } else if (status == MS_OK && lua_type(L, 3) != LUA_TNUMBER) {
    status = msl_fail(&self.error, MS_EARGUMENT, "by: number expected, got %s",
                      luaL_typename(L, 3));
  } else if (status == MS_OK) {
    status = read_value(L, &self, 3);
  }
  if (status == MS_OK) status = write(&self, MS_OP_INC);
  return end(L, &self, status);
}

/* push(path, value) */
static int share_push(lua_State *L) {
  call self;
  begin(L, &self, 3);
  ms_status status = read_path(L, &self);
  if (status == MS_OK) status = read_value(L, &self, 3);
  if (status == MS_OK) status = write(&self, MS_OP_PUSH);
  return end(L, &self, status);
}

/* replace(document) */
static int share_replace(lua_State *L) {
  call self;
  begin(L, &self, 2);
  ms_status status = MS_OK;
  if (lua_type(L, 2) != LUA_TTABLE) {
    status = msl_fail(&self.error, MS_EARGUMENT, "document: table expected, got %s",
                      luaL_typename(L, 2));
  }
  if (status == MS_OK) status = read_value(L, &self, 2);
  if (status == MS_OK && ms_value_type(self.value) == MS_ARRAY) {
    status =
        msl_fail(&self.error, MS_EARGUMENT, "document: an object expected, got an array");
  }
  if (status == MS_OK) {
    self.is_mistake = false;
    status = ms_share_replace(self.share->share, self.value, self.receipt, &self.error);
  }
  return end(L, &self, status);
}

/* patch(update, options) */
static int share_patch(lua_State *L) {
  call self;
  ms_update_options options;
  msl_check_open_share(L, 1);
  lua_settop(L, 3);
  msl_check_update_options(L, 3, &options);
  begin(L, &self, lua_gettop(L));
  ms_status status = MS_OK;
  if (lua_type(L, 2) != LUA_TTABLE) {
    status = msl_fail(&self.error, MS_EARGUMENT, "update: table expected, got %s",
                      luaL_typename(L, 2));
  }
  if (status == MS_OK) status = read_value(L, &self, 2);
  if (status == MS_OK)
    status = ms_update_parse(NULL, self.value, &options, &self.update, &self.error);
  if (status == MS_OK) {
    self.is_mistake = false;
    status = ms_share_update(self.share->share, self.update, self.receipt, &self.error);
  }
  return end(L, &self, status);
}

const luaL_Reg msl_write_methods[] = {
    {"inc", share_inc},   {"patch", share_patch},
    {"push", share_push}, {"replace", share_replace},
    {"set", share_set},   {"unset", share_unset},
    {NULL, NULL},
};
