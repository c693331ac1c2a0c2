// What every client's peer does: it waits for receipts and messages, and keeps how it ended.

import { within } from '../support.mjs';

/** The broker under judgement. */
export const BROKER = {
  ws: process.env.BROKER_WS,
  tcp: process.env.BROKER_TCP,
  login: process.env.BROKER_LOGIN,
  passcode: process.env.BROKER_PASSCODE,
};

/**
 * One connection of a foreign client. A client's own class sends the frames; its methods resolve when the broker has
 * answered, and reject at an ERROR.
 *
 * It has: `send(destination, body, headers)`, `subscribe(destination, headers)` for an `Inbox`, `unsubscribe(inbox)`,
 * `ack(message, headers)`, `nack(message)`, `begin(id)`, `commit(id)`, `abort(id)`, `leave()` for an orderly end,
 * `cut()` for any other, and `fallSilent()`. A message is `{ headers, body }`, the body a Buffer.
 */
export class Peer {
  #tell;
  #end;
  #issued = 0;
  /** What the broker has to answer yet: receipts by name, and CONNECT. */
  #open = new Map();
  /** Of CONNECTED. */
  headers = undefined;
  heartBeats = 0;
  /** Resolves with the headers of an ERROR. */
  error = new Promise((resolve) => (this.#tell = resolve));
  /** Resolves at the end of the connection. */
  over = new Promise((resolve) => (this.#end = resolve));

  static async connect(options) {
    const peer = new this({ version: '1.2', heartBeats: 0, ...BROKER, ...options });
    await peer.#answer('CONNECTED');
    return peer;
  }

  /** Resolves at the RECEIPT of what `action` sends with the headers it is given. */
  receipted(action) {
    const receipt = `receipt-${++this.#issued}`;
    const answer = this.#answer(receipt);
    action({ receipt });
    return answer;
  }

  /** Resolves when the broker has answered what comes after `action`, where a client cannot ask for receipts. */
  followed(action) {
    action();
    return this.send('/topic/fence', 'behind it');
  }

  /** To be called at CONNECTED. */
  onConnected(headers) {
    this.headers = headers;
    this.#open.get('CONNECTED')?.resolve();
    this.#open.delete('CONNECTED');
  }

  /** To be called at a RECEIPT; tells whether it was asked for. */
  onReceipt(receipt) {
    this.#open.get(receipt)?.resolve();
    return this.#open.delete(receipt);
  }

  /** To be called at an ERROR. */
  onError(headers) {
    this.#tell(headers);
    this.#fail(new Error(`ERROR: ${headers.message}`));
  }

  /** To be called when the connection has ended. */
  onEnd(reason = 'the connection ended') {
    this.#end();
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

/** The messages of one subscription, in their order. */
export class Inbox {
  #messages = [];
  #waiting = [];

  push(message) {
    const waiting = this.#waiting.shift();
    if (waiting) waiting(message);
    else this.#messages.push(message);
  }

  next() {
    const message = this.#messages.shift();
    if (message) return Promise.resolve(message);
    return within(new Promise((resolve) => this.#waiting.push(resolve)), 'a message');
  }

  async take(count) {
    const messages = [];
    while (messages.length < count) messages.push(await this.next());
    return messages;
  }

  /** The bodies of the next messages. */
  async texts(count) {
    return (await this.take(count)).map(({ body }) => body.toString());
  }

  /** All that has come and was not taken. */
  rest() {
    return this.#messages.splice(0);
  }
}
