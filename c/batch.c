/*
 * Batches: share:batch(fn) makes one patch of all that fn writes.
 *
 * The box owns the library's batch and is closed however fn ends: an error discards the
 * writes, and so does an attempt to yield, which raises. fn is called protected,
 * because a coroutine that dies of an error closes nothing. All writes and the batch
 * itself give the same receipt.
 */
#include "core.h"

static const char box_type[] = "memshare.batch";
enum { BOX_SHARE = 1, BOX_RECEIPT, BOX_SLOTS = BOX_RECEIPT };

typedef struct box {
  msl_share *share; /* NULL once closed */
  ms_batch *batch;
} box;

/* The box is at `index`. Cannot raise. */
static void close_box(lua_State *L, int index) {
  box *self = lua_touserdata(L, index);
  msl_share *share = self->share;
  if (share == NULL) return;
  self->share = NULL;
  ms_batch_free(self->batch);
  self->batch = NULL;
  share->in_batch = false;
  lua_getiuservalue(L, index, BOX_RECEIPT);
  msl_receipt *receipt = lua_touserdata(L, -1);
  if (receipt->is_open) {
    receipt->is_open = false;
    receipt->is_discarded = true;
  }
  lua_getiuservalue(L, index, BOX_SHARE);
  lua_pushnil(L);
  lua_setiuservalue(L, -2, MSL_SHARE_BATCH);
  lua_pop(L, 2);
}

static int box_gc(lua_State *L) {
  close_box(L, 1);
  return 0;
}

/* Pushes the box and, above it, the receipt. */
static box *push_box(lua_State *L, msl_share *share, msl_receipt **receipt) {
  box *self = lua_newuserdatauv(L, sizeof(*self), BOX_SLOTS);
  *self = (box){NULL, NULL};
  luaL_setmetatable(L, box_type);
  *receipt = msl_push_receipt(L, 1);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -3, BOX_SHARE);
  lua_pushvalue(L, -1);
  lua_setiuservalue(L, -3, BOX_RECEIPT);
  lua_pushvalue(L, -1);
  lua_setiuservalue(L, 1, MSL_SHARE_BATCH);
  ms_status status = ms_batch_new(share->share, &self->batch);
  if (status != MS_OK) msl_raise(L, status, "batch: %s", ms_status_text(status));
  self->share = share;
  share->in_batch = true;
  (*receipt)->is_open = true;
  return self;
}

int msl_share_batch(lua_State *L) {
  msl_share *share = msl_check_open_share(L, 1);
  ms_error error = {MS_OK, ""};
  msl_receipt *receipt;
  lua_settop(L, 2);
  msl_check_function(L, 2, "fn");
  if (share->in_batch) msl_raise(L, MS_EBUSY, "a batch inside a batch");
  if (share->in_transaction) msl_raise(L, MS_EBUSY, "a batch inside a transaction");
  box *self = push_box(L, share, &receipt); /* 3: the box, 4: the receipt */
  luaL_checkstack(L, 4, NULL);
  lua_pushvalue(L, 2);
  if (lua_pcall(L, 0, 0, 0) != LUA_OK) {
    close_box(L, 3);
    return lua_error(L);
  }
  ms_status status = ms_batch_commit(self->batch, &receipt->receipt, &error);
  if (status == MS_OK) receipt->is_open = false;
  close_box(L, 3);
  if (msl_finish(&error, status) != MS_OK) {
    if (msl_is_mistake(status)) return msl_raise_error(L, &error);
    return msl_push_failure(L, &error);
  }
  return 1;
}

void msl_open_batch(lua_State *L, msl_state *state) {
  (void)state;
  luaL_newmetatable(L, box_type);
  lua_pushcfunction(L, box_gc);
  lua_setfield(L, -2, "__gc");
  lua_pop(L, 1);
}
