// The parts of a test client that do not depend on the third-party client.

import { within } from '../support.mjs';

/** The broker under test. */
export const BROKER = {
  ws: process.env.BROKER_WS,
  tcp: process.env.BROKER_TCP,
  login: process.env.BROKER_LOGIN,
  passcode: process.env.BROKER_PASSCODE,
};

/**
 * A connection of a third-party client. A subclass for each client sends the frames; its methods resolve when the broker
 * has answered, and reject at an ERROR.
 *
 * Its methods are: `send(destination, body, headers)`, `subscribe(destination, headers)`, which returns an `Inbox`,
 * `unsubscribe(inbox)`, `ack(message, headers)`, `nack(message)`, `begin(id)`, `commit(id)`, `abort(id)`, `leave()`,
 * which sends DISCONNECT and returns true if it was answered with RECEIPT, `terminate()`, which closes the connection
 * without DISCONNECT, and `stopSending()`. A message is `{ headers, body }`; the body is a Buffer.
 */
export class Peer {
  #resolveError;
  #resolveOver;
  #issued = 0;
  /** The expected answers, by receipt or as CONNECTED. */
  #open = new Map();
  /** Headers of CONNECTED. */
  headers = undefined;
  heartBeats = 0;
  /** Resolves with the headers of an ERROR. */
  error = new Promise((resolve) => (this.#resolveError = resolve));
  /** Resolves at the end of the connection. */
  over = new Promise((resolve) => (this.#resolveOver = resolve));

  static async connect(options) {
    const peer = new this({ version: '1.2', heartBeats: 0, ...BROKER, ...options });
    await peer.#answer('CONNECTED');
    return peer;
  }

  /** Calls `action` with headers that ask for a receipt, and resolves at the RECEIPT. */
  receipted(action) {
    const receipt = `receipt-${++this.#issued}`;
    const answer = this.#answer(receipt);
    action({ receipt });
    return answer;
  }

  /** Calls `action`, and resolves when the broker has answered a later frame; for clients that cannot ask for receipts. */
  followed(action) {
    action();
    return this.send('/topic/fence', 'a later frame');
  }

  /** Must be called at CONNECTED. */
  onConnected(headers) {
    this.headers = headers;
    this.#open.get('CONNECTED')?.resolve();
    this.#open.delete('CONNECTED');
  }

  /** Must be called at a RECEIPT. Returns true if `receipted` waits for it. */
  onReceipt(receipt) {
    this.#open.get(receipt)?.resolve();
    return this.#open.delete(receipt);
  }

  /** Must be called at an ERROR. */
  onError(headers) {
    this.#resolveError(headers);
    this.#fail(new Error(`ERROR: ${headers.message}`));
  }

  /** Must be called when the connection has ended. */
  onEnd(reason = 'the connection ended') {
    this.#resolveOver();
    this.#fail(new Error(reason));
  }

  #answer(name) {
    const answer = new Promise((resolve, reject) => this.#open.set(name, { resolve, reject }));
    return within(answer, name);
  }

  #fail(error) {
    for (const { reject } of this.#open.values()) reject(error);
    this.#open.clear();
  }
}

/** The messages of a subscription in order. */
export class Inbox {
  #messages = [];
  #waiting = [];

  push(message) {
    const waiting = this.#waiting.shift();
    if (waiting) waiting(message);
    else this.#messages.push(message);
  }

  /** Takes the next message, and waits for it if necessary. */
  next() {
    const message = this.#messages.shift();
    if (message) return Promise.resolve(message);
    return within(new Promise((resolve) => this.#waiting.push(resolve)), 'a message');
  }

  /** Takes the next messages, and waits for them if necessary. */
  async take(count) {
    const messages = [];
    while (messages.length < count) messages.push(await this.next());
    return messages;
  }

  /** Takes all messages that have arrived. */
  takeAll() {
    return this.#messages.splice(0);
  }
}
