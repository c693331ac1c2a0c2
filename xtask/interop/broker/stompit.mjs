// Tests any broker with stompit over TCP.

import stompit from 'stompit';

import { within } from '../support.mjs';
import { testWith } from './run.mjs';
import { Inbox, Peer } from './peer.mjs';

class Stompit extends Peer {
  static client = 'stompit';
  static lacks = {
    errors: 'the client passes on only the message of an ERROR, and then closes the connection itself',
    WebSocket: 'the client uses TCP',
  };

  constructor({ tcp, login, passcode, version, heartBeats }) {
    super();
    const connectHeaders = {
      host: '/',
      login,
      passcode,
      'accept-version': version,
      'heart-beat': `${heartBeats},${heartBeats}`,
    };
    const connected = (error, client) => {
      if (error) return this.#failed(error);
      this.client = client;
      client.on('error', (error) => this.#failed(error));
      client.on('end', () => this.onEnd());
      // The client writes a frame in several parts, which Nagle's algorithm would delay.
      client.getTransportSocket().setNoDelay();
      client.getTransportSocket().on('data', (data) => (this.heartBeats += data.equals(LF)));
      this.onConnected(client.headers);
    };
    // By default, the client gives up if a heart-beat is 100 ms late, as it may be on a busy machine.
    patch(stompit.connect({ ...address(tcp), connectHeaders, heartbeatDelayMargin: 4000 }, connected));
  }

  #failed(error) {
    if (error.isApplicationError?.()) this.onError({ message: error.message });
    this.onEnd();
  }

  /** The client chooses the names of its receipts. */
  receipted(action) {
    return super.receipted(({ receipt }) => action({ onReceipt: () => this.onReceipt(receipt) }));
  }

  send(destination, body, headers) {
    headers = { ...headers, destination, 'content-length': Buffer.byteLength(body) };
    return this.receipted((options) => this.client.send(headers, options).end(body));
  }

  async subscribe(destination, headers) {
    const inbox = new Inbox();
    const receive = async (error, message) => {
      if (error) return;
      const chunks = [];
      for await (const chunk of message) chunks.push(chunk);
      inbox.push({ headers: message.headers, body: Buffer.concat(chunks), message });
    };
    await this.followed(() => {
      inbox.subscription = this.client.subscribe({ ...headers, destination }, receive);
    });
    return inbox;
  }

  unsubscribe({ subscription }) {
    return this.followed(() => subscription.unsubscribe());
  }

  ack({ message }, headers) {
    return this.receipted((options) => this.client.ack(message, headers, options));
  }

  nack({ message }) {
    return this.receipted((options) => this.client.nack(message, {}, options));
  }

  async begin(transaction) {
    await this.followed(() => (this.transaction = this.client.begin({ transaction })));
  }

  commit() {
    return this.receipted((options) => this.transaction.commit(options));
  }

  abort() {
    return this.receipted((options) => this.transaction.abort(options));
  }

  /** The client calls back without an error only if its DISCONNECT was answered with RECEIPT. */
  leave() {
    const left = new Promise((resolve) => this.client.disconnect((error) => resolve(!error)));
    return within(left, 'the end of the connection');
  }

  terminate() {
    this.client?.getTransportSocket().destroy();
  }

  stopSending() {
    this.client.getTransportSocket().write = () => true;
  }

  /** The client reconnects and subscribes again by itself. */
  static subscribeForever({ tcp, login, passcode }, destination) {
    const inbox = new Inbox();
    const servers = [{ ...address(tcp), connectHeaders: { host: '/', login, passcode } }];
    const failover = new stompit.ConnectFailover(servers, { initialReconnectDelay: 100, maxReconnectDelay: 200 });
    const channel = new stompit.Channel(failover, { alwaysConnected: true });
    channel.subscribe({ destination }, (error, message) => {
      if (error) return;
      message.readString('utf-8', (_, text) => inbox.push(text));
    });
    return { inbox, leave: () => channel.close() };
  }
}

const LF = Buffer.from('\n');

/** Lets the client emit an ERROR with a plain-text body. Otherwise the frame emits it, and the frame has no listeners. */
function patch(client) {
  client.setCommandHandlers = (handlers) => {
    const ERROR = (frame, ...rest) => {
      frame.on('error', (error) => client.destroy(error));
      handlers.ERROR.call(client, frame, ...rest);
    };
    return stompit.Client.prototype.setCommandHandlers.call(client, { ...handlers, ERROR });
  };
}

function address(tcp) {
  const [host, port] = tcp.split(':');
  return { host, port: Number(port) };
}

await testWith(Stompit);
