// Tests any broker with stomp.py over TCP and over WebSocket. The client itself is in stomp_py.py.

import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

import { within } from '../support.mjs';
import { testWith } from './run.mjs';
import { Inbox, Peer } from './peer.mjs';

/** The Python program, which runs all connections. */
class Python {
  #peers = [];
  #process = spawn(path('../.venv/bin/python'), [path('stomp_py.py')], { stdio: ['pipe', 'pipe', 'inherit'] });

  constructor() {
    process.once('exit', () => this.#process.kill('SIGKILL'));
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

const python = new Python();

class StompPy extends Peer {
  static client = 'stomp.py';
  static versions = ['1.2', '1.1', '1.0'];
  static lacks = ['WebSocket'];
  #inboxes = [];
  #version;
  #disconnectReceipted = false;
  #resolveLeft;

  constructor({ version, login, passcode, heartBeats, ...broker }) {
    super();
    this.#version = version;
    this.call = python.peer((event, { headers, body, reason }) => {
      if (event === 'connected') this.onConnected(headers);
      else if (event === 'receipt') this.#receipt(headers['receipt-id']);
      else if (event === 'message') this.#message(headers, Buffer.from(body, 'base64'));
      else if (event === 'error') this.onError(headers);
      else if (event === 'heart-beat') this.heartBeats += 1;
      else if (event === 'left') this.#resolveLeft();
      else this.onEnd(reason);
    });
    this.call('open', { version, login, passcode, heart_beats: heartBeats, ...this.constructor.wire(broker) });
  }

  static wire({ tcp }) {
    return { address: address(tcp) };
  }

  send(destination, body, headers) {
    body = Buffer.from(body).toString('base64');
    return this.receipted((receipt) =>
      this.call('send_base64', { destination, body, headers: { ...headers, ...receipt } }),
    );
  }

  async subscribe(destination, { ack = 'auto', ...headers } = {}) {
    const inbox = new Inbox();
    inbox.id = String(this.#inboxes.push(inbox) - 1);
    await this.receipted((receipt) =>
      this.call('subscribe', { destination, id: inbox.id, ack, headers: { ...headers, ...receipt } }),
    );
    return inbox;
  }

  unsubscribe({ id }) {
    return this.receipted((headers) => this.call('unsubscribe', { id, headers }));
  }

  ack(message, headers) {
    return this.receipted((receipt) => this.call('ack', { ...this.#delivery(message), ...headers, ...receipt }));
  }

  nack(message) {
    return this.receipted((receipt) => this.call('nack', { ...this.#delivery(message), ...receipt }));
  }

  /** The headers that identify a message in this version. */
  #delivery({ headers: { ack, 'message-id': id, subscription } }) {
    return { '1.2': { id: ack }, '1.1': { id, subscription }, '1.0': { id } }[this.#version];
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

  #message(headers, body) {
    this.#inboxes[headers.subscription].push({ headers, body });
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
    const call = python.peer((event, { body }) => event === 'message' && inbox.push(body));
    call('subscribe_forever', { address: address(tcp), login, passcode, destination });
    return { inbox, leave: () => {} };
  }
}

class OverWebSocket extends StompPy {
  static client = 'stomp.py over WebSocket';
  static versions = ['1.2'];
  static lacks = ['reconnecting'];

  static wire({ ws, binary = false }) {
    const { hostname, port, pathname: path } = new URL(ws);
    return { address: [hostname, Number(port)], path, binary };
  }
}

function address(tcp) {
  const [host, port] = tcp.split(':');
  return [host, Number(port)];
}

function path(name) {
  return fileURLToPath(new URL(name, import.meta.url));
}

await testWith(StompPy, OverWebSocket);
