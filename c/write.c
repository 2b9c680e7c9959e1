/*
 * What writes and is no assignment: the methods of a share, memshare.insert and
 * memshare.remove. Each is one patch, or joins the open batch. They return a receipt; what
 * depends on the document or the group (EPATH, ETYPE, EBUSY, ENOHOST) is nil, message,
 * code, and a mistake raises.
 */
#include "core.h"

/* One call: what C locals hold between reading the arguments and the end. */
typedef struct call {
  msl_share *share;
  ms_receipt **receipt; /* where the library's receipt goes; NULL in a batch */
  ms_path *path;
  msl_content content; /* the operand, or the document */
  ms_update *update;
  bool is_mistake; /* an argument is wrong, whatever the document */
  ms_error error;
} call;

ms_receipt **msl_push_write_receipt(lua_State *L, int index) {
  const msl_share *share = lua_touserdata(L, index);
  if (share->in_transaction) {
    msl_raise(L, MS_EBUSY, "a transaction is open: write to its draft");
  }
  if (!share->in_batch) return &msl_push_receipt(L, index)->receipt;
  lua_getiuservalue(L, index, MSL_SHARE_BATCH);
  return NULL;
}

/* Pushes the receipt of a write to the share at `index`. */
static void push_receipt(lua_State *L, call *self, int index) {
  *self = (call){.share = lua_touserdata(L, index), .is_mistake = true};
  self->error.status = MS_OK;
  self->receipt = msl_push_write_receipt(L, index);
}

/* A method: the share is argument 1. Pushes the receipt, at `top` + 1. */
static void begin(lua_State *L, call *self, int top) {
  msl_check_open_share(L, 1);
  lua_settop(L, top);
  push_receipt(L, self, 1);
}

/* The receipt is on top of the stack. */
static int end(lua_State *L, call *self, ms_status status) {
  msl_finish(&self->error, status);
  ms_path_release(self->path);
  msl_content_fini(&self->content);
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

static ms_status refuse_nil(lua_State *L, call *self, int index) {
  if (!lua_isnil(L, index)) return MS_OK;
  return msl_fail(&self->error, MS_EARGUMENT, "value: nil; share:unset(path) removes");
}

/* One operator at the path, or with the fields of `single` that the caller has filled. */
static ms_status write_single(call *self, ms_write *single) {
  ms_status status = msl_stamp_now(&self->content, self->share->share, &single->wall_ms);
  if (status != MS_OK) return status;
  self->is_mistake = false;
  single->path = self->path;
  single->operand = self->content.value;
  return msl_share_write(self->share, single, self->receipt, &self->error);
}

static ms_status write(call *self, ms_operator op) {
  ms_write single;
  ms_write_init(&single);
  single.op = op;
  return write_single(self, &single);
}

typedef struct set_options {
  int64_t ttl_ms;
} set_options;
static const msl_option set_option_list[] = {
    {"ttl", MSL_OPTION_TTL, offsetof(set_options, ttl_ms)},
    {NULL, MSL_OPTION_BOOL, 0},
};

/* set(path, value, options) */
static int share_set(lua_State *L) {
  call self;
  ms_write single;
  set_options options = {-1};
  msl_check_open_share(L, 1);
  lua_settop(L, 4);
  msl_check_options(L, 4, set_option_list, &options);
  begin(L, &self, 4);
  ms_write_init(&single);
  single.ttl_ms = options.ttl_ms;
  ms_operator op = MS_OP_SET;
  ms_status status = read_path(L, &self);
  if (status == MS_OK) status = refuse_nil(L, &self, 3);
  if (status == MS_OK) {
    const msl_where where = {self.path, NULL, 0};
    status = msl_read_assigned(L, 3, &where, &op, &self.content, &self.error);
  }
  if (status == MS_OK && op != MS_OP_SET && options.ttl_ms >= 0) {
    status = msl_fail(&self.error, MS_EARGUMENT, "option \"ttl\": not with an operator");
  }
  single.op = op;
  if (status == MS_OK) status = write_single(&self, &single);
  return end(L, &self, status);
}

/* unset(path) */
static int share_unset(lua_State *L) {
  call self;
  begin(L, &self, 2);
  ms_status status = read_path(L, &self);
  self.content.value = ms_value_null();
  if (status == MS_OK) status = write(&self, MS_OP_UNSET);
  return end(L, &self, status);
}

/* inc(path, by): by 1 when it is left out. */
static int share_inc(lua_State *L) {
  call self;
  begin(L, &self, 3);
  ms_status status = read_path(L, &self);
  if (status == MS_OK && lua_isnil(L, 3)) {
    status = ms_value_new_int(NULL, 1, &self.content.value);
  } else if (status == MS_OK && lua_type(L, 3) != LUA_TNUMBER) {
    status = msl_fail(&self.error, MS_EARGUMENT, "by: number expected, got %s",
                      luaL_typename(L, 3));
  } else if (status == MS_OK) {
    status = msl_read_value(L, 3, NULL, &self.content.value, &self.error);
  }
  if (status == MS_OK) status = write(&self, MS_OP_INC);
  return end(L, &self, status);
}

/* push(path, value) */
static int share_push(lua_State *L) {
  call self;
  begin(L, &self, 3);
  ms_status status = read_path(L, &self);
  if (status == MS_OK) status = refuse_nil(L, &self, 3);
  if (status == MS_OK) {
    const msl_where where = {self.path, NULL, 0};
    status = msl_read_element(L, 3, &where, "in share:push", &self.content, &self.error);
  }
  if (status == MS_OK) status = write(&self, MS_OP_PUSH);
  return end(L, &self, status);
}

/* A batch of its own gives the patch a time that is known before it is written. */
static ms_status replace_stamped(call *self) {
  ms_share *share = self->share->share;
  ms_batch *batch = NULL;
  int64_t wall_ms = 0;
  ms_status status = MS_OK;
  if (!self->share->in_batch) status = ms_batch_new(share, &batch);
  if (status == MS_OK) status = msl_stamp_now(&self->content, share, &wall_ms);
  if (status == MS_OK) {
    status = ms_share_replace(share, self->content.value, NULL, &self->error);
  }
  if (status == MS_OK && batch != NULL) {
    status = ms_batch_commit(batch, self->receipt, &self->error);
  }
  ms_batch_free(batch);
  return status;
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
  if (status == MS_OK) {
    status = msl_read_content(L, 2, NULL, &self.content, &self.error);
  }
  if (status == MS_OK && ms_value_type(self.content.value) == MS_ARRAY) {
    status =
        msl_fail(&self.error, MS_EARGUMENT, "document: an object expected, got an array");
  }
  if (status != MS_OK) return end(L, &self, status);
  self.is_mistake = false;
  if (self.content.stamps != NULL) {
    status = replace_stamped(&self);
  } else {
    status = ms_share_replace(self.share->share, self.content.value, self.receipt,
                              &self.error);
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
  if (status == MS_OK) {
    status = msl_read_update(L, 2, &self.content.value, &self.error);
  }
  if (status == MS_OK) {
    status =
        ms_update_parse(NULL, self.content.value, &options, &self.update, &self.error);
  }
  if (status == MS_OK) {
    self.is_mistake = false;
    status = ms_share_update(self.share->share, self.update, self.receipt, &self.error);
  }
  return end(L, &self, status);
}

/* ------------------------------------------------------------------ lists */

/* A list as the view shows it. */
typedef struct list_view {
  const ms_value *value; /* borrowed; an array or the empty table */
  const ms_path *path;   /* borrowed from the proxy */
  lua_Integer count;
} list_view;

/*
 * Argument 1, a proxy of a list. False: no list is there now, and nil, message, code are
 * pushed.
 */
static bool check_list(lua_State *L, const char *name, list_view *out) {
  ms_error error = {MS_OK, ""};
  if (lua_type(L, 1) != LUA_TTABLE) msl_raise_type(L, 1, name, "proxy of a list");
  if (!msl_test_proxy(L, 1, &out->value, &out->path)) {
    msl_raise(L, MS_EARGUMENT,
              "%s: proxy of a list expected; table.%s changes a plain table", name, name);
  }
  if (out->path == NULL) {
    msl_raise(L, MS_EARGUMENT, "%s: a read-only copy cannot be changed", name);
  }
  const msl_share *share = msl_push_proxy_share(L, 1);
  if (share->opens == 0) {
    msl_raise(L, MS_ECLOSED, "the %s",
              share->is_draft ? "transaction is over" : "share is closed");
  }
  lua_pop(L, 1);
  if (ms_path_count(out->path) == 0) {
    msl_raise(L, MS_EARGUMENT, "%s: the document is an object, not a list", name);
  }
  ms_type type = out->value == NULL ? MS_NULL : ms_value_type(out->value);
  if (type == MS_ARRAY || type == MS_EMPTY) {
    out->count = (lua_Integer)ms_value_count(out->value);
    return true;
  }
  msl_push_text(L, out->path);
  if (out->value == NULL) {
    msl_fail(&error, MS_EPATH, "%s: nothing is there any more", lua_tostring(L, -1));
  } else {
    msl_fail(&error, MS_ETYPE, "%s holds %s, not a list", lua_tostring(L, -1),
             ms_type_name(type));
  }
  msl_push_failure(L, &error);
  return false;
}

/* A position from 1 to `last`; nil gives `none`. */
static lua_Integer check_position(lua_State *L, int index, const char *name,
                                  const list_view *list, lua_Integer last,
                                  lua_Integer none) {
  int exact = 0;
  if (lua_isnil(L, index)) return none;
  lua_Integer position =
      lua_type(L, index) == LUA_TNUMBER ? lua_tointegerx(L, index, &exact) : 0;
  if (!exact) msl_raise_type(L, index, name, "an integer as position");
  if (position < 1 || position > last) {
    msl_push_text(L, list->path);
    msl_raise(L, MS_EARGUMENT, "%s: %s has %lld elements: %lld is outside of 1 to %lld",
              name, lua_tostring(L, -1), (long long)list->count, (long long)position,
              (long long)last);
  }
  return position;
}

/* The operand becomes [index, operand]. */
static ms_status add_index(msl_content *content, int64_t index) {
  const ms_value *number = NULL;
  const ms_value *pair = NULL;
  ms_status status = ms_value_new_array(NULL, &pair);
  if (status == MS_OK) status = ms_value_new_int(NULL, index, &number);
  if (status == MS_OK) status = ms_value_append(NULL, &pair, number);
  if (status == MS_OK) status = ms_value_append(NULL, &pair, content->value);
  ms_value_release(number);
  if (status != MS_OK) {
    ms_value_release(pair);
    return status;
  }
  ms_value_release(content->value);
  content->value = pair;
  return MS_OK;
}

/* insert(list, value), insert(list, position, value): the receipt. At the end it is a
 * plain append, which meets no other. */
static int module_insert(lua_State *L) {
  call self;
  list_view list;
  ms_write single;
  if (lua_gettop(L) < 3) {
    lua_settop(L, 2);
    lua_pushnil(L);
    lua_insert(L, 2);
  }
  lua_settop(L, 3);
  if (!check_list(L, "insert", &list)) return 3;
  lua_Integer position =
      check_position(L, 2, "insert", &list, list.count + 1, list.count + 1);
  if (lua_isnil(L, 3)) msl_raise(L, MS_EARGUMENT, "insert: a value expected, got nil");
  msl_push_proxy_share(L, 1); /* at 4 */
  push_receipt(L, &self, 4);
  self.path = ms_path_retain(list.path);
  const msl_where where = {list.path, NULL, 0};
  ms_status status =
      msl_read_element(L, 3, &where, "in memshare.insert", &self.content, &self.error);
  /* The time goes in first: its places are those of the element. */
  ms_write_init(&single);
  if (status == MS_OK) {
    status = msl_stamp_now(&self.content, self.share->share, &single.wall_ms);
  }
  ms_value_release(self.content.stamps);
  self.content.stamps = NULL;
  single.op = position <= list.count ? MS_OP_INSERT : MS_OP_PUSH;
  single.container = MS_ARRAY;
  single.guards_list = true;
  if (status == MS_OK && single.op == MS_OP_INSERT) {
    status = add_index(&self.content, position - 1);
  }
  if (status == MS_OK) status = write_single(&self, &single);
  return end(L, &self, status);
}

/* remove(list, position): the element that goes, and the receipt; nil when the list is
 * empty. Exactly the element that is returned goes, or none. */
static int module_remove(lua_State *L) {
  call self;
  list_view list;
again:
  lua_settop(L, 2);
  msl_hold *hold = msl_push_hold(L);
  if (!check_list(L, "remove", &list)) return 3;
  if (list.count == 0) {
    check_position(L, 2, "remove", &list, 1, 1);
    lua_pushnil(L);
    return 1;
  }
  hold->value = ms_value_retain(list.value);
  lua_Integer position = check_position(L, 2, "remove", &list, list.count, list.count);
  msl_push_copy(L, ms_value_at(hold->value, (size_t)(position - 1)));
  msl_push_proxy_share(L, 1); /* at 5 */
  push_receipt(L, &self, 5);
  /* Finalizers of the script may have run, and have changed the list. */
  if (!check_list(L, "remove", &list)) return 3;
  if (list.value != hold->value) goto again;
  self.path = ms_path_retain(list.path);
  ms_status status = ms_value_new_int(NULL, position - 1, &self.content.value);
  if (status == MS_OK) status = write(&self, MS_OP_REMOVE);
  int pushed = end(L, &self, status);
  if (status != MS_OK) return pushed;
  lua_remove(L, 5);
  return 2;
}

/* ---------------------------------------------------------------- opening */

const luaL_Reg msl_write_methods[] = {
    {"inc", share_inc},   {"patch", share_patch},
    {"push", share_push}, {"replace", share_replace},
    {"set", share_set},   {"unset", share_unset},
    {NULL, NULL},
};

static const luaL_Reg functions[] = {
    {"insert", module_insert},
    {"remove", module_remove},
    {NULL, NULL},
};

void msl_register_write(lua_State *L) { luaL_setfuncs(L, functions, 0); }
