// A Node.js peer that does what its parent says. Line by line, JSON both ways:
//
//   in    {"id": 7, "code": "return share.get('n')"}     an async function body
//   out   {"id": 7, "ok": true, "value": 3} or {"id": 7, "ok": false, "error": "...", "code": "..."}
//
// Whole numbers come back as numbers of JSON. End of file on stdin ends it.
//
//   node spec/support/node_peer.js DIRECTORY_OF_THE_PEER
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const peer = await import(pathToFileURL(`${process.argv[2]}/peer.js`));
const AsyncFunction = (async () => {}).constructor;
const heard = { rejected: [], states: [], changes: 0 };
let share = null;

async function open(name, options) {
  share = await peer.open(name, options);
  share.on("reject", ({ code, message, path, winner }) => {
    heard.rejected.push({ code, message, path, winner: winner?.toString(16) });
  });
  share.on("state", (state, reason) => {
    heard.states.push(state);
    console.error(`state ${state}: ${reason ?? ""}`);
  });
  share.on("change", () => heard.changes++);
  return share.id.toString(16);
}

// Wait for events of the share until the condition holds.
function until(holds) {
  return new Promise((resolve) => {
    const look = () => {
      if (!holds()) return;
      for (const event of ["change", "state", "step"]) share.off(event, look);
      resolve(true);
    };
    for (const event of ["change", "state", "step"]) share.on(event, look);
    look();
  });
}

// The document as JSON that tells 2.0 from 2.
function text(value = share.data) {
  if (typeof value === "bigint") return `${value}`;
  if (typeof value === "number") return Number.isInteger(value) ? value.toFixed(1) : `${value}`;
  if (Array.isArray(value)) return `[${value.map(text).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const keys = Object.keys(value);
  return `{${keys.map((key) => `${JSON.stringify(key)}:${text(value[key])}`).join(",")}}`;
}

const plain = (_, value) => (typeof value === "bigint" ? Number(value) : value);
const vocabulary = { peer, heard, open, until, text };
const names = Object.keys(vocabulary);

async function serve({ id, code }) {
  let reply;
  try {
    const run = new AsyncFunction("share", ...names, code);
    const value = await run(share, ...names.map((name) => vocabulary[name]));
    reply = { id, ok: true, value: value ?? null };
  } catch (error) {
    reply = { id, ok: false, error: `${error.message}`, code: error.code };
  }
  console.log(JSON.stringify(reply, plain));
}

for await (const line of createInterface({ input: process.stdin })) serve(JSON.parse(line));
await share?.close();
process.exit(0);
