// STOMP 1.2 (https://stomp.github.io/stomp-specification-1.2.html) over the browser's WebSocket.
// A frame is a command, headers, a blank line, a body and a NUL:
//   SEND \n destination:/topic/rooms/lobby \n content-length:13 \n\n {"text":"hi"} \0

const utf8 = new TextEncoder();
const fromUtf8 = new TextDecoder("utf-8", { ignoreBOM: true }); // a BOM in a body is the body's
const [NUL, LF, CR] = [0, 10, 13];
const ESCAPE = { "\r": "\\r", "\n": "\\n", ":": "\\c", "\\": "\\\\" };
const UNESCAPE = { "\\r": "\r", "\\n": "\n", "\\c": ":", "\\\\": "\\" };
// These two come before a version is agreed on, and STOMP 1.0 has no escapes.
const isPlain = (command) => command === "CONNECT" || command === "CONNECTED";

export function encode(command, headers = {}, body = "") {
  // In bytes, not characters: it is what lets a body hold a NUL.
  if (body) headers = { ...headers, "content-length": utf8.encode(body).length };
  const escape = (value) => {
    if (!isPlain(command)) return String(value).replace(/[\r\n:\\]/g, (c) => ESCAPE[c]);
    if (/[\r\n]/.test(value)) throw new Error(`${command} cannot carry a line break`);
    return value;
  };
  const lines = Object.entries(headers).map(([name, value]) => `${escape(name)}:${escape(value)}\n`);
  return `${command}\n${lines.join("")}\n${body}\0`;
}

/** The frames of one WebSocket message, text or binary; none if it is only a heart-beat. */
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
      headers[unescape(name)] ??= unescape(value); // of repeated headers the first counts
    }
    const length = headers["content-length"];
    const body = take(length === undefined ? bytes.indexOf(NUL, at) : at + Number(length), NUL);
    frames.push({ command, headers, body });
  }
}

const HEART_BEAT = 10_000; // ms: what we offer to send, and ask to receive
const CONNECT_WITHIN = 10_000;

export class StompClient {
  onstate = (_state) => {}; // "offline" | "connecting" | "online"
  onerror = (_error) => {}; // errors that belong to no send(); `code` is the ERROR's `message`
  state = "offline";
  #url; #credentials; #socket; #retry; #beat; #watchdog;
  #beatEvery = 0; #silence = 0; #wroteAt = 0; #onlineAt = 0; #failures = 0; #lastId = 0;
  #subscriptions = new Map(); // id -> { destination, callback }
  #unconfirmed = new Map(); // receipt -> { resolve, reject }

  /** `credentials` are headers of CONNECT: `login`, and `passcode` where one is needed. */
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
    this.#agree(0, CONNECT_WITHIN); // no heart-beats before CONNECTED agrees on them
    this.#become("connecting");
  }

  disconnect() {
    if (this.state === "online") this.#write(encode("DISCONNECT"));
    this.#drop();
  }

  /** Outlasts the connection. `callback` gets each MESSAGE as { headers, body }. */
  subscribe(destination, callback) {
    const id = String(++this.#lastId);
    this.#subscriptions.set(id, { destination, callback });
    if (this.state === "online") this.#write(encode("SUBSCRIBE", { id, destination }));
  }

  /** Resolves when the server confirms the message, rejects when it refuses or cannot. */
  send(destination, body, headers = { "content-type": "application/json" }) {
    return new Promise((resolve, reject) => {
      if (this.state !== "online") throw new Error("There is no connection.");
      const receipt = String(++this.#lastId);
      this.#unconfirmed.set(receipt, { resolve, reject });
      this.#write(encode("SEND", { destination, receipt, ...headers }, body));
    });
  }

  #read(data) {
    this.#watch(); // anything at all shows that the server lives
    // A hidden tab's timers may run but once a minute. Messages come in time, so they drive beats too.
    if (this.#beatEvery && performance.now() - this.#wroteAt > this.#beatEvery / 4) this.#write("\n");
    try {
      data = decode(data);
    } catch (error) { // after a broken frame there is no telling what the next means
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
      const slower = (interval) => interval && Math.max(interval, HEART_BEAT); // 0 is "none"
      this.#agree(slower(wanted), 2 * slower(theirs)); // twice, as networks delay
      this.#onlineAt = performance.now();
      for (const [id, { destination }] of this.#subscriptions) this.#write(encode("SUBSCRIBE", { id, destination }));
      this.#become("online");
    } else if (command === "MESSAGE") {
      this.#subscriptions.get(headers.subscription)?.callback({ headers, body });
    } else if (command === "RECEIPT") {
      sent?.resolve();
    } else if (command === "ERROR") { // after a fatal one the server closes, and onclose does the rest
      const error = Object.assign(new Error(body || headers.message), { code: headers.message });
      if (sent) sent.reject(error); else this.onerror(error);
    }
  }

  #write(data) {
    this.#socket.send(data);
    this.#wroteAt = performance.now();
    clearTimeout(this.#beat); // and set it somewhat early: what we promised is "at least every"
    if (this.#beatEvery) this.#beat = setTimeout(() => this.#write("\n"), this.#beatEvery * 0.8);
  }

  #agree(beatEvery, silence) {
    this.#beatEvery = beatEvery;
    this.#silence = silence;
    this.#watch();
    if (beatEvery) this.#write("\n"); // sets the timer of the next
  }

  #watch() {
    clearTimeout(this.#watchdog);
    if (this.#silence) this.#watchdog = setTimeout(() => this.#lost(), this.#silence);
  }

  #lost() {
    // Only a connection that lasted starts over, lest a server that closes at once be hammered.
    if (this.state === "online" && performance.now() - this.#onlineAt > 5000) this.#failures = 0;
    const longest = Math.min(5000, 1000 * 2 ** this.#failures++);
    // Jitter: the clients of a restarted server are not to come back all at once.
    this.#drop(longest * (1 + Math.random()) / 2);
  }

  #drop(retryAfter) {
    for (const timer of [this.#retry, this.#beat, this.#watchdog]) clearTimeout(timer);
    if (retryAfter) this.#retry = setTimeout(() => this.connect(), retryAfter);
    if (this.#socket) { // deaf from here on, for a dead peer's `close` may be long in coming
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
