// One counter, many processes, two languages. Beside `memshare run examples/counter.lua`:
//
//   node examples/node/counter.js [TIMES] [SECONDS BETWEEN]
//
// It needs a group that lives already: peers in Node.js never host.
import { setTimeout as sleep } from "node:timers/promises";
import { open } from "./peer.js";

const times = Number(process.argv[2] ?? 20);
const pause = Number(process.argv[3] ?? 0.5);

const share = await open("counter");
let count = share.get("count");
share.on("change", (data, { isLocal }) => {
  if (data.count !== count) console.log(`${count} -> ${data.count}  ${isLocal ? "(me)" : ""}`);
  count = data.count;
});

let receipt;
for (let i = 0; i < times; i++) {
  receipt = share.patch({ $inc: { count: 1 } });
  await sleep(pause * 1000);
}
await receipt; // accepted: from here on it survives kill -9 of this process
console.log(`count is ${share.get("count")}`);
await share.close();
