// Values: between JavaScript and MessagePack (docs/protocol.md, "Values").
//
//   integer       BigInt
//   float         number
//   string        string; bytes that are not UTF-8: Buffer
//   array         frozen Array
//   object        frozen object without prototype
//   empty table   EMPTY, the one value that may still become an array or an object
//
// MessagePack libraries for JavaScript do not tell 2 from 2.0. Here floats are marked while they
// are decoded and everything else becomes a BigInt, so that what was a float stays one.
import { Decoder, Encoder, ExtData, ExtensionCodec } from "@msgpack/msgpack";

const DEPTH_MAX = 100;
const INT_MIN = -(2n ** 63n);
const INT_MAX = 2n ** 63n - 1n;
const EMPTY_TYPE = 1; // the extension type of the empty table, which has no bytes

export const EMPTY = Object.freeze(Object.create(null));

/** A float even where its number is whole: new Float(2) is 2.0, the number 2 is the integer 2. */
export class Float {
  constructor(number) {
    this.number = number;
  }
}

export class ShareError extends Error {
  constructor(code, message, details) {
    super(message);
    this.code = code;
    Object.assign(this, details);
  }
}

export const isContainer = (value) =>
  typeof value === "object" && value !== null && !ArrayBuffer.isView(value);
export const isObject = (value) => isContainer(value) && !Array.isArray(value);
export const isNumber = (value) => typeof value === "bigint" || typeof value === "number";

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

// Strings are bytes: those that are UTF-8 are the same string however they were packed.
function toText(bytes) {
  try {
    return utf8.decode(bytes);
  } catch {
    return Buffer.from(bytes);
  }
}

/** What a program gives as a value, checked. Whole numbers are integers, others floats. */
export function toValue(given, depth = 0) {
  switch (typeof given) {
    case "boolean":
      return given;
    case "bigint":
      if (given >= INT_MIN && given <= INT_MAX) return given;
      throw new ShareError("ELIMIT", `${given} has more than 64 bits`);
    case "number":
      return Number.isSafeInteger(given) && !Object.is(given, -0) ? BigInt(given) : given;
    case "string":
      if (!/\p{Surrogate}/u.test(given)) return given;
      throw new ShareError("ETYPE", "half a surrogate pair is no text");
    case "object":
      break;
    default:
      throw new ShareError("ETYPE", `a ${typeof given} is no value`);
  }
  if (given === null || given === EMPTY) return given;
  if (given instanceof Float) return given.number;
  if (ArrayBuffer.isView(given)) {
    return toText(new Uint8Array(given.buffer, given.byteOffset, given.byteLength));
  }
  if (depth >= DEPTH_MAX) throw new ShareError("ELIMIT", `more than ${DEPTH_MAX} levels`);
  if (Array.isArray(given)) return Object.freeze(given.map((item) => toValue(item, depth + 1)));
  const prototype = Object.getPrototypeOf(given);
  if (prototype !== null && prototype !== Object.prototype) {
    throw new ShareError("ETYPE", `a ${prototype.constructor?.name} is no value`);
  }
  const object = Object.create(null);
  for (const [key, value] of Object.entries(given)) {
    object[toValue(key)] = toValue(value, depth + 1);
  }
  return Object.freeze(object);
}

// ------------------------------------------------------------------ MessagePack

const extensions = new ExtensionCodec();
extensions.register({
  type: EMPTY_TYPE,
  encode: (value) => (value === EMPTY ? new Uint8Array(0) : null),
  decode: (data) => (data.length === 0 ? EMPTY : new ExtData(EMPTY_TYPE, data)),
});

class WireDecoder extends Decoder {
  readF32() {
    return new Float(super.readF32());
  }

  readF64() {
    return new Float(super.readF64());
  }
}

class WireEncoder extends Encoder {
  // A number in here is a float; integers are BigInts and take the shortest form.
  encodeNumber(number) {
    this.encodeNumberAsFloat(number);
  }

  encodeBigInt64(integer) {
    if (integer >= -(2n ** 31n) && integer < 2n ** 32n) super.encodeNumber(Number(integer));
    else super.encodeBigInt64(integer);
  }
}

const decoder = new WireDecoder({
  useBigInt64: true,
  extensionCodec: extensions,
  mapKeyConverter: (key) => {
    if (typeof key === "string") return key;
    throw new ShareError("ETYPE", "this peer cannot keep keys that are not text");
  },
});
const encoder = new WireEncoder({
  useBigInt64: true,
  extensionCodec: extensions,
  maxDepth: DEPTH_MAX + 28,
});

/** As the library gives it: for settle(). */
export const decodeRaw = (bytes) => decoder.decode(bytes);

/** From what decodeRaw() gave to values as above. */
export function settle(raw) {
  if (typeof raw === "number") return BigInt(raw);
  if (typeof raw !== "object" || raw === null || raw === EMPTY) return raw;
  if (raw instanceof Float) return raw.number;
  if (ArrayBuffer.isView(raw)) return toText(raw);
  if (Array.isArray(raw)) {
    for (let i = 0; i < raw.length; i++) raw[i] = settle(raw[i]);
    return Object.freeze(raw);
  }
  if (raw instanceof ExtData) throw new ShareError("ETYPE", `extension type ${raw.type}`);
  const object = Object.create(null);
  for (const key of Object.keys(raw)) object[key] = settle(raw[key]);
  return Object.freeze(object);
}

export const decode = (bytes) => settle(decodeRaw(bytes));
/** Of values as above. */
export const encode = (value) => encoder.encode(value);

// -------------------------------------------------------------------- the order

/** An operation that this peer does not know how to apply. */
export class Unsupported extends Error {}

function rank(value) {
  if (value === null) return 0;
  if (isNumber(value)) return 1;
  if (typeof value === "boolean") return 5;
  if (!isContainer(value)) return 2;
  return Array.isArray(value) ? 4 : 3;
}

const sign = (a, b) => (a > b ? 1 : 0) - (a < b ? 1 : 0); // exact for BigInts beside numbers

function compareNumbers(a, b) {
  const noA = Number.isNaN(a), noB = Number.isNaN(b);
  return noA || noB ? (noB ? 1 : 0) - (noA ? 1 : 0) : sign(a, b);
}

function compareArrays(a, b) {
  for (let i = 0; i < a.length && i < b.length; i++) {
    const order = compare(a[i], b[i]);
    if (order !== 0) return order;
  }
  return sign(a.length, b.length);
}

function sameObjects(a, b) {
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length &&
    keys.every((key) => key in b && isEqual(a[key], b[key]));
}

/** MongoDB's order, as memcmp(); which of two different objects is the lesser is not known here. */
export function compare(a, b) {
  const kind = rank(a);
  const order = kind - rank(b);
  if (order !== 0) return order;
  switch (kind) {
    case 0: return 0;
    case 1: return compareNumbers(a, b);
    case 2: return Buffer.compare(Buffer.from(a), Buffer.from(b));
    case 4: return compareArrays(a, b);
    case 5: return sign(a, b);
  }
  if (sameObjects(a, b)) return 0;
  throw new Unsupported("the order of objects");
}

/** Equal as MongoDB compares: 2 and 2.0 are, {a: 1, b: 2} and {b: 2, a: 1} are. */
export function isEqual(a, b) {
  if (rank(a) !== rank(b)) return false;
  if (Array.isArray(a)) return a.length === b.length && a.every((item, i) => isEqual(item, b[i]));
  return isContainer(a) ? sameObjects(a, b) : compare(a, b) === 0;
}
