// Tests any broker with webstomp-client over WebSocket.

import { WebSocket } from 'ws';
import webstomp from 'webstomp-client';

import { testWith } from './run.mjs';
import { Inbox, Peer } from './peer.mjs';

Object.assign(globalThis, { WebSocket });

class Webstomp extends Peer {
  static client = 'webstomp-client';
  static lacks = {
    'binary bodies': 'the client splits frames at any NUL',
    escapes: 'the client does not escape headers',
    DISCONNECT: 'the client closes before its DISCONNECT is complete',
  };

  constructor({ ws, login, passcode, version, heartBeats, binary }) {
    super();
    const heartbeat = { incoming: heartBeats, outgoing: heartBeats };
    const protocols = [`v${version.replace('.', '')}.stomp`];
    this.client = webstomp.client(ws, { protocols, heartbeat, binary, debug: false });
    this.client.onreceipt = ({ headers }) => this.onReceipt(headers['receipt-id']);
    this.client.connect(
      { login, passcode },
      ({ headers }) => this.onConnected(headers),
      ({ command, headers }) => (command === 'ERROR' ? this.onError(headers) : this.onEnd()),
    );
    this.client.ws.addEventListener('message', ({ data }) => (this.heartBeats += data === '\n'));
  }

  send(destination, body, headers) {
    return this.receipted((receipt) => this.client.send(destination, body, { ...headers, ...receipt }));
  }

  async subscribe(destination, headers) {
    const inbox = new Inbox();
    const receive = (message) =>
      inbox.push({ headers: message.headers, body: Buffer.from(message.body), message });
    await this.receipted((receipt) => {
      inbox.subscription = this.client.subscribe(destination, receive, { ...headers, ...receipt });
    });
    return inbox;
  }

  unsubscribe({ subscription }) {
    return this.receipted((receipt) => subscription.unsubscribe(receipt));
  }

  ack({ message }, headers) {
    return this.receipted((receipt) => message.ack({ ...headers, ...receipt }));
  }

  nack({ message }) {
    return this.receipted((receipt) => message.nack(receipt));
  }

  begin(id) {
    return this.followed(() => this.client.begin(id));
  }

  commit(id) {
    return this.followed(() => this.client.commit(id));
  }

  abort(id) {
    return this.followed(() => this.client.abort(id));
  }

  terminate() {
    this.client.ws.terminate();
  }

  stopSending() {
    this.client.ws.send = () => {};
  }

  /** The client does not reconnect, so that each lost connection needs a new client. */
  static subscribeForever(broker, destination) {
    const inbox = new Inbox();
    let client;
    let hasLeft = false;
    const connect = () => {
      client = webstomp.client(broker.ws, { debug: false });
      client.ws.addEventListener('error', () => {});
      client.connect(
        { login: broker.login, passcode: broker.passcode },
        () => client.subscribe(destination, ({ body }) => inbox.push(body)),
        () => hasLeft || setTimeout(connect, 100),
      );
    };
    connect();
    const leave = () => {
      hasLeft = true;
      client.ws.terminate();
    };
    return { inbox, leave };
  }
}

await testWith(Webstomp);
