// Updates: from MongoDB's language to the wire form, and from there to a new document
// (docs/protocol.md, "Updates"). Documents are never changed in place.
//
// Left out: positional keys ($[], $[id]), $pull, $pullAll, $sort within $push, and whether a
// condition holds, which the host finds out. What others do with these ends in Unsupported, and the
// peer takes a snapshot instead.
import {
  EMPTY, ShareError, Unsupported, compare, isContainer, isEqual, isNumber, isObject, toValue,
} from "./values.js";

const ARRAY = 5n, ANY_CONTAINER = 7n; // types that a guard may ask for; 6 is an object
const REMOVE = Symbol("remove");
const GUARD = 0, PUSH_AT = 17, REMOVE_AT = 18, WHERE = 19, MARK = 20, POP = 14, RENAME = 12, LOCK = 21;

const isList = (value) => Array.isArray(value) || value === EMPTY;

// -------------------------------------------------------------------- operators

function mismatch(old, wanted) {
  throw new ShareError("ETYPE", `not ${wanted}: ${typeof old}`);
}

function arithmetic(old, operand, ofIntegers, ofFloats) {
  if (!isNumber(old)) mismatch(old, "a number");
  if (typeof old === "number" || typeof operand === "number") {
    return ofFloats(Number(old), Number(operand));
  }
  const result = ofIntegers(old, operand);
  if (BigInt.asIntN(64, result) !== result) throw new ShareError("EARGUMENT", "more than 64 bits");
  return result;
}

function append(old, elements) {
  if (old === undefined || old === EMPTY) return elements;
  if (!Array.isArray(old)) mismatch(old, "an array");
  return elements.length === 0 ? old : Object.freeze([...old, ...elements]);
}

function pushAt(old, [elements, position, slice, sort]) {
  if (sort !== null) throw new Unsupported("$sort");
  let list = [...append(old, [])];
  let at = position === null ? list.length : Number(position);
  if (at < 0) at = Math.max(0, list.length + at);
  list.splice(Math.min(at, list.length), 0, ...elements);
  if (slice !== null) list = slice < 0n ? list.slice(Number(slice)) : list.slice(0, Number(slice));
  return Object.freeze(list);
}

function without(list, index) {
  if (!isList(list)) mismatch(list, "an array");
  return Object.freeze(list.filter((_, i) => i !== index));
}

function bits(old, operand) {
  let number = old === undefined ? 0n : old;
  if (typeof number !== "bigint") mismatch(old, "an integer");
  if ("and" in operand) number &= operand.and;
  if ("or" in operand) number |= operand.or;
  if ("xor" in operand) number ^= operand.xor;
  return number;
}

// By code. `creates`: makes parents that are missing, else nothing happens where nothing is.
// `blocked`: nothing happens, too, where a scalar is in the way. apply(old, operand, context): what
// comes to stand there; undefined: all stays.
const OPERATORS = {
  1: { name: "$set", creates: true, apply: (_, operand) => operand },
  2: { name: "$unset", blocked: true, apply: () => REMOVE },
  3: {
    name: "$inc",
    creates: true,
    apply: (old, by) =>
      old === undefined ? by : arithmetic(old, by, (a, b) => a + b, (a, b) => a + b),
  },
  4: { name: "$push", creates: true, apply: append },
  5: {
    name: "$mul",
    creates: true,
    apply: (old, by) => arithmetic(old ?? 0n, by, (a, b) => a * b, (a, b) => a * b),
  },
  6: {
    name: "$min",
    creates: true,
    apply: (old, operand) => (old === undefined || compare(operand, old) < 0 ? operand : undefined),
  },
  7: {
    name: "$max",
    creates: true,
    apply: (old, operand) => (old === undefined || compare(operand, old) > 0 ? operand : undefined),
  },
  8: { name: "$bit", creates: true, apply: bits },
  9: {
    name: "$addToSet",
    creates: true,
    apply: (old, elements) => append(old, Array.isArray(old)
      ? elements.filter((element) => !old.some((item) => isEqual(item, element)))
      : elements),
  },
  10: { name: "$currentDate", creates: true, apply: (_, operand, context) => context.wallMs },
  11: { name: "$setOnInsert", blocked: true, apply: () => undefined },
  14: {
    name: "$pop",
    apply: (old, end) => (isList(old) && (old === EMPTY || old.length === 0)
      ? undefined
      : without(old, end < 0n ? 0 : old.length - 1)),
  },
  17: { name: "$push", creates: true, apply: pushAt },
  18: {
    name: "remove",
    apply: (old, index) => (isList(old) && (old === EMPTY || index >= old.length)
      ? mismatch(old, `an array with an element ${index}`)
      : without(old, Number(index))),
  },
};

// --------------------------------------------------------------------- applying

/** The number that a decimal without leading zeros spells, else -1. */
const indexOf = (key) => (/^(0|[1-9]\d{0,15})$/.test(key) ? Number(key) : -1);

/** The child under a key, undefined when there is none. */
export function child(container, key) {
  if (Array.isArray(container)) return container[indexOf(key)];
  return isObject(container) && key in container ? container[key] : undefined;
}

const isSamePath = (a, b) => a.length === b.length && a.every((key, i) => key === b[i]);

class Engine {
  constructor(root, wallMs) {
    this.root = root;
    this.wallMs = wallMs;
    this.guard = null; // the last one of the group
  }

  // From the root as far as the path leads.
  walk(path) {
    const at = [this.root];
    for (const key of path) {
      const next = child(at.at(-1), key);
      if (next === undefined) break;
      at.push(next);
    }
    return at;
  }

  // Does a guard say that the empty table above this key is to be an array?
  wantsArray(path, depth) {
    return this.guard !== null && this.guard.type === ARRAY &&
      isSamePath(this.guard.path, path.slice(0, depth));
  }

  isBlocked(path, at) {
    const depth = at.length - 1, container = at[depth];
    if (depth === path.length) return false;
    if (Array.isArray(container)) return indexOf(path[depth]) < 0;
    if (container === EMPTY) return indexOf(path[depth]) < 0 && this.wantsArray(path, depth);
    return !isContainer(container);
  }

  // `container` with `value` under the key at `depth` of the path.
  store(container, path, depth, value) {
    const key = path[depth];
    if (Array.isArray(container) || (container === EMPTY && this.wantsArray(path, depth))) {
      const array = container === EMPTY ? [] : [...container];
      while (array.length < indexOf(key)) array.push(null);
      array[indexOf(key)] = value;
      return Object.freeze(array);
    }
    const object = Object.assign(Object.create(null), container);
    object[key] = value;
    return Object.freeze(object);
  }

  // Puts `value` at the path; at[] is what walk() found.
  put(path, at, value) {
    let depth = at.length - 1;
    for (let i = path.length - 1; i > depth; i--) {
      value = Object.freeze(Object.assign(Object.create(null), { [path[i]]: value }));
    }
    if (depth < path.length) value = this.store(at[depth], path, depth, value);
    while (--depth >= 0) value = this.store(at[depth], path, depth, value);
    this.root = value;
  }

  remove(path, at) {
    const parent = at[path.length - 1], key = path.at(-1);
    if (Array.isArray(parent)) {
      this.put(path, at, null);
      return;
    }
    const object = Object.assign(Object.create(null), parent);
    delete object[key];
    this.put(path.slice(0, -1), at.slice(0, -1), Object.freeze(object));
  }

  run(code, path, operand) {
    const operator = OPERATORS[code];
    if (operator === undefined) throw new Unsupported(`operator ${code}`);
    const at = this.walk(path);
    if (this.isBlocked(path, at)) {
      if (operator.blocked) return;
      throw new ShareError("EPATH", `${operator.name}: "${path.join(".")}" is blocked`);
    }
    const old = at.length > path.length ? at[path.length] : undefined;
    if (old === undefined && !operator.creates) return;
    const value = operator.apply(old, operand, this);
    if (value === REMOVE) this.remove(path, at);
    else if (value !== undefined && value !== old) this.put(path, at, value);
  }

  rename(path, target) {
    const fail = (text) => {
      throw new ShareError("EPATH", `$rename: "${text.join(".")}" is blocked`);
    };
    const from = this.walk(path);
    if (this.isBlocked(path, from)) fail(path);
    if (from.length <= path.length) return;
    if (from.slice(0, -1).some(Array.isArray)) fail(path);
    const value = from.at(-1);
    this.remove(path, from);
    const to = this.walk(target);
    if (to.slice(0, target.length).some(Array.isArray) || this.isBlocked(target, to)) fail(target);
    if (to.length <= target.length || !isEqual(to.at(-1), value)) this.put(target, to, value);
  }

  ask(path, type) {
    this.guard = { path, type };
    const at = this.walk(path);
    const container = at.at(-1);
    const fits = at.length > path.length && isContainer(container) &&
      (container === EMPTY || type === ANY_CONTAINER ||
        Array.isArray(container) === (type === ARRAY));
    if (!fits && path.length > 0) throw new ShareError("EPATH", `"${path.join(".")}" is gone`);
  }
}

/** The document after an update in its wire form. Throws ShareError or Unsupported. */
export function apply(root, wire, wallMs) {
  const engine = new Engine(root, wallMs);
  for (const group of wire) {
    engine.guard = null;
    for (const operation of group) {
      const isPlain = Array.isArray(operation) && operation.length === 3;
      if (!isPlain) throw new Unsupported("positional keys");
      const [code, path, operand] = operation;
      switch (Number(code)) {
        case GUARD: engine.ask(path, operand); break;
        case RENAME: engine.rename(path, operand); break;
        case WHERE: // the host has asked
        case MARK: break;
        default:
          if (Number(code) >= LOCK) break; // it and those after it: of the desk, not of the document
          engine.run(Number(code), path, operand);
      }
    }
  }
  return engine.root;
}

// -------------------------------------------------------------------- compiling

function fail(code, message) {
  throw new ShareError(code, message);
}

/** The keys of a dotted path. */
export function parsePath(text) {
  const keys = typeof text === "string" ? text.split(".") : [];
  if (keys.length === 0 || keys.includes("")) fail("EPATH", `"${text}" is no path`);
  if (keys.some((key) => key.startsWith("$"))) {
    fail("EOPERATOR", `"${text}": this peer does not know positional keys`);
  }
  return keys.map((key) => toValue(key));
}

const isWhole = (value) => typeof value === "bigint";

function toNumber(value) {
  return isNumber(value) ? value : fail("EARGUMENT", "a number is needed");
}

function each(given, known) {
  if (!isObject(given) || !("$each" in given)) return { $each: [given] };
  const extra = Object.keys(given).find((key) => key !== "$each" && !known.includes(key));
  if (extra !== undefined) fail("EARGUMENT", `"${extra}" beside $each`);
  return Array.isArray(given.$each) ? given : fail("EARGUMENT", "$each needs an array");
}

function compilePush(given) {
  const { $each, $position = null, $slice = null } = each(given, ["$position", "$slice"]);
  for (const number of [$position, $slice]) {
    if (number !== null && !isWhole(number)) fail("EARGUMENT", "a whole number is needed");
  }
  if ($position === null && $slice === null) return [4, $each];
  return [PUSH_AT, [$each, $position, $slice, null]];
}

function compileSet(given) {
  const elements = each(given, []).$each;
  const isFirst = (one, i) => elements.findIndex((other) => isEqual(one, other)) === i;
  return [9, elements.filter(isFirst)];
}

function compileBit(given) {
  const keys = isObject(given) ? Object.keys(given) : [];
  const fits = keys.length > 0 &&
    keys.every((key) => ["and", "or", "xor"].includes(key) && isWhole(given[key]));
  return fits ? [8, given] : fail("EARGUMENT", "$bit needs integers under and, or, xor");
}

// From the operand in a document to [code, operand] on the wire.
const COMPILERS = {
  $set: (given) => [1, given],
  $unset: () => [2, null],
  $inc: (given) => [3, toNumber(given)],
  $push: compilePush,
  $mul: (given) => [5, toNumber(given)],
  $min: (given) => [6, given],
  $max: (given) => [7, given],
  $bit: compileBit,
  $addToSet: compileSet,
  $currentDate: () => [10, null],
  $rename: (given) => [RENAME, parsePath(given)],
  $pop: (given) => [POP, given === 1n || given === -1n ? given : fail("EARGUMENT", "not 1 or -1")],
};

// Indexes by value and before names, names by their bytes; a path before those it begins.
function compareKeys(a, b) {
  const left = indexOf(a), right = indexOf(b);
  if (left >= 0 || right >= 0) {
    return left >= 0 && right >= 0 ? left - right : left >= 0 ? -1 : 1;
  }
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

function comparePaths(a, b) {
  for (let i = 0; i < a.length && i < b.length; i++) {
    const order = compareKeys(a[i], b[i]);
    if (order !== 0) return order;
  }
  return a.length - b.length;
}

function checkOverlap(operations) {
  const paths = operations.flatMap(([code, path, operand]) =>
    (Number(code) === RENAME ? [path, operand] : [path]));
  paths.sort(comparePaths);
  for (let i = 1; i < paths.length; i++) {
    const before = paths[i - 1];
    if (isSamePath(before, paths[i].slice(0, before.length))) {
      fail("EOVERLAP", `"${before.join(".")}" and "${paths[i].join(".")}" overlap`);
    }
  }
}

/** The operations of an update document, in the order of the wire. */
export function compile(document) {
  const operations = [];
  for (const [name, fields] of Object.entries(document)) {
    const compiler = Object.hasOwn(COMPILERS, name) ? COMPILERS[name] : null;
    if (compiler === null) fail("EOPERATOR", `this peer does not know ${name}`);
    for (const [text, given] of Object.entries(fields)) {
      const [code, operand] = compiler(toValue(given));
      operations.push([BigInt(code), parsePath(text), operand]);
    }
  }
  if (operations.length === 0) fail("EARGUMENT", "an update without operators");
  operations.sort((a, b) => comparePaths(a[1], b[1]));
  checkOverlap(operations);
  return operations;
}

/** [19, [], query]: the host applies the rest only where the query holds. */
export const condition = (query) => [BigInt(WHERE), [], toValue(query)];

// At which place of its own list the operation works, counted from the start; -1: at none.
function ownPosition([code, , operand]) {
  if (Number(code) === REMOVE_AT) return Number(operand);
  const isCounted = Number(code) === PUSH_AT && operand[1] !== null && operand[1] >= 0n;
  return isCounted ? Number(operand[1]) : -1;
}

/**
 * Which arrays the operations enter by position, for the host (docs/protocol.md, "Marks").
 * `isPending`: own patches are undecided, so that every position hangs on what becomes of them.
 */
export function marks(operations, committed, before, after, isPending) {
  const found = new Map();
  const note = (path, isBeyond) => {
    const key = JSON.stringify(path);
    found.set(key, [BigInt(MARK), path, isBeyond || (found.get(key)?.[2] ?? false)]);
  };
  const isBeyond = (list, position) => isPending || !Array.isArray(list) || position >= list.length;
  for (const operation of operations) {
    const [code, path] = operation;
    let then = committed, now = before, next = after;
    for (let i = 0; i < path.length; i++) {
      const position = indexOf(path[i]);
      if (position >= 0 && (Array.isArray(now) || Array.isArray(next))) {
        note(path.slice(0, i), isBeyond(then, position) || !Array.isArray(now));
      }
      [then, now, next] = [then, now, next].map((value) => child(value, path[i]));
    }
    const position = ownPosition(operation);
    if (position >= 0 && isBeyond(then, position)) note(path, true);
    if (Number(code) === POP && isPending && Array.isArray(now)) note(path, true);
  }
  return [...found.values()];
}
