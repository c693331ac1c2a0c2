// Tests any broker with @stomp/stompjs over WebSocket.

import { Client, Versions } from '@stomp/stompjs';
import { WebSocket } from 'ws';

import { within } from '../support.mjs';
import { testWith } from './run.mjs';
import { Inbox, Peer } from './peer.mjs';

Object.assign(globalThis, { WebSocket });

class StompJs extends Peer {
  static client = 'stompjs';
  static lacks = {};

  constructor({ ws, login, passcode, version, heartBeats, binary }) {
    super();
    this.client = new Client({
      brokerURL: ws,
      connectHeaders: { login, passcode },
      stompVersions: new Versions([version]),
      heartbeatIncoming: heartBeats,
      heartbeatOutgoing: heartBeats,
      reconnectDelay: 0,
      forceBinaryWSFrames: binary,
      onConnect: ({ headers }) => this.onConnected(headers),
      onStompError: ({ headers }) => this.onError(headers),
      onWebSocketClose: () => this.onEnd(),
      onHeartbeatReceived: () => (this.heartBeats += 1),
      onUnhandledReceipt: ({ headers }) => this.onReceipt(headers['receipt-id']),
      onDisconnect: () => (this.disconnectReceipted = true),
    });
    this.client.activate();
  }

  send(destination, body, headers) {
    const content = typeof body === 'string' ? { body } : { binaryBody: body };
    return this.receipted((receipt) =>
      this.client.publish({ destination, headers: { ...headers, ...receipt }, ...content }),
    );
  }

  async subscribe(destination, headers) {
    const inbox = new Inbox();
    const receive = (message) =>
      inbox.push({ headers: message.headers, body: Buffer.from(message.binaryBody), message });
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

  async leave() {
    await within(this.client.deactivate(), 'the end of the connection');
    return this.disconnectReceipted;
  }

  terminate() {
    this.client.webSocket?.terminate();
  }

  stopSending() {
    this.client.webSocket.send = () => {};
  }

  /** Subscribes at each CONNECTED. The client reconnects by itself. */
  static subscribeForever({ ws, login, passcode }, destination) {
    const inbox = new Inbox();
    const client = new Client({
      brokerURL: ws,
      connectHeaders: { login, passcode },
      reconnectDelay: 100,
      onConnect: () => client.subscribe(destination, ({ body }) => inbox.push(body)),
    });
    client.activate();
    return { inbox, leave: () => client.deactivate({ force: true }) };
  }
}

await testWith(StompJs);
