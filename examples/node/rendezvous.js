// Where the host of a share is (docs/protocol.md, "The rendezvous"). Nothing here writes: a peer
// that never hosts looks at the group file and connects to a socket, that is all.
import { constants, closeSync, fstatSync, openSync, readSync } from "node:fs";
import { connect } from "node:net";
import path from "node:path";
import { ShareError } from "./values.js";

const MAGIC = 0x70756f7267736d0an; // "\nmsgroup"
const FORMAT = 1n;
const HEADER_BYTES = 56;
const TERM_OPENING = 0n, TERM_MOVED = 2n ** 64n - 1n;

/** The directory of the shares of this user. */
export function locate(directory) {
  const { MEMSHARE_DIR, XDG_RUNTIME_DIR } = process.env;
  if (directory) return path.resolve(directory);
  if (MEMSHARE_DIR) return path.resolve(MEMSHARE_DIR);
  if (XDG_RUNTIME_DIR) return path.join(XDG_RUNTIME_DIR, "memshare");
  return `/tmp/memshare-${process.geteuid()}`;
}

export function checkName(name) {
  if (/^[\w-]([\w.-]{0,62}[\w-])?$/.test(name)) return;
  throw new ShareError("EARGUMENT", `"${name}" is no name of a share`);
}

// Whoever can write into the directory could pose as a host: it has to be ours alone. All that
// follows goes through the descriptor, so the directory that was checked is the one that is used.
function openDirectory(directory) {
  const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW } = constants;
  const fd = openSync(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  const { uid, mode } = fstatSync(fd);
  if (uid === process.geteuid() && (mode & 0o077) === 0) return fd;
  closeSync(fd);
  throw new ShareError("EDENIED", `${directory} is not a directory of this user with mode 0700`);
}

function readHeader(file) {
  const fd = openSync(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const bytes = Buffer.alloc(HEADER_BYTES);
    const { uid } = fstatSync(fd);
    const read = readSync(fd, bytes, 0, HEADER_BYTES, 0);
    if (uid !== process.geteuid()) throw new ShareError("EDENIED", `${file} is another user's`);
    // One load each, and the term in one piece: 8 aligned bytes. All numbers are the machine's own.
    if (read < HEADER_BYTES || bytes.readBigUInt64LE(0) !== MAGIC || bytes.readBigUInt64LE(8) !== FORMAT) {
      throw new ShareError("EVERSION", `${file} has another format`);
    }
    return bytes;
  } finally {
    closeSync(fd);
  }
}

/** { group, term } of the share; null: none, or none that can be dialled right now. */
export function look(directory, name) {
  let fd = -1;
  try {
    fd = openDirectory(directory);
    const bytes = readHeader(`/proc/self/fd/${fd}/${name}.group`);
    const group = bytes.readBigUInt64LE(16), term = bytes.readBigUInt64LE(24);
    return term === TERM_OPENING || term === TERM_MOVED ? null : { group, term };
  } catch (error) {
    if (error.code === "ENOENT") return null;
    throw error;
  } finally {
    if (fd >= 0) closeSync(fd);
  }
}

/** A socket on its way to the host of a term. Names of sockets may be longer than the kernel takes. */
export function dial(directory, name, term) {
  const fd = openDirectory(directory);
  const socket = connect(`/proc/self/fd/${fd}/${name}.${term}.sock`);
  let isOpen = true;
  const done = () => {
    if (isOpen) closeSync(fd);
    isOpen = false;
  };
  socket.once("connect", done).once("close", done);
  return socket;
}
