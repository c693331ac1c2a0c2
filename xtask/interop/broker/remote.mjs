// Clients in other languages than JavaScript. A program in the client's language makes the connections and is controlled
// by lines of JSON: a line on its stdin is a call, `{ peer, call, args }`; a line on its stdout is an event of a
// connection, `{ peer, event, ... }`. Bodies are in Base64.
//
// Calls:
//   open { host, port, version, login, passcode, heart_beats }   connects; the event `connected` has the headers
//   send { destination, body, headers }                          sends SEND, as the following calls send their frames
//   subscribe { destination, id, ack, headers }
//   unsubscribe { destination, id, headers }
//   ack, nack { message, headers }                               `message` is the headers of the MESSAGE
//   begin, commit, abort { transaction, headers }
//   leave                                                        sends DISCONNECT; `left` follows all other events
//   terminate                                                    closes the connection without DISCONNECT
//   stop_sending                                                 stops the heart-beats of the client
//   subscribe_forever { host, port, login, passcode, destination }   subscribes again after each lost connection
//
// Events: `connected`, `receipt` and `error` with `headers`; `message` with `headers` and `body`; `heart-beat`, when the
// client notices one; `left`; `end` with a `reason`, at the end of the connection.

import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

import { finish, within } from '../support.mjs';
import { Inbox, Peer } from './peer.mjs';

/** A program that runs all connections of a client. */
export class Program {
  #peers = [];
  #process;

  /** Starts a program in this directory. */
  constructor(command, ...args) {
    const cwd = fileURLToPath(new URL('.', import.meta.url));
    this.#process = spawn(command, args, { cwd, stdio: ['pipe', 'pipe', 'inherit'] });
    process.once('exit', () => this.#process.kill('SIGKILL'));
    this.#process.once('error', (error) => finish(error));
    this.#process.once('exit', (code, signal) => finish(new Error(`${command} ended: ${signal ?? `status ${code}`}`)));
    createInterface({ input: this.#process.stdout }).on('line', (line) => {
      const { peer, event, ...details } = JSON.parse(line);
      this.#peers[peer](event, details);
    });
  }

  /** Creates a connection whose events go to `listener`, and returns a function that calls its methods. */
  peer(listener) {
    const peer = this.#peers.push(listener) - 1;
    return (call, args = {}) => this.#process.stdin.write(`${JSON.stringify({ peer, call, args })}\n`);
  }
}

/** A connection that a program makes. A subclass names the client and its `program`. */
export class RemotePeer extends Peer {
  #inboxes = [];
  #disconnectReceipted = false;
  #resolveLeft;

  constructor({ version, login, passcode, heartBeats, ...broker }) {
    super();
    this.call = this.constructor.program.peer((event, { headers, body, reason }) => {
      if (event === 'connected') this.onConnected(headers);
      else if (event === 'receipt') this.#receipt(headers['receipt-id']);
      else if (event === 'message') this.#inboxes[headers.subscription].push({ headers, body: bytes(body) });
      else if (event === 'error') this.onError(headers);
      else if (event === 'heart-beat') this.heartBeats += 1;
      else if (event === 'left') this.#resolveLeft();
      else this.onEnd(reason);
    });
    this.call('open', { version, login, passcode, heart_beats: heartBeats, ...this.constructor.wire(broker) });
  }

  /** The arguments of `open` that depend on the transport. */
  static wire({ tcp }) {
    return address(tcp);
  }

  send(destination, body, headers) {
    body = Buffer.from(body).toString('base64');
    return this.receipted((receipt) => this.call('send', { destination, body, headers: { ...headers, ...receipt } }));
  }

  async subscribe(destination, { ack = 'auto', ...headers } = {}) {
    const inbox = new Inbox();
    inbox.subscription = { destination, id: String(this.#inboxes.push(inbox) - 1) };
    await this.receipted((receipt) =>
      this.call('subscribe', { ...inbox.subscription, ack, headers: { ...headers, ...receipt } }),
    );
    return inbox;
  }

  unsubscribe({ subscription }) {
    return this.receipted((headers) => this.call('unsubscribe', { ...subscription, headers }));
  }

  ack({ headers: message }, headers) {
    return this.receipted((receipt) => this.call('ack', { message, headers: { ...headers, ...receipt } }));
  }

  nack({ headers: message }) {
    return this.receipted((headers) => this.call('nack', { message, headers }));
  }

  begin(transaction) {
    return this.receipted((headers) => this.call('begin', { transaction, headers }));
  }

  commit(transaction) {
    return this.receipted((headers) => this.call('commit', { transaction, headers }));
  }

  abort(transaction) {
    return this.receipted((headers) => this.call('abort', { transaction, headers }));
  }

  /** The client chooses the name of the receipt of DISCONNECT. */
  async leave() {
    const left = new Promise((resolve) => (this.#resolveLeft = resolve));
    this.call('leave');
    await within(left, 'the end of the connection');
    return this.#disconnectReceipted;
  }

  #receipt(id) {
    if (!this.onReceipt(id)) this.#disconnectReceipted = true;
  }

  terminate() {
    this.call('terminate');
  }

  stopSending() {
    this.call('stop_sending');
  }

  static subscribeForever({ tcp, login, passcode }, destination) {
    const inbox = new Inbox();
    const call = this.program.peer((event, { body }) => event === 'message' && inbox.push(body));
    call('subscribe_forever', { ...address(tcp), login, passcode, destination });
    return { inbox, leave: () => {} };
  }
}

function address(tcp) {
  const [host, port] = tcp.split(':');
  return { host, port: Number(port) };
}

function bytes(base64) {
  return Buffer.from(base64, 'base64');
}
