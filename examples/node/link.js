// Frames over a socket: 4 bytes of length, the highest first, then that many bytes.
const PREFIX_BYTES = 4;
const FRAME_MAX = 16777216 + 65536;

/** Calls onFrame(bytes) for each frame, and onEnd(reason) once. */
export class Link {
  constructor(socket, onFrame, onEnd) {
    this.socket = socket;
    this.chunks = [];
    this.bytes = 0;
    this.ended = false;
    this.onFrame = onFrame;
    this.onEnd = onEnd;
    socket.on("data", (chunk) => this.#take(chunk));
    socket.on("error", (error) => this.#end(error.message));
    socket.on("close", () => this.#end("end of file"));
  }

  send(bytes) {
    if (this.ended) return;
    const prefix = Buffer.alloc(PREFIX_BYTES);
    prefix.writeUInt32BE(bytes.length);
    this.socket.cork();
    this.socket.write(prefix);
    this.socket.write(bytes);
    process.nextTick(() => this.socket.uncork());
  }

  /** No event follows. `flush`: what was sent is written first. */
  close(flush) {
    this.ended = true;
    if (flush) this.socket.end();
    else this.socket.destroy();
  }

  #end(reason) {
    if (this.ended) return;
    this.ended = true;
    this.socket.destroy();
    this.onEnd(reason);
  }

  // Joins chunks only when a whole frame is there.
  #take(chunk) {
    this.chunks.push(chunk);
    this.bytes += chunk.length;
    while (!this.ended && this.bytes >= PREFIX_BYTES) {
      if (this.chunks[0].length < PREFIX_BYTES) this.chunks = [Buffer.concat(this.chunks)];
      const length = this.chunks[0].readUInt32BE(0);
      if (length === 0 || length > FRAME_MAX) {
        this.#end(`frame of ${length} bytes`);
        return;
      }
      if (this.bytes < PREFIX_BYTES + length) return;
      const all = this.chunks.length === 1 ? this.chunks[0] : Buffer.concat(this.chunks);
      const rest = all.subarray(PREFIX_BYTES + length);
      this.chunks = rest.length > 0 ? [rest] : [];
      this.bytes = rest.length;
      this.onFrame(all.subarray(PREFIX_BYTES, PREFIX_BYTES + length));
    }
  }
}
