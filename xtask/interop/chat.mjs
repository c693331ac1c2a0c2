// Tests the chat with @stomp/stompjs in Node: its features, and its answers to errors.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';

import { Client, Versions } from '@stomp/stompjs';
import { WebSocket } from 'ws';

import { check, finish, until, within } from './support.mjs';

Object.assign(globalThis, { WebSocket });

const ENDPOINT = `${process.env.CHAT_URL.replace(/^http/, 'ws')}/stomp`;

/** A stompjs client that records what it receives. */
class Peer {
  inbox = [];
  errors = [];
  issued = 0;
  heartBeats = 0;
  connected = undefined; // the CONNECTED frame
  closed = undefined; // the close event

  constructor(connectHeaders, options) {
    this.client = new Client({
      brokerURL: ENDPOINT,
      connectHeaders,
      reconnectDelay: 0,
      onConnect: (frame) => (this.connected = frame),
      onStompError: (frame) => this.errors.push(frame),
      onHeartbeatReceived: () => (this.heartBeats += 1),
      onWebSocketClose: (event) => (this.closed = event),
      ...options,
    });
    this.client.activate();
  }

  static async connect(login, options = {}) {
    const peer = new Peer({ login }, options);
    await until(() => peer.connected || peer.closed, 'CONNECTED');
    assert(peer.connected, peer.errors[0]?.headers.message ?? 'closed without an ERROR');
    return peer;
  }

  static async join(login, room, options = {}) {
    const peer = await Peer.connect(login, options);
    await peer.receipted((headers) => peer.subscribe(`/topic/rooms/${room}`, headers));
    return peer;
  }

  subscribe(destination, headers) {
    const receive = (message) =>
      this.inbox.push({ to: message.headers.destination, ...JSON.parse(message.body) });
    return this.client.subscribe(destination, receive, headers);
  }

  send(destination, body, headers = {}) {
    headers = { 'content-type': 'application/json', ...headers };
    this.client.publish({ destination, body, headers });
  }

  say(room, text, headers) {
    this.send(`/topic/rooms/${room}`, JSON.stringify({ text }), headers);
  }

  /** Calls `action` with headers that ask for a receipt; the answer must be RECEIPT. */
  async receipted(action) {
    const answer = await this.answer(action);
    assert.equal(answer.command, 'RECEIPT', `ERROR: ${answer.headers.message}`);
  }

  /** Calls `action` with headers that ask for a receipt; the answer must be ERROR, which is returned. */
  async rejected(action) {
    const answer = await this.answer(action);
    assert.equal(answer.command, 'ERROR');
    return answer;
  }

  async answer(action) {
    const receipt = `receipt-${++this.issued}`;
    let answer;
    this.client.watchForReceipt(receipt, (frame) => (answer = frame));
    action({ receipt });
    const error = () => this.errors.find(({ headers }) => headers['receipt-id'] === receipt);
    return until(() => answer ?? error(), `RECEIPT or ERROR for ${receipt}`);
  }

  /** Waits for `count` messages from `login`, and returns their texts. */
  async received(login, count) {
    const texts = () => this.inbox.filter(({ from }) => from === login).map(({ text }) => text);
    await until(() => texts().length >= count, `${count} messages from ${login}`);
    return texts();
  }

  /** Sends DISCONNECT, and waits for the RECEIPT and the Close of the WebSocket. */
  async leave() {
    assert.equal(this.closed, undefined, 'closed before DISCONNECT');
    await within(this.client.deactivate(), 'the end of the connection');
  }
}

await check('the server chooses the newest subprotocol and version, and heart-beats', async () => {
  const ann = await Peer.connect('ann');
  assert.equal(ann.client.webSocket.protocol, 'v12.stomp');
  assert.equal(ann.connected.headers.version, '1.2');
  const [outgoing, incoming] = ann.connected.headers['heart-beat'].split(',').map(Number);
  assert(outgoing > 0 && incoming > 0, `heart-beat:${ann.connected.headers['heart-beat']}`);
  await ann.leave();
});

await check('two clients receive each other\'s messages in order, and receipts', async () => {
  const ann = await Peer.join('ann', 'order');
  const bob = await Peer.join('bob', 'order');
  const texts = Array.from({ length: 20 }, (_, n) => `text ${n}: \u{1f980} "quoted"\\n`);
  const say = (peer) => texts.map((text) => peer.receipted((h) => peer.say('order', text, h)));
  await Promise.all([...say(ann), ...say(bob)]);
  for (const peer of [ann, bob]) {
    assert.deepEqual(await peer.received('ann', 20), texts);
    assert.deepEqual(await peer.received('bob', 20), texts);
    assert(peer.inbox.every(({ to }) => to === '/topic/rooms/order'));
  }
  assert.deepEqual(ann.inbox, bob.inbox);
  await Promise.all([ann.leave(), bob.leave()]);
});

await check('an unknown destination is rejected and the session stays open', async () => {
  const ann = await Peer.connect('ann');
  const error = await ann.rejected((headers) => ann.send('/nowhere', '{}', headers));
  assert.equal(error.headers.message, 'not-found');
  await ann.receipted((headers) => ann.say('quiet', 'still here', headers));
  await ann.leave();
});

await check('the ERROR of a rejected subscription has its id, which may be unsubscribed', async () => {
  const ann = await Peer.connect('ann');
  const id = 'rejected';
  const error = await ann.rejected((headers) => ann.subscribe('/nowhere', { id, ...headers }));
  assert.equal(error.headers.subscription, id);
  await ann.receipted((headers) => ann.client.unsubscribe(id, headers));
  await ann.receipted((headers) => ann.say('quiet', 'still here', headers));
  await ann.leave();
});

await check('a body that is not JSON is rejected and the session stays open', async () => {
  const ann = await Peer.join('ann', 'json');
  const error = await ann.rejected((headers) => ann.send('/topic/rooms/json', '{"text":', headers));
  assert.equal(error.headers.message, 'bad-request');
  await ann.receipted((headers) => ann.say('json', 'well formed', headers));
  assert.deepEqual(await ann.received('ann', 1), ['well formed']);
  await ann.leave();
});

await check('a malformed frame is answered with ERROR and Close, and other sessions stay open', async () => {
  const ann = await Peer.join('ann', 'malformed');
  const frames = [];
  let code;
  const eve = new WebSocket(ENDPOINT, 'v12.stomp');
  eve.on('message', (data) => data.toString().trim() && frames.push(data.toString()));
  eve.on('close', (status) => (code = status));
  await within(once(eve, 'open'), 'an open WebSocket');
  eve.send('CONNECT\naccept-version:1.2\nhost:chat\nlogin:eve\n\n\0');
  await until(() => frames[0]?.startsWith('CONNECTED\n'), 'CONNECTED');
  await ann.receipted((headers) => ann.say('malformed', 'before', headers));

  eve.send('SEND\ndestination:/topic/rooms/malformed\na:\\t\n\n{"text":"broken"}\0');
  await until(() => code, 'the Close of the WebSocket');
  assert.notEqual(code, 1006, 'closed without a Close frame');
  assert.equal(frames.length, 2);
  assert(frames[1].startsWith('ERROR\n'), frames[1]);
  await ann.receipted((headers) => ann.say('malformed', 'after', headers));
  assert.deepEqual(await ann.received('ann', 2), ['before', 'after']);
  assert.equal(ann.inbox.length, 2);
  await ann.leave();
});

for (const version of [Versions.V1_1, Versions.V1_0]) {
  await check(`a client of STOMP ${version} and a client of STOMP 1.2 exchange messages`, async () => {
    // The name of a room is one segment, and a dot separates segments.
    const room = `versions-${version.replace('.', '-')}`;
    const old = await Peer.join('old', room, { stompVersions: new Versions([version]) });
    assert.equal(old.client.webSocket.protocol, `v${version.replace('.', '')}.stomp`);
    assert.equal(old.client.connectedVersion ?? Versions.V1_0, version);
    const ann = await Peer.join('ann', room);
    await old.receipted((headers) => old.say(room, 'from the old version', headers));
    await ann.receipted((headers) => ann.say(room, 'to the old version', headers));
    for (const peer of [old, ann]) {
      assert.deepEqual(await peer.received('old', 1), ['from the old version']);
      assert.deepEqual(await peer.received('ann', 1), ['to the old version']);
    }
    await Promise.all([old.leave(), ann.leave()]);
  });
}

for (const [what, headers] of [['no', {}], ['an empty', { login: '' }]]) {
  await check(`a client with ${what} login is rejected`, async () => {
    const nobody = new Peer(headers);
    await until(() => nobody.closed, 'the Close of the WebSocket');
    assert.equal(nobody.connected, undefined);
    assert.equal(nobody.errors[0]?.headers.message, 'login-required');
  });
}

await check('heart-beats keep an idle client connected', async () => {
  const ann = await Peer.connect('ann', { heartbeatIncoming: 1000, heartbeatOutgoing: 1000 });
  await sleep(5000);
  await until(() => ann.heartBeats >= 3, 'three heart-beats');
  await ann.leave();
});

finish();
