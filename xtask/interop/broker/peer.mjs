// The parts that the test clients share: they do not depend on a third-party client.

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
  /** The expected answers. The keys are names of receipts, and CONNECTED. */
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

  /** For clients that cannot ask for receipts: calls `action`, and resolves when a later frame has been answered. */
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

/** The messages of a subscription, in order. */
export class Inbox {
  #messages = [];
  #waiting = [];

  push(message) {
    const waiting = this.#waiting.shift();
    if (waiting) waiting(message);
    else this.#messages.push(message);
  }

  /** Removes and returns the next message. Waits for it if necessary. */
  next() {
    const message = this.#messages.shift();
    if (message) return Promise.resolve(message);
    return within(new Promise((resolve) => this.#waiting.push(resolve)), 'a message');
  }

  /** Removes and returns the next `count` messages. Waits for them if necessary. */
  async take(count) {
    const messages = [];
    while (messages.length < count) messages.push(await this.next());
    return messages;
  }

  /** Removes and returns all messages that have arrived. */
  takeAll() {
    return this.#messages.splice(0);
  }
}
