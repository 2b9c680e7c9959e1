/*
 * What MongoDB's update operators do, line by line: a document, an update, what becomes of it or why it
 * is refused. The expectations come from the server's rules, one reason a group.
 */
#include "mongo_support.h"

/* ---------------------------------------------------------------- documents */

static void test_the_form_of_an_update_is_checked_first(void **state) {
  (void)state;
  static const mst_line lines[] = {
      {"{'a': 1}", "{}", "{'a': 1}", NULL},
      {"{'a': 1}", "{'$set': {}}", "{'a': 1}", NULL},
      {"{'a': 1}", "{'$set': {}, '$inc': {}, '$push': {}, '$rename': {}}", "{'a': 1}",
       NULL},
      {"{'a': 1}", "{'a': 2}", "EOPERATOR", NULL},
      {"{'a': 1}", "{'': {'a': 1}}", "EOPERATOR", NULL},
      {"{'a': 1}", "{'$SET': {'a': 1}}", "EOPERATOR", NULL},
      {"{'a': 1}", "{'$set ': {'a': 1}}", "EOPERATOR", NULL},
      {"{'a': 1}", "{'$pushAll': {'a': [1]}}", "EOPERATOR", NULL},
      {"{'a': 1}", "{'$where': {'a': 1}}", "EOPERATOR", NULL},
      {"{'a': 1}", "{'guard': {'a': 1}}", "EOPERATOR", NULL},
      {"{'a': 1}", "{'$set': 5}", "EARGUMENT", NULL},
      {"{'a': 1}", "{'$set': 'a'}", "EARGUMENT", NULL},
      {"{'a': 1}", "{'$unset': ['a']}", "EARGUMENT", NULL},
      {"{'a': 1}", "{'$set': {'b': 1}, '$foo': {'b': 1}}", "EOPERATOR", NULL},
      /* A list of updates is one after the other. */
      {"{'a': 1}", "[{'$inc': {'a': 1}}, {'$mul': {'a': 10}}]", "{'a': 20}", NULL},
      {"{'a': 1}", "[]", "{'a': 1}", NULL},
      {"{'a': 1}", "[{'$set': {'a': 5}}, {'$inc': {'a.b': 1}}]", "EPATH", NULL},
      {"{'a': 1}", "[{'$set': {'a': 5}}, 5]", "EARGUMENT", NULL},
  };
  MST_CHECK(lines);
}

static void test_paths_are_checked_before_the_document(void **state) {
  (void)state;
  static const mst_line lines[] = {
      {"{}", "{'$set': {'': 1}}", "EPATH", NULL},
      {"{}", "{'$set': {'.': 1}}", "EPATH", NULL},
      {"{}", "{'$set': {'a.': 1}}", "EPATH", NULL},
      {"{}", "{'$set': {'.a': 1}}", "EPATH", NULL},
      {"{}", "{'$set': {'a..b': 1}}", "EPATH", NULL},
      {"{}", "{'$unset': {'a..b': 1}}", "EPATH", NULL},
      {"{}", "{'$setOnInsert': {'a..b': 1}}", "EPATH", NULL},
      {"{}", "{'$rename': {'a..b': 'c'}}", "EPATH", NULL},
      {"{}", "{'$rename': {'a': 'b.'}}", "EPATH", NULL},
      {"{}", "{'$rename': {'a': ''}}", "EPATH", NULL},
      {"{}", "{'$set': {'a.$': 1}}", "EPATH", NULL},
      {"{}", "{'$set': {'$': 1}}", "EPATH", NULL},
      {"{}", "{'$set': {'$.a': 1}}", "EPATH", NULL},
      {"{}", "{'$set': {'$[]': 1}}", "EPATH", NULL},
      {"{}", "{'$set': {'$[].a': 1}}", "EPATH", NULL},
      {"{}", "{'$set': {'$[i]': 1}}", "EPATH", "[{'i': 1}]"},
      /* Keys with a dollar are allowed below the first. */
      {"{}", "{'$set': {'a.$b': 1}}", "{'a': {'$b': 1}}", NULL},
      {"{}", "{'$set': {'a.$[': 1}}", "{'a': {'$[': 1}}", NULL},
      {"{}", "{'$set': {'a.$[]x': 1}}", "{'a': {'$[]x': 1}}", NULL},
      {"{}", "{'$set': {'a.x$': 1, 'b$': 2}}", "{'a': {'x$': 1}, 'b$': 2}", NULL},
      {"{}", "{'$set': {'a': {'$b': 1}}}", "{'a': {'$b': 1}}", NULL},
      {"{}", "{'$set': {'a': {'b.c': 1}}}", "{'a': {'b.c': 1}}", NULL},
      /* A key of an object may look like an index. */
      {"{'a': {'0': 1}}", "{'$inc': {'a.0': 1, 'a.1': 5}}", "{'a': {'0': 2, '1': 5}}",
       NULL},
      {"{}", "{'$set': {'0': 1, '1.2': 3}}", "{'0': 1, '1': {'2': 3}}", NULL},
      {"{'a': {'b.c': 1}}", "{'$set': {'a.b.c': 2}}", "{'a': {'b.c': 1, 'b': {'c': 2}}}",
       NULL},
  };
  MST_CHECK(lines);
}

static void test_paths_lead_through_what_is_there(void **state) {
  (void)state;
  static const mst_line lines[] = {
      {"{'a': null}", "{'$set': {'a.b': 1}}", "EPATH", NULL},
      {"{'a': 'x'}", "{'$set': {'a.b': 1}}", "EPATH", NULL},
      {"{'a': true}", "{'$set': {'a.0': 1}}", "EPATH", NULL},
      {"{'a': 0.5}", "{'$inc': {'a.b.c': 1}}", "EPATH", NULL},
      {"{'a': [1]}", "{'$set': {'a.0.b': 1}}", "EPATH", NULL},
      {"{'a': [null]}", "{'$push': {'a.0.b': 1}}", "EPATH", NULL},
      {"{'a': [[1]]}", "{'$set': {'a.0.1': 2}}", "{'a': [[1, 2]]}", NULL},
      {"{'a': [[1]]}", "{'$set': {'a.0.b': 2}}", "EPATH", NULL},
      {"{'a': []}", "{'$set': {'a.b': 1}}", "EPATH", NULL},
      {"{'a': [{'b': 1}]}", "{'$set': {'a.b': 1}}", "EPATH", NULL},
      {"{'a': [1]}", "{'$set': {'a.-1': 1}}", "EPATH", NULL},
      {"{'a': [1]}", "{'$set': {'a.+1': 1}}", "EPATH", NULL},
      {"{'a': [1]}", "{'$set': {'a.1e0': 1}}", "EPATH", NULL},
      {"{'a': [1]}", "{'$set': {'a.99999999999999999999': 1}}", "EPATH", NULL},
      {"{'a': [1]}", "{'$set': {'a.4294967296': 1}}", "EPATH", NULL},
      {"{'a': []}", "{'$set': {'a.1.0': 1}}", "{'a': [null, {'0': 1}]}", NULL},
      {"{'a': [1]}", "{'$set': {'a.1': 2}}", "{'a': [1, 2]}", NULL},
      {"{'a': [1]}", "{'$inc': {'a.2': 2}}", "{'a': [1, null, 2]}", NULL},
      {"{'a': [1]}", "{'$push': {'a.2': 2}}", "{'a': [1, null, [2]]}", NULL},
      {"{'a': [1]}", "{'$min': {'a.1': 2}, '$max': {'a.3': 4}}", "{'a': [1, 2, null, 4]}",
       NULL},
      {"{'a': [1]}", "{'$bit': {'a.2': {'or': 4}}}", "{'a': [1, null, 4]}", NULL},
      {"{'a': [1]}", "{'$currentDate': {'a.1': true}}", "{'a': [1, @]}", NULL},
      {"{'a': [1]}", "{'$set': {'a.12': 1, 'a.2': 3}, '$unset': {'a.0': 1}}",
       "{'a': [null, null, 3, null, null, null, null, null, null, null, null, null, 1]}",
       NULL},
      {"{'a': []}", "{'$set': {'a.1500001': 1}}", "EPATH", NULL},
      /* What only takes away makes nothing, but asks whether the path could exist. */
      {"{'a': [1]}", "{'$unset': {'a.5': 1}}", "{'a': [1]}", NULL},
      {"{'a': [1]}", "{'$unset': {'a.5.b': 1, 'b.c': 1}}", "{'a': [1]}", NULL},
      {"{'a': [1]}", "{'$unset': {'a.x': 1}}", "{'a': [1]}", NULL},
      {"{'a': 5}", "{'$unset': {'a.b.c': 1}}", "{'a': 5}", NULL},
      {"{'a': 5}", "{'$pop': {'a.b': 1}}", "EPATH", NULL},
      {"{'a': 5}", "{'$pull': {'a.b': 1}}", "EPATH", NULL},
      {"{'a': 5}", "{'$pullAll': {'a.b': [1]}}", "EPATH", NULL},
      {"{'a': null}", "{'$pull': {'a.b.c': 1}}", "EPATH", NULL},
      {"{'a': [1]}", "{'$pull': {'a.b': 1}}", "EPATH", NULL},
      {"{'a': [1]}", "{'$pop': {'a.3': 1}}", "{'a': [1]}", NULL},
      {"{'a': [1]}", "{'$pop': {'a.3.x': 1}}", "{'a': [1]}", NULL},
      {"{'a': {}}", "{'$pull': {'a.b.c': 1}, '$pullAll': {'a.d': [1]}}", "{'a': {}}",
       NULL},
      {"{}", "{'$pull': {'a': 1}, '$pullAll': {'b': [1]}, '$pop': {'c': 1}}", "{}", NULL},
      /* Nothing is inserted, so nothing can be in the way. */
      {"{'a': 5}", "{'$setOnInsert': {'a.b': 1}}", "{'a': 5}", NULL},
      {"{'a': [1]}", "{'$setOnInsert': {'a.b': 1, 'a.9': 1}}", "{'a': [1]}", NULL},
  };
  MST_CHECK(lines);
}

static void test_operations_of_one_update_fail_in_the_order_of_their_paths(void **state) {
  (void)state;
  static const mst_line lines[] = {
      {"{'a': 'x', 'b': 5}", "{'$inc': {'a': 1}, '$set': {'b.c': 1}}", "ETYPE", NULL},
      {"{'a': 5, 'b': 'x'}", "{'$inc': {'b': 1}, '$set': {'a.c': 1}}", "EPATH", NULL},
      {"{'a': {'x': 5, 'y': 'x'}}", "{'$inc': {'a.y': 1}, '$set': {'a.x.c': 1}}", "EPATH",
       NULL},
      {"{'a': [5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 'x']}",
       "{'$inc': {'a.10': 1}, '$set': {'a.9.c': 1}}", "EPATH", NULL},
      /* A $rename is done where it goes to. */
      {"{'a': 0, 'b': 'x'}", "{'$rename': {'a.a': 'c'}, '$inc': {'b': 1}}", "ETYPE",
       NULL},
      {"{'a': 0, 'd': 'x'}", "{'$rename': {'a.a': 'c'}, '$inc': {'d': 1}}", "EPATH",
       NULL},
      {"{'z': 0, 'b': 'x'}", "{'$rename': {'z.a': 'a'}, '$inc': {'b': 1}}", "EPATH",
       NULL},
      {"{'z': [1], 'b': 'x'}", "{'$rename': {'z.0': 'a'}, '$inc': {'b': 1}}", "EPATH",
       NULL},
      /* By then an array may have got the element that bars the way. */
      {"{'b': []}", "{'$rename': {'b.0.c': 'c'}, '$set': {'b.1': 1}}", "EPATH", NULL},
      {"{'b': []}", "{'$rename': {'b.0.c': 'a'}, '$set': {'b.1': 1}}", "{'b': [null, 1]}",
       NULL},
      {"{'a': 1, 'c': 5, 'b': 'x'}", "{'$rename': {'a': 'c.d'}, '$inc': {'b': 1}}",
       "ETYPE", NULL},
  };
  MST_CHECK(lines);
}

/* ---------------------------------------------------------------- conflicts */

static void test_paths_that_meet_are_refused_whatever_the_document(void **state) {
  (void)state;
  static const mst_line lines[] = {
      {"{}", "{'$set': {'a': 1, 'a.b': 1}}", "EOVERLAP", NULL},
      {"{}", "{'$set': {'a.b.c': 1, 'a': 1}}", "EOVERLAP", NULL},
      {"{}", "{'$set': {'a.0': 1}, '$push': {'a': 1}}", "EOVERLAP", NULL},
      {"{}", "{'$unset': {'a': 1}, '$pop': {'a': 1}}", "EOVERLAP", NULL},
      {"{}", "{'$setOnInsert': {'a.b': 1}, '$inc': {'a.b': 1}}", "EOVERLAP", NULL},
      {"{}", "{'$setOnInsert': {'a': 1}, '$unset': {'a.b': 1}}", "EOVERLAP", NULL},
      {"{}", "{'$currentDate': {'a': true}, '$set': {'a': 1}}", "EOVERLAP", NULL},
      {"{}", "{'$rename': {'a': 'b', 'b': 'c'}}", "EOVERLAP", NULL},
      {"{}", "{'$rename': {'a': 'c', 'b': 'c'}}", "EOVERLAP", NULL},
      {"{}", "{'$rename': {'a': 'b', 'b': 'a'}}", "EOVERLAP", NULL},
      {"{}", "{'$rename': {'a': 'c.d', 'b': 'c'}}", "EOVERLAP", NULL},
      {"{}", "{'$rename': {'a': 'b'}, '$unset': {'a': 1}}", "EOVERLAP", NULL},
      {"{}", "{'$rename': {'a': 'b'}, '$inc': {'b.c': 1}}", "EOVERLAP", NULL},
      {"{}", "{'$set': {'a.$[]': 1, 'a.0': 1}}", "EOVERLAP", NULL},
      {"{}", "{'$set': {'a.$[].b': 1, 'a.0.c': 1}}", "EOVERLAP", NULL},
      {"{}", "{'$set': {'a.$[].b': 1, 'a': 1}}", "EOVERLAP", NULL},
      {"{}", "{'$set': {'a.$[i].b': 1, 'a.$[i]': 1}}", "EOVERLAP", "[{'i': 1}]"},
      {"{}", "{'$set': {'a.$[i].b.$[]': 1, 'a.$[i].b.c': 1}}", "EOVERLAP", "[{'i': 1}]"},
      {"{}", "{'$inc': {'a.$[i].b': 1}, '$mul': {'a.$[i].b': 1}}", "EOVERLAP",
       "[{'i': 1}]"},
      /* None of these meet. */
      {"{}", "{'$set': {'a': 1, 'ab': 2, 'b.a': 3}}", "{'a': 1, 'ab': 2, 'b': {'a': 3}}",
       NULL},
      {"{}", "{'$set': {'a.b': 1, 'a.bc': 2}, '$inc': {'a.c': 3}}",
       "{'a': {'b': 1, 'bc': 2, 'c': 3}}", NULL},
      {"{'a': []}", "{'$set': {'a.0': 1, 'a.1': 2}}", "{'a': [1, 2]}", NULL},
      {"{'a': [{}, {}]}", "{'$set': {'a.$[].b': 1, 'a.$[].c': 2}}",
       "{'a': [{'b': 1, 'c': 2}, {'b': 1, 'c': 2}]}", NULL},
      {"{'a': 1}", "[{'$set': {'a': 2}}, {'$set': {'a': 3}}]", "{'a': 3}", NULL},
  };
  MST_CHECK(lines);
}

/* ------------------------------------------------------------------- fields */

static void test_set_and_unset(void **state) {
  (void)state;
  static const mst_line lines[] = {
      {"{'a': 1}", "{'$set': {'a': 1}}", "{'a': 1}", NULL},
      {"{'a': 1}", "{'$set': {'a': 1.0}}", "{'a': 1.0}", NULL},
      {"{'a': {'b': 1}}", "{'$set': {'a': {'b': 1}}}", "{'a': {'b': 1}}", NULL},
      {"{'a': {'b': 1}}", "{'$set': {'a': {}}}", "{'a': {}}", NULL},
      {"{'a': [1, 2]}", "{'$set': {'a': null}}", "{'a': null}", NULL},
      {"{'_id': 1}", "{'$set': {'_id': 2}}", "{'_id': 2}", NULL},
      {"{'a': [1, 2, 3]}", "{'$unset': {'a.1': 1}}", "{'a': [1, null, 3]}", NULL},
      {"{'a': [{'b': 1, 'c': 2}]}", "{'$unset': {'a.0.b': 1}}", "{'a': [{'c': 2}]}",
       NULL},
      {"{'a': [1, null]}", "{'$unset': {'a.1': 1}}", "{'a': [1, null]}", NULL},
      {"{'a': {'b': 1}}", "{'$unset': {'a.b': {'x': [1]}}}", "{'a': {}}", NULL},
      {"{'a': 1}", "{'$unset': {'b': 1, 'a': 1}}", "{}", NULL},
      {"{'a': [1, 2]}", "{'$unset': {'a.$[]': 1}}", "{'a': [null, null]}", NULL},
      {"{'a': 5}", "{'$unset': {'a.$[]': 1}}", "ETYPE", NULL},
      {"{'a': 5}", "{'$unset': {'a.b.$[]': 1}}", "EPATH", NULL},
      {"{'a': {}}", "{'$unset': {'a.b.$[].c': 1}}", "EPATH", NULL},
      {"{'a': 5}", "{'$setOnInsert': {'a.$[]': 1}}", "ETYPE", NULL},
      {"{}", "{'$setOnInsert': {'a.$[]': 1}}", "EPATH", NULL},
      {"{'a': 5}", "{'$setOnInsert': {'a': {'$foo': []}, 'b.c': 1}}", "{'a': 5}", NULL},
  };
  MST_CHECK(lines);
}

static void test_arithmetic_keeps_integers_whole(void **state) {
  (void)state;
  static const mst_line lines[] = {
      {"{'a': 1}", "{'$inc': {'a': 0}}", "{'a': 1}", NULL},
      {"{'a': 1}", "{'$inc': {'a': 0.0}}", "{'a': 1.0}", NULL},
      {"{'a': 1.0}", "{'$inc': {'a': 0}}", "{'a': 1.0}", NULL},
      {"{'a': 1.5}", "{'$inc': {'a': 1}}", "{'a': 2.5}", NULL},
      {"{'a': 1}", "{'$inc': {'a': -1.5}}", "{'a': -0.5}", NULL},
      {"{}", "{'$inc': {'a': 2.5, 'b.c': -3}}", "{'a': 2.5, 'b': {'c': -3}}", NULL},
      {"{'a': 9223372036854775807}", "{'$inc': {'a': 1}}", "EARGUMENT", NULL},
      {"{'a': -9223372036854775808}", "{'$inc': {'a': -1}}", "EARGUMENT", NULL},
      {"{'a': 9223372036854775807}", "{'$inc': {'a': 1.0}}",
       "{'a': 9.223372036854775808e18}", NULL},
      {"{'a': 9223372036854775807}", "{'$inc': {'a': -9223372036854775808}}", "{'a': -1}",
       NULL},
      {"{'a': 2147483647}", "{'$inc': {'a': 1}}", "{'a': 2147483648}", NULL},
      {"{'a': 1}", "{'$inc': {'a': '1'}}", "EARGUMENT", NULL},
      {"{'a': 1}", "{'$inc': {'a': null}}", "EARGUMENT", NULL},
      {"{'a': 1}", "{'$inc': {'a': true}}", "EARGUMENT", NULL},
      {"{'a': 1}", "{'$inc': {'a': [1]}}", "EARGUMENT", NULL},
      {"{'a': 1}", "{'$inc': {'a': {}}}", "EARGUMENT", NULL},
      {"{'a': '1'}", "{'$inc': {'a': 1}}", "ETYPE", NULL},
      {"{'a': null}", "{'$inc': {'a': 1}}", "ETYPE", NULL},
      {"{'a': true}", "{'$inc': {'a': 1}}", "ETYPE", NULL},
      {"{'a': [1]}", "{'$inc': {'a': 1}}", "ETYPE", NULL},
      {"{'a': {}}", "{'$mul': {'a': 1}}", "ETYPE", NULL},
      {"{'a': null}", "{'$mul': {'a': 1}}", "ETYPE", NULL},
      {"{'a': 2}", "{'$mul': {'a': 1}}", "{'a': 2}", NULL},
      {"{'a': 2}", "{'$mul': {'a': 1.0}}", "{'a': 2.0}", NULL},
      {"{'a': 2}", "{'$mul': {'a': -2.5}}", "{'a': -5.0}", NULL},
      {"{'a': 0}", "{'$mul': {'a': 7}}", "{'a': 0}", NULL},
      {"{}", "{'$mul': {'a': 5, 'b': 2.5}}", "{'a': 0, 'b': 0.0}", NULL},
      {"{'a': 4611686018427387904}", "{'$mul': {'a': 2}}", "EARGUMENT", NULL},
      {"{'a': -9223372036854775808}", "{'$mul': {'a': -1}}", "EARGUMENT", NULL},
      {"{'a': 4611686018427387904}", "{'$mul': {'a': -2}}", "{'a': -9223372036854775808}",
       NULL},
      {"{'a': 4611686018427387904}", "{'$mul': {'a': 2.0}}",
       "{'a': 9.223372036854775808e18}", NULL},
      {"{'a': 1}", "{'$mul': {'a': '2'}}", "EARGUMENT", NULL},
      {"{}", "{'$mul': {'a': false}}", "EARGUMENT", NULL},
  };
  MST_CHECK(lines);
}

static void test_min_and_max_compare_across_types(void **state) {
  (void)state;
  static const mst_line lines[] = {
      {"{'a': 1}", "{'$min': {'a': 1.0}}", "{'a': 1}", NULL},
      {"{'a': 1.0}", "{'$max': {'a': 1}}", "{'a': 1.0}", NULL},
      {"{'a': 2}", "{'$min': {'a': 1.5}}", "{'a': 1.5}", NULL},
      {"{'a': 0}", "{'$min': {'a': null}}", "{'a': null}", NULL},
      {"{'a': null}", "{'$max': {'a': -5}}", "{'a': -5}", NULL},
      {"{'a': 5}", "{'$max': {'a': ''}}", "{'a': ''}", NULL},
      {"{'a': 'z'}", "{'$max': {'a': {}}}", "{'a': {}}", NULL},
      {"{'a': {'z': 1}}", "{'$max': {'a': []}}", "{'a': []}", NULL},
      {"{'a': [true]}", "{'$max': {'a': false}}", "{'a': false}", NULL},
      {"{'a': false}", "{'$max': {'a': true}}", "{'a': true}", NULL},
      {"{'a': true}", "{'$min': {'a': [9]}}", "{'a': [9]}", NULL},
      {"{'a': 'ab'}", "{'$min': {'a': 'a'}}", "{'a': 'a'}", NULL},
      {"{'a': 'a'}", "{'$max': {'a': 'B'}}", "{'a': 'a'}", NULL},
      {"{'a': [1, 2]}", "{'$max': {'a': [1, 2, 0]}}", "{'a': [1, 2, 0]}", NULL},
      {"{'a': [1, 2]}", "{'$max': {'a': [2]}}", "{'a': [2]}", NULL},
      {"{'a': [1, 2]}", "{'$min': {'a': [1, 'x']}}", "{'a': [1, 2]}", NULL},
      {"{'a': {'x': 1}}", "{'$max': {'a': {'x': 1, 'y': null}}}",
       "{'a': {'x': 1, 'y': null}}", NULL},
      {"{'a': {'x': 1}}", "{'$max': {'a': {'x': 'a'}}}", "{'a': {'x': 'a'}}", NULL},
      {"{'a': {'x': 'a'}}", "{'$max': {'a': {'y': 1}}}", "{'a': {'x': 'a'}}", NULL},
      {"{'a': 9007199254740993}", "{'$max': {'a': 9007199254740992.0}}",
       "{'a': 9007199254740993}", NULL},
      {"{'a': 9007199254740993}", "{'$min': {'a': 9007199254740992.0}}",
       "{'a': 9007199254740992.0}", NULL},
      {"{}", "{'$min': {'a': null}, '$max': {'b.c': [1]}}",
       "{'a': null, 'b': {'c': [1]}}", NULL},
      {"{'a': [3, 'x', null]}", "{'$max': {'a.$[]': 5}}", "{'a': [5, 'x', 5]}", NULL},
  };
  MST_CHECK(lines);
}

static void test_bit_takes_integers_only(void **state) {
  (void)state;
  static const mst_line lines[] = {
      {"{'a': 13}", "{'$bit': {'a': {'and': 10}}}", "{'a': 8}", NULL},
      {"{'a': 8}", "{'$bit': {'a': {'and': 12}}}", "{'a': 8}", NULL},
      {"{'a': 1}", "{'$bit': {'a': {'xor': -1}}}", "{'a': -2}", NULL},
      {"{}", "{'$bit': {'a': {'and': 5}, 'b.c': {'or': 5}}}", "{'a': 0, 'b': {'c': 5}}",
       NULL},
      {"{'a': 1}", "{'$bit': {'a': {'and': 3, 'or': 4, 'xor': 1}}}", "{'a': 4}", NULL},
      {"{'a': 4294967295}", "{'$bit': {'a': {'and': -1}}}", "{'a': 4294967295}", NULL},
      {"{'a': 1}", "{'$bit': {'a': {'and': 1.0}}}", "EARGUMENT", NULL},
      {"{'a': 1}", "{'$bit': {'a': {'and': '1'}}}", "EARGUMENT", NULL},
      {"{'a': 1}", "{'$bit': {'a': {'and': null}}}", "EARGUMENT", NULL},
      {"{'a': 1}", "{'$bit': {'a': {'not': 1}}}", "EARGUMENT", NULL},
      {"{'a': 1}", "{'$bit': {'a': {'and': 1, 'nand': 1}}}", "EARGUMENT", NULL},
      {"{'a': 1}", "{'$bit': {'a': 5}}", "EARGUMENT", NULL},
      {"{'a': 1}", "{'$bit': {'a': []}}", "EARGUMENT", NULL},
      {"{'a': 1.0}", "{'$bit': {'a': {'or': 1}}}", "ETYPE", NULL},
      {"{'a': true}", "{'$bit': {'a': {'or': 1}}}", "ETYPE", NULL},
      {"{'a': [1]}", "{'$bit': {'a': {'or': 1}}}", "ETYPE", NULL},
  };
  MST_CHECK(lines);
}

static void test_rename_moves_between_objects_only(void **state) {
  (void)state;
  static const mst_line lines[] = {
      {"{'a': 1}", "{'$rename': {'a': 'b'}}", "{'b': 1}", NULL},
      {"{'a': {'b': [1]}, 'c': 1}", "{'$rename': {'a.b': 'c'}}", "{'a': {}, 'c': [1]}",
       NULL},
      {"{'a': 1}", "{'$rename': {'a': 'b.0.c'}}", "{'b': {'0': {'c': 1}}}", NULL},
      {"{'a': 1, 'b': {'c': 2}}", "{'$rename': {'a': 'b.d', 'b.c': 'e'}}",
       "{'b': {'d': 1}, 'e': 2}", NULL},
      {"{'a': 1, 'b': 1}", "{'$rename': {'a': 'b'}}", "{'b': 1}", NULL},
      {"{'a': 1.0, 'b': 1}", "{'$rename': {'a': 'b'}}", "{'b': 1}", NULL},
      {"{'a': null}", "{'$rename': {'a': 'b'}}", "{'b': null}", NULL},
      {"{'a': 1}", "{'$rename': {'x': 'a'}}", "{'a': 1}", NULL},
      {"{'a': {}}", "{'$rename': {'a.b.c': 'd.e'}}", "{'a': {}}", NULL},
      {"{'a': 1}", "{'$rename': {'x': 'a.b'}}", "{'a': 1}", NULL},
      {"{'a': [1]}", "{'$rename': {'x': 'a.b'}}", "{'a': [1]}", NULL},
      {"{'a': [1]}", "{'$rename': {'x': 'a.0'}}", "{'a': [1]}", NULL},
      {"{'a': [1]}", "{'$rename': {'a.5': 'b'}}", "{'a': [1]}", NULL},
      {"{'a': [1]}", "{'$rename': {'a.5.x': 'b'}}", "{'a': [1]}", NULL},
      {"{'a': [1]}", "{'$rename': {'a.0': 'b'}}", "EPATH", NULL},
      {"{'a': [1]}", "{'$rename': {'a.0.x': 'b'}}", "EPATH", NULL},
      {"{'a': [{'x': 1}]}", "{'$rename': {'a.0.x': 'b'}}", "EPATH", NULL},
      {"{'a': 1}", "{'$rename': {'a.b': 'c'}}", "EPATH", NULL},
      {"{'a': null}", "{'$rename': {'a.b': 'c'}}", "EPATH", NULL},
      {"{'a': [1], 'b': 1}", "{'$rename': {'b': 'a.0'}}", "EPATH", NULL},
      {"{'a': [1], 'b': 1}", "{'$rename': {'b': 'a.3'}}", "EPATH", NULL},
      {"{'a': [1], 'b': 1}", "{'$rename': {'b': 'a.x'}}", "EPATH", NULL},
      {"{'a': 1, 'b': 1}", "{'$rename': {'b': 'a.x'}}", "EPATH", NULL},
      {"{'a': [1], 'b': 1}", "{'$rename': {'b': 'a'}}", "{'a': 1}", NULL},
      {"{'a': 1}", "{'$rename': {'a': 'a'}}", "EARGUMENT", NULL},
      {"{'a': 1}", "{'$rename': {'a': 'a.b'}}", "EARGUMENT", NULL},
      {"{'a': 1}", "{'$rename': {'a.b.c': 'a'}}", "EARGUMENT", NULL},
      {"{'a': 1}", "{'$rename': {'a': 5}}", "EARGUMENT", NULL},
      {"{'a': 1}", "{'$rename': {'a': null}}", "EARGUMENT", NULL},
      {"{'a': 1}", "{'$rename': {'a': ['b']}}", "EARGUMENT", NULL},
      {"{'a': [1]}", "{'$rename': {'a.$[]': 'b'}}", "EARGUMENT", NULL},
      {"{'a': [1]}", "{'$rename': {'b': 'a.$[]'}}", "EARGUMENT", NULL},
      {"{'a': [1]}", "{'$rename': {'b': 'a.$[i]'}}", "EARGUMENT", NULL},
      {"{'a': [1]}", "{'$rename': {'a.$[i]': 'b'}}", "EARGUMENT", "[{'i': 1}]"},
      /* With others, which it does not meet. */
      {"{'a': 1, 'x': {}}", "{'$rename': {'a': 'x.a'}, '$set': {'x.b': 2}}",
       "{'x': {'a': 1, 'b': 2}}", NULL},
      {"{'a': {'b': 1}}", "{'$rename': {'a.b': 'c'}, '$set': {'a.d': 2}}",
       "{'a': {'d': 2}, 'c': 1}", NULL},
  };
  MST_CHECK(lines);
}

static void test_current_date_takes_a_boolean_or_a_type(void **state) {
  (void)state;
  static const mst_line lines[] = {
      {"{'a': 'x'}", "{'$currentDate': {'a': true, 'b.c': false}}",
       "{'a': @, 'b': {'c': @}}", NULL},
      {"{'a': {'b': 1}}", "{'$currentDate': {'a': {'$type': 'date'}}}", "{'a': @}", NULL},
      {"{}", "{'$currentDate': {'a': {'$type': 'timestamp'}}}", "{'a': @}", NULL},
      {"{'a': [1, 2]}", "{'$currentDate': {'a.$[]': true}}", "{'a': [@, @]}", NULL},
      {"{}", "{'$currentDate': {'a': 1}}", "EARGUMENT", NULL},
      {"{}", "{'$currentDate': {'a': null}}", "EARGUMENT", NULL},
      {"{}", "{'$currentDate': {'a': 'timestamp'}}", "EARGUMENT", NULL},
      {"{}", "{'$currentDate': {'a': {}}}", "EARGUMENT", NULL},
      {"{}", "{'$currentDate': {'a': []}}", "EARGUMENT", NULL},
      {"{}", "{'$currentDate': {'a': {'$type': 'Date'}}}", "EARGUMENT", NULL},
      {"{}", "{'$currentDate': {'a': {'$type': 9}}}", "EARGUMENT", NULL},
      {"{}", "{'$currentDate': {'a': {'type': 'date'}}}", "EARGUMENT", NULL},
      {"{'a': 1}", "{'$currentDate': {'a.b': true}}", "EPATH", NULL},
  };
  MST_CHECK(lines);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_the_form_of_an_update_is_checked_first),
      cmocka_unit_test(test_paths_are_checked_before_the_document),
      cmocka_unit_test(test_paths_lead_through_what_is_there),
      cmocka_unit_test(test_operations_of_one_update_fail_in_the_order_of_their_paths),
      cmocka_unit_test(test_paths_that_meet_are_refused_whatever_the_document),
      cmocka_unit_test(test_set_and_unset),
      cmocka_unit_test(test_arithmetic_keeps_integers_whole),
      cmocka_unit_test(test_min_and_max_compare_across_types),
      cmocka_unit_test(test_bit_takes_integers_only),
      cmocka_unit_test(test_rename_moves_between_objects_only),
      cmocka_unit_test(test_current_date_takes_a_boolean_or_a_type),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
