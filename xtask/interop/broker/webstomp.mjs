// webstomp-client over WebSocket, against any broker.

import { WebSocket } from 'ws';
import webstomp from 'webstomp-client';

import { judge } from './judge.mjs';
import { Inbox, Peer } from './peer.mjs';

Object.assign(globalThis, { WebSocket });

class Webstomp extends Peer {
  static client = 'webstomp-client';
  static versions = ['1.2', '1.1', '1.0'];
  /** It splits frames at any NUL, neither escapes nor unescapes, and closes in the middle of its DISCONNECT. */
  static unable = ['binary bodies', 'escapes', 'orderly ends'];

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

  cut() {
    this.client.ws.terminate();
  }

  fallSilent() {
    this.client.ws.send = () => {};
  }

  /** It has no means to come back: it is made anew when its connection is lost. */
  static stay(broker, destination) {
    const inbox = new Inbox();
    let client;
    let left = false;
    const connect = () => {
      client = webstomp.client(broker.ws, { debug: false });
      client.ws.addEventListener('error', () => {});
      client.connect(
        { login: broker.login, passcode: broker.passcode },
        () => client.subscribe(destination, ({ body }) => inbox.push(body)),
        () => left || setTimeout(connect, 100),
      );
    };
    connect();
    const leave = () => {
      left = true;
      client.ws.terminate();
    };
    return { inbox, leave };
  }
}

await judge(Webstomp);
