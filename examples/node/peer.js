// A peer of a share in Node.js: it joins, keeps a replica, reads, writes and hears what became of
// its writes, and follows the group from host to host. It never hosts, and it holds no member lock:
// it is a "linked" member, whose link is its only sign of life (docs/protocol.md).
//
//   import { open } from "./peer.js";
//   const share = await open("arena");
//   share.data;                                        // what this peer sees now, frozen
//   await share.patch({ $inc: { "players.alice.hp": -10 } });
//   share.on("change", (data, change) => ...);
//   await share.close();
import { EventEmitter } from "node:events";
import { randomBytes } from "node:crypto";
import path from "node:path";
import { Link } from "./link.js";
import { checkName, dial, locate, look } from "./rendezvous.js";
import { apply, child, compile, condition, marks, parsePath } from "./update.js";
import { ShareError, Unsupported, decode, decodeRaw, encode, settle } from "./values.js";

export { EMPTY, Float, ShareError } from "./values.js";

const PROTOCOL = 2n;
const HELLO = 1n, PATCH = 5n, SYNC = 9n, BYE = 11n;
const JOINED = 3n, RETIRED = 4n, ACCEPTED = 1n;
const REFUSED_VERSION = 3n;
const RETRY_FIRST_MS = 1, RETRY_LAST_MS = 20, TICK_MS = 500;
const QUEUE_MAX = 65536, PATCH_BYTES_MAX = 16777216;

const CODES = [
  "OK", "EPATH", "ETYPE", "EOVERLAP", "EOPERATOR", "EARGUMENT", "ECONFLICT", "ECONDITION", "ELIMIT",
  "EDENIED", "EREADONLY", "ETIMEDOUT", "ECLOSED", "EBUSY", "ENOENT", "ENOHOST", "EVERSION",
  "EWRONGTHREAD", "ENOMEM",
];

class ProtocolError extends Error {}

function demand(holds, what) {
  if (!holds) throw new ProtocolError(what);
}

const randomId = () => (randomBytes(8).readBigUInt64LE() & (2n ** 61n - 1n)) || 1n;

const memberOf = ([pid, since, program, readonly, canHost, linked]) =>
  ({ pid, since, program, readonly, canHost, linked });

/**
 * Join a share that lives.
 * Options: dir; timeout in ms (5000); readonly; program, shown to others.
 */
export async function open(name, options = {}) {
  checkName(name);
  const share = new Share(name, options);
  await share.ready(options.timeout ?? 5000);
  return share;
}

/** Events: "change" (data, change), "reject" (error), "state" (state, reason). */
export class Share extends EventEmitter {
  #directory;
  #link = null;
  #dialled = 0n; // the term that the link was dialled for
  #isReady = false; // greeted and complete: patches may be sent
  #snapshot = null; // one that is arriving
  #retry = null;
  #retryMs = 0;
  #ticker;
  #member;

  #isKnown = false; // this id was admitted
  #isComplete = false; // the document at `version` is here
  #submitted = 0n; // the last own number
  #sent = 0n;
  #base = 0n;
  #clock = 0n; // the highest timestamp seen
  #committed;
  #view;
  #pending = []; // own patches without a decision, in order
  #syncs = new Map();
  #token = 0n;

  constructor(name, { dir, readonly = false, program } = {}) {
    super();
    this.name = name;
    this.state = "joining";
    this.id = randomId();
    this.group = undefined;
    this.version = 0n;
    this.host = undefined;
    this.snapshots = 0;
    this.members = new Map();
    this.#directory = locate(dir);
    program ??= path.basename(process.argv[1] ?? "node");
    while (Buffer.byteLength(program) > 63) program = program.slice(0, -1);
    this.#member = [BigInt(process.pid), BigInt(Date.now()), program, readonly, false, true];
    this.#ticker = setInterval(() => this.#tick(), TICK_MS);
    this.#soon(0);
  }

  // ------------------------------------------------------------------ reading

  /** The whole document with this peer's own undecided writes; frozen, and new after each change. */
  get data() {
    return this.#view;
  }

  /** The value at a dotted path, undefined when nothing is there. */
  get(dotted) {
    return parsePath(dotted).reduce(child, this.#view);
  }

  /** Own patches without a decision. */
  get pending() {
    return this.#pending.length;
  }

  // ------------------------------------------------------------------ writing

  /**
   * One patch: a MongoDB update document, whole or not at all. It shows in `data` at once; the promise
   * is fulfilled with { version } when the group has accepted it, and rejected with a ShareError
   * when it has not. `where`: a query that must hold when it is decided; such a patch shows once it is
   * accepted.
   */
  patch(update, { where } = {}) {
    if (this.state === "closed") throw new ShareError("ECLOSED", "the share is closed");
    if (this.#member[3]) throw new ShareError("EREADONLY", "this peer is read-only");
    if (this.#view === undefined) throw new ShareError("ENOHOST", "not complete yet");
    if (this.#pending.length >= QUEUE_MAX) throw new ShareError("EBUSY", "too many patches wait");
    const wallMs = BigInt(Date.now());
    const operations = compile(update);
    const before = this.#view;
    const after = where === undefined ? apply(before, [operations], wallMs) : before;
    const wire = [operations];
    if (where !== undefined) wire.unshift([condition(where)]);
    const marked = marks(operations, this.#committed, before, after, this.#pending.length > 0);
    if (marked.length > 0) wire.unshift(marked);
    return this.#submit(wire, wallMs, after, where !== undefined);
  }

  set(dotted, value) {
    return this.patch({ $set: { [dotted]: value } });
  }

  /** All that was committed when it is called has been seen. */
  sync() {
    if (this.state === "closed") return Promise.reject(new ShareError("ECLOSED", "closed"));
    const token = ++this.#token;
    return new Promise((resolve, reject) => {
      this.#syncs.set(token, { resolve, reject });
      if (this.#isReady) this.#send([SYNC, token]);
    });
  }

  /** Fulfilled once the document is here. */
  ready(timeoutMs) {
    return this.#until(() => this.#isReady, timeoutMs, () =>
      new ShareError(this.group === undefined ? "ENOENT" : "ENOHOST",
        `no host of "${this.name}" answered in ${timeoutMs} ms`)).catch((error) => {
      this.#finish(error);
      throw error;
    });
  }

  /** Leave: own patches are decided first, for at most `timeoutMs`. */
  async close(timeoutMs = 1000) {
    if (this.state === "closed") return;
    if (this.#pending.length > 0) {
      await this.#until(() => this.#pending.length === 0, timeoutMs, () => null).catch(() => {});
    }
    if (this.#isKnown && this.#link) this.#send([BYE]);
    this.#link?.close(true);
    this.#finish(new ShareError("ECLOSED", "the share was closed"));
  }

  #until(holds, timeoutMs, failure) {
    return new Promise((resolve, reject) => {
      const look = () => {
        if (this.state === "closed") end(reject, this.failure);
        else if (holds()) end(resolve);
      };
      const timer = setTimeout(() => end(reject, failure()), timeoutMs);
      const end = (settleWith, value) => {
        clearTimeout(timer);
        this.off("step", look);
        settleWith(value);
      };
      this.on("step", look);
      look();
    });
  }

  #submit(wire, wallMs, after, isConditional) {
    const update = encode(wire);
    if (update.length > PATCH_BYTES_MAX) throw new ShareError("ELIMIT", "the patch is too large");
    const now = process.hrtime.bigint();
    const patch = { number: ++this.#submitted, wire, wallMs, isConditional };
    patch.timestamp = this.#clock = now > this.#clock ? now : this.#clock + 1n;
    patch.base = this.#base = this.version > this.#base ? this.version : this.#base;
    const receipt = new Promise((resolve, reject) => Object.assign(patch, { resolve, reject }));
    receipt.catch(() => {}); // "reject" tells of it, too
    this.#pending.push(patch);
    this.#view = after;
    this.#pump();
    return receipt;
  }

  #pump() {
    if (!this.#isReady) return;
    for (const patch of this.#pending) {
      if (patch.number <= this.#sent) continue;
      this.#send([PATCH, patch.number, patch.base, patch.timestamp, patch.wallMs, patch.wire]);
      this.#sent = patch.number;
    }
  }

  #send(message) {
    this.#link.send(encode(message));
  }

  // The committed document with what is undecided on top. What no longer applies is left out: the
  // host will say so.
  #review() {
    this.#view = this.#committed;
    for (const patch of this.#pending) {
      if (patch.isConditional) continue;
      try {
        this.#view = apply(this.#view, patch.wire, patch.wallMs);
      } catch (error) {
        if (!(error instanceof ShareError || error instanceof Unsupported)) throw error;
      }
    }
  }

  // ---------------------------------------------------------- finding the host

  #soon(ms) {
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => this.#step(), ms);
  }

  #later() {
    this.#retryMs = Math.min(this.#retryMs * 1.25 || RETRY_FIRST_MS, RETRY_LAST_MS);
    this.#soon(this.#retryMs);
  }

  #step() {
    if (this.state === "closed" || this.#link) return;
    let found;
    try {
      found = look(this.#directory, this.name);
      if (found) this.#dial(found);
      else this.#later();
    } catch (error) {
      if (error instanceof ShareError) this.#finish(error);
      else this.#later();
    }
  }

  #dial({ group, term }) {
    if (this.group !== undefined && this.group !== group) this.#forget("another group lives here now");
    this.group = group;
    this.#dialled = term;
    const socket = dial(this.#directory, this.name, term);
    const link = new Link(socket, (bytes) => this.#frame(bytes), (reason) => this.#lost(reason));
    this.#link = link;
    socket.once("connect", () => link.send(encode([
      HELLO, PROTOCOL, group, this.id, this.#isKnown, this.#isComplete, this.version,
      this.#submitted - BigInt(this.#pending.length), this.#member,
    ])));
  }

  // The host is gone, or was left.
  #lost(reason) {
    const wasReady = this.#isReady;
    this.#link = null;
    this.#isReady = false;
    this.#snapshot = null;
    if (this.state === "closed") return;
    if (wasReady) {
      this.#enter("waiting", reason);
      this.#retryMs = 0;
      this.#soon(0);
    } else {
      this.#later();
    }
  }

  #leave(reason) {
    this.#link?.close(false);
    this.#lost(reason);
  }

  // Another host may have taken over while this link still stands: a hung host closes nothing.
  #tick() {
    if (!this.#link) return;
    try {
      const found = look(this.#directory, this.name);
      if (found && (found.term > this.#dialled || found.group !== this.group)) {
        this.#leave("another host has taken over");
      }
    } catch (error) {
      this.emit("state", this.state, error.message);
    }
  }

  // This id is of no use any more. What became of the pending patches nobody can tell.
  #forget(reason) {
    this.id = randomId();
    this.#isKnown = this.#isComplete = false;
    this.version = this.#base = 0n;
    this.members.clear();
    this.group = undefined;
    const unknown = new ShareError("ENOHOST", `outcome unknown: ${reason}`);
    for (const patch of this.#pending.splice(0)) this.#refuse(patch, unknown);
    this.#sent = this.#submitted;
  }

  #enter(state, reason) {
    this.state = state;
    this.emit("state", state, reason);
    this.emit("step");
  }

  #finish(error) {
    if (this.state === "closed") return;
    this.failure = error;
    this.state = "closed";
    clearInterval(this.#ticker);
    clearTimeout(this.#retry);
    if (this.#link && !this.#link.ended) this.#link.close(false);
    this.#link = null;
    this.#isReady = false;
    for (const patch of this.#pending.splice(0)) this.#refuse(patch, error);
    for (const { reject } of this.#syncs.values()) reject(error);
    this.#syncs.clear();
    this.#enter("closed", error.message);
  }

  // ----------------------------------------------------------------- messages

  #frame(bytes) {
    try {
      this.#message(decodeRaw(bytes));
    } catch (error) {
      if (error instanceof ShareError) this.#finish(error); // a value that cannot be kept here
      else if (error instanceof Unsupported) this.#resync(error.message);
      else if (error instanceof ProtocolError || error instanceof RangeError) this.#leave(error.message);
      else throw error;
    }
  }

  #message(raw) {
    demand(Array.isArray(raw), "a frame that is no message");
    if (raw[0] === 7) { // its bytes are no string
      this.#piece(settle(raw[1]), raw[2]);
      return;
    }
    const [number, ...fields] = settle(raw);
    switch (number) {
      case 2n: this.#welcome(...fields); break;
      case 3n: this.#refused(...fields); break;
      case 4n: this.#entry(fields); break;
      case 6n: this.#beginSnapshot(...fields); break;
      case 8n: this.#endSnapshot(); break;
      case 10n: this.#synced(...fields); break;
      case 11n: break; // BYE: the end of the link follows
      default: demand(false, `message ${number}`);
    }
  }

  #welcome(protocol, group, host, term, version, decided, catchUp) {
    demand(protocol === PROTOCOL && term === this.#dialled && group === this.group, "a strange WELCOME");
    demand(decided <= this.#submitted, "a last decided number that cannot be");
    this.#isKnown = true;
    this.host = host;
    this.#sent = decided;
    if (catchUp) this.#becomeReady();
  }

  #refused(code, message) {
    if (code === REFUSED_VERSION) {
      this.#finish(new ShareError("EVERSION", `the host refuses: ${message}`));
      return;
    }
    if (code <= 2n) this.#forget(message); // this id has left, or the group is another one
    this.#leave(message);
  }

  #becomeReady() {
    this.#isReady = true;
    this.#retryMs = 0;
    for (const token of this.#syncs.keys()) this.#send([SYNC, token]);
    this.#pump();
    this.#enter("client");
  }

  #synced(token, version) {
    demand(this.#isReady && version <= this.version, "SYNCED out of place");
    this.#syncs.get(token)?.resolve(version);
    this.#syncs.delete(token);
  }

  // ---------------------------------------------------------------- snapshots

  #beginSnapshot(version, clock, indexBytes, members) {
    demand(this.#isKnown && !this.#isReady && !this.#snapshot, "a snapshot out of place");
    this.#snapshot = { version, clock, members, pieces: [], entries: [] };
  }

  #piece(part, bytes) {
    demand(this.#snapshot, "a piece of no snapshot");
    if (part === 1n) this.#snapshot.pieces.push(bytes); // the others are for hosts and locks
  }

  #endSnapshot() {
    const { version, clock, members, pieces, entries } = this.#snapshot ?? {};
    const self = members?.find(([id]) => id === this.id);
    demand(self, "a snapshot that does not know this peer");
    this.#committed = decode(Buffer.concat(pieces));
    this.version = version;
    if (clock > this.#clock) this.#clock = clock;
    this.members = new Map(members.map((fields) => [fields[0], memberOf(fields.at(-1))]));
    this.#isComplete = true;
    this.snapshots++;
    this.#settleMissed(self);
    this.#review();
    this.emit("change", this.#view, { kind: "snapshot", version });
    for (const entry of entries) this.#apply(entry);
    this.#snapshot = null;
    this.#becomeReady();
  }

  // What was decided while this peer was away, without the reasons.
  #settleMissed([, decided, , floor, rejected]) {
    while (this.#pending.length > 0 && this.#pending[0].number <= decided) {
      const patch = this.#pending.shift();
      if (patch.number <= floor) {
        this.#refuse(patch, new ShareError("ENOHOST", "outcome unknown: too long ago"));
      } else if (rejected.includes(patch.number)) {
        this.#refuse(patch, new ShareError("ECONFLICT", "rejected while this peer was catching up"));
      } else {
        patch.resolve({ number: patch.number, version: this.version });
      }
    }
    this.#sent = decided;
  }

  // The replica cannot follow an entry: the whole document instead, under the same id. Own undecided
  // patches stay.
  #resync(reason) {
    this.#isComplete = false;
    this.#leave(`a snapshot is needed: ${reason}`);
  }

  // ------------------------------------------------------------------ entries

  #entry(fields) {
    if (this.#snapshot) this.#snapshot.entries.push(fields);
    else {
      demand(this.#isReady, "an entry out of place");
      this.#apply(fields);
      this.emit("step");
    }
  }

  #apply([version, , kind, origin, number, , timestamp, wallMs, body]) {
    demand(version === this.version + 1n, "a gap between entries");
    let committed = this.#committed;
    const update = kind === ACCEPTED || kind >= RETIRED ? body : null; // what goes with a member, too
    if (update !== null) {
      try {
        committed = apply(committed, update, wallMs);
      } catch (error) {
        // It applied at the host: then this replica is wrong, or knows less than the host.
        throw error instanceof ShareError ? new Unsupported(error.message) : error;
      }
    }
    this.#committed = committed;
    this.version = version;
    if (timestamp > this.#clock) this.#clock = timestamp;
    if (kind === JOINED) this.members.set(origin, memberOf(body));
    if (kind === RETIRED) this.members.delete(origin);
    if (kind === RETIRED && origin === this.id) {
      this.#forget("retired by the host");
      this.#leave("retired by the host");
      return;
    }
    const isOwn = origin === this.id && kind < JOINED;
    const patch = isOwn && this.#pending[0]?.number === number ? this.#pending.shift() : null;
    this.#review();
    if (patch && kind === ACCEPTED) patch.resolve({ number, version });
    else if (patch) this.#refuse(patch, rejection(version, body));
    if (update !== null) {
      this.emit("change", this.#view, { kind: "patch", version, origin, isLocal: isOwn, wallMs });
    }
  }

  #refuse(patch, error) {
    patch.reject(error);
    this.emit("reject", error);
  }
}

function rejection(version, [status, message, keys, winnerVersion, winner, winnerWallMs]) {
  return new ShareError(CODES[-Number(status)] ?? "EUNKNOWN", message, {
    version, path: keys?.join("."), winner, winnerVersion, winnerWallMs,
  });
}
