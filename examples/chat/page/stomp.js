// STOMP 1.2 (https://stomp.github.io/stomp-specification-1.2.html) over the browser's WebSocket.
// A frame is a command, headers, a blank line, a body and a NUL:
//   SEND \n destination:/topic/rooms/lobby \n content-length:13 \n\n {"text":"hi"} \0

const utf8 = new TextEncoder();
const fromUtf8 = new TextDecoder("utf-8", { ignoreBOM: true }); // keeps a BOM: it belongs to the body
const [NUL, LF, CR] = [0, 10, 13];
const ESCAPE = { "\r": "\\r", "\n": "\\n", ":": "\\c", "\\": "\\\\" };
const UNESCAPE = { "\\r": "\r", "\\n": "\n", "\\c": ":", "\\\\": "\\" };
// These two frames are never escaped, so that they work with STOMP 1.0, which has no escapes.
const isPlain = (command) => command === "CONNECT" || command === "CONNECTED";

export function encode(command, headers = {}, body = "") {
  // In bytes, not characters. With a length, a body may contain NUL.
  if (body) headers = { ...headers, "content-length": utf8.encode(body).length };
  const escape = (value) => {
    if (!isPlain(command)) return String(value).replace(/[\r\n:\\]/g, (c) => ESCAPE[c]);
    if (/[\r\n]/.test(value)) throw new Error(`${command} cannot carry a line break`);
    return value;
  };
  const lines = Object.entries(headers).map(([name, value]) => `${escape(name)}:${escape(value)}\n`);
  return `${command}\n${lines.join("")}\n${body}\0`;
}

/** Returns the frames of one WebSocket message, text or binary; none if it is only a heart-beat. */
export function decode(data) {
  const bytes = typeof data === "string" ? utf8.encode(data) : new Uint8Array(data);
  const frames = [];
  let at = 0;
  const take = (end, terminator) => {
    if (end < at || bytes[end] !== terminator) throw new Error("The server sent a malformed frame.");
    const piece = fromUtf8.decode(bytes.subarray(at, end));
    at = end + 1;
    return piece;
  };
  const line = () => take(bytes.indexOf(LF, at), LF).replace(/\r$/, "");
  for (;;) {
    while (bytes[at] === LF || bytes[at] === CR) at++; // line ends between frames are heart-beats
    if (at >= bytes.length) return frames;
    const command = line();
    const unescape = (s) => isPlain(command) ? s : s.replace(/\\.?/gs, (pair) => {
      if (pair in UNESCAPE) return UNESCAPE[pair];
      throw new Error(`The server sent an undefined escape, ${pair}`);
    });
    const headers = Object.create(null); // no prototype: a header may be named "constructor"
    for (let header; (header = line());) {
      const [, name, value] = /^([^:]+):(.*)$/s.exec(header) ?? take(-1);
      headers[unescape(name)] ??= unescape(value); // the first of repeated headers counts
    }
    const length = headers["content-length"];
    const body = take(length === undefined ? bytes.indexOf(NUL, at) : at + Number(length), NUL);
    frames.push({ command, headers, body });
  }
}

const HEART_BEAT = 10_000; // interval in ms, which we offer to send and ask to receive
const CONNECT_TIMEOUT = 10_000; // ms

export class StompClient {
  onstate = (_state) => {}; // "offline" | "connecting" | "online"
  onerror = (_error) => {}; // errors that no send() rejects with; `code` is the ERROR's `message` header
  state = "offline";
  #url; #credentials; #socket; #retry; #beat; #watchdog;
  #beatEvery = 0; #silence = 0; #wroteAt = 0; #onlineAt = 0; #failures = 0; #lastId = 0;
  #subscriptions = new Map(); // id -> { destination, callback }
  #unconfirmed = new Map(); // receipt -> { resolve, reject }

  /** `credentials` are headers of CONNECT: `login`, and `passcode` if the server needs one. */
  constructor(url, credentials) { this.#url = url; this.#credentials = credentials; }

  /** Connects, and reconnects whenever the connection is lost, until disconnect(). */
  connect() {
    if (this.#socket) return;
    clearTimeout(this.#retry);
    const socket = this.#socket = new WebSocket(this.#url, "v12.stomp");
    socket.binaryType = "arraybuffer";
    socket.onopen = () => this.#write(encode("CONNECT", { "accept-version": "1.2", ...this.#credentials,
      host: new URL(this.#url).hostname, "heart-beat": `${HEART_BEAT},${HEART_BEAT}` }));
    socket.onmessage = ({ data }) => this.#read(data);
    socket.onclose = () => this.#lost();
    this.#agree(0, CONNECT_TIMEOUT); // no heart-beats before CONNECTED
    this.#become("connecting");
  }

  disconnect() {
    if (this.state === "online") this.#write(encode("DISCONNECT"));
    this.#drop();
  }

  /** Subscribes now and after each reconnect. `callback` gets each MESSAGE as { headers, body }. */
  subscribe(destination, callback) {
    const id = String(++this.#lastId);
    this.#subscriptions.set(id, { destination, callback });
    if (this.state === "online") this.#write(encode("SUBSCRIBE", { id, destination }));
  }

  /** Sends a message. Resolves when the server confirms it, rejects when the server refuses it or the connection ends. */
  send(destination, body, headers = { "content-type": "application/json" }) {
    return new Promise((resolve, reject) => {
      if (this.state !== "online") throw new Error("There is no connection.");
      const receipt = String(++this.#lastId);
      this.#unconfirmed.set(receipt, { resolve, reject });
      this.#write(encode("SEND", { destination, receipt, ...headers }, body));
    });
  }

  #read(data) {
    this.#watch(); // any data shows that the server is alive
    // Browsers may run the timers of a hidden tab only once a minute, so incoming data triggers heart-beats too.
    if (this.#beatEvery && performance.now() - this.#wroteAt > this.#beatEvery / 4) this.#write("\n");
    try {
      data = decode(data);
    } catch (error) { // after a malformed frame the rest of the stream cannot be trusted
      this.#lost();
      return this.onerror(error);
    }
    for (const frame of data) if (this.#socket) this.#handle(frame);
  }

  #handle({ command, headers, body }) {
    const sent = this.#unconfirmed.get(headers["receipt-id"]);
    this.#unconfirmed.delete(headers["receipt-id"]);
    if (command === "CONNECTED") {
      const [theirs, wanted] = (headers["heart-beat"] ?? "0,0").split(",").map(Number);
      const slower = (interval) => interval && Math.max(interval, HEART_BEAT); // 0 means none
      this.#agree(slower(wanted), 2 * slower(theirs)); // twice the interval, as networks delay
      this.#onlineAt = performance.now();
      for (const [id, { destination }] of this.#subscriptions) this.#write(encode("SUBSCRIBE", { id, destination }));
      this.#become("online");
    } else if (command === "MESSAGE") {
      this.#subscriptions.get(headers.subscription)?.callback({ headers, body });
    } else if (command === "RECEIPT") {
      sent?.resolve();
    } else if (command === "ERROR") { // if it is fatal, the server closes the connection and onclose runs
      const error = Object.assign(new Error(body || headers.message), { code: headers.message });
      if (sent) sent.reject(error); else this.onerror(error);
    }
  }

  #write(data) {
    this.#socket.send(data);
    this.#wroteAt = performance.now();
    clearTimeout(this.#beat); // the next heart-beat is sent early, because the interval is a maximum
    if (this.#beatEvery) this.#beat = setTimeout(() => this.#write("\n"), this.#beatEvery * 0.8);
  }

  #agree(beatEvery, silence) {
    this.#beatEvery = beatEvery;
    this.#silence = silence;
    this.#watch();
    if (beatEvery) this.#write("\n"); // starts the timer
  }

  #watch() {
    clearTimeout(this.#watchdog);
    if (this.#silence) this.#watchdog = setTimeout(() => this.#lost(), this.#silence);
  }

  #lost() {
    // The back-off restarts only after a connection that lasted, so that a server that closes each connection at once
    // is not flooded.
    if (this.state === "online" && performance.now() - this.#onlineAt > 5000) this.#failures = 0;
    const longest = Math.min(5000, 1000 * 2 ** this.#failures++);
    // Jitter, so that the clients of a restarted server do not reconnect all at once.
    this.#drop(longest * (1 + Math.random()) / 2);
  }

  #drop(retryAfter) {
    for (const timer of [this.#retry, this.#beat, this.#watchdog]) clearTimeout(timer);
    if (retryAfter) this.#retry = setTimeout(() => this.connect(), retryAfter);
    if (this.#socket) { // remove the handlers first: the `close` event of a dead peer may come much later
      this.#socket.onopen = this.#socket.onmessage = this.#socket.onclose = null;
      this.#socket.close();
      this.#socket = undefined;
    }
    const error = new Error("The connection ended before the server confirmed it.");
    for (const { reject } of this.#unconfirmed.values()) reject(error);
    this.#unconfirmed.clear();
    this.#become("offline");
  }

  #become(state) {
    if (this.state !== state) this.onstate(this.state = state);
  }
}
