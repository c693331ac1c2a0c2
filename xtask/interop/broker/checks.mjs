// Checks of a broker that run with every client. A check is skipped if the client lacks what it `needs`.

import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';

import { until, within } from '../support.mjs';
import { consume, expectMessages, fresh, sendAll, sendBurst, text, texts } from './scenes.mjs';
import { TRANSACTIONS } from './transactions.mjs';

const MIB = 1 << 20;
const BYTES = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));

/** Checks that wait for timers. They run at the same time. */
export const TIMED = [
  {
    name: 'heart-beats arrive every second and keep a session open',
    needs: 'heart-beats',
    async body(connect) {
      const peer = await connect({ heartBeats: 1000 });
      const ended = peer.over.then(() => assert.fail('the connection ended'));
      // Without heart-beats of the client, the connection would end earlier. A busy machine may delay those of the broker.
      await Promise.race([sleep(4500), ended]);
      await until(() => peer.heartBeats >= 3, 'three heart-beats');
      await peer.send(fresh('topic'), 'still here');
    },
  },
  {
    name: 'a client that stops sending its heart-beats is disconnected',
    needs: 'heart-beats',
    async body(connect) {
      const peer = await connect({ heartBeats: 1000 });
      peer.stopSending();
      await within(peer.over, 'the end of the connection');
    },
  },
];

/** Checks that run in each version of STOMP, from `since` on. */
export const VERSIONED = [
  {
    name: 'a client receives what it sends',
    async body(connect) {
      const peer = await connect();
      const topic = fresh('topic');
      const inbox = await peer.subscribe(topic);
      await peer.send(topic, 'hello \u{1f980}', { 'content-type': 'text/plain', kind: 'greeting' });
      const { headers, body } = await inbox.next();
      assert.equal(body.toString(), 'hello \u{1f980}');
      assert.equal(headers.destination, topic);
      assert.equal(headers['content-type'], 'text/plain');
      assert.equal(headers.kind, 'greeting');
    },
  },
  {
    name: 'the negotiated version is the requested one',
    needs: 'CONNECTED',
    async body(connect, version) {
      const { headers } = await connect();
      assert.equal(headers.version, version);
    },
  },
  {
    name: 'CONNECTED promises no heart-beats to a client that wants none',
    needs: 'CONNECTED',
    since: '1.1',
    async body(connect) {
      const { headers } = await connect({ heartBeats: 0 });
      assert.equal(headers['heart-beat'] ?? '0,0', '0,0');
    },
  },
  {
    name: 'consumers of one queue receive messages with different message-ids',
    async body(connect) {
      const queue = fresh('queue');
      const ids = [];
      for (const body of texts(2)) {
        const peer = await connect();
        const inbox = await peer.subscribe(queue, { ack: 'client' });
        await peer.send(queue, body);
        const message = await inbox.next();
        await peer.ack(message);
        peer.terminate();
        ids.push(message.headers['message-id']);
      }
      assert.notEqual(ids[0], ids[1]);
    },
  },
  {
    name: 'with ack:client, ACK acknowledges a message and all earlier ones',
    async body(connect) {
      const { peer, queue, messages } = await consume(connect, 'client', texts(4));
      await peer.ack(messages[1]);
      peer.terminate();
      await expectMessages(connect, queue, texts(4).slice(2));
    },
  },
  {
    name: 'with ack:client-individual, ACK acknowledges one message',
    async body(connect) {
      const { peer, queue, messages } = await consume(connect, 'client-individual', texts(3));
      await peer.ack(messages[1]);
      peer.terminate();
      await expectMessages(connect, queue, ['text 0', 'text 2']);
    },
  },
  {
    name: 'a message is redelivered after each NACK, but not after ACK',
    needs: 'NACK',
    since: '1.1',
    async body(connect) {
      const { peer, queue, inbox, messages } = await consume(connect, 'client-individual', texts(2));
      let [message] = messages;
      for (const _ of ['first', 'second']) {
        await peer.nack(message);
        message = await inbox.next();
        assert.equal(text(message), 'text 0');
        assert.equal(message.headers.redelivered, 'true');
      }
      await peer.ack(message);
      peer.terminate();
      await expectMessages(connect, queue, ['text 1']);
    },
  },
  {
    name: 'unacknowledged messages of a lost consumer are redelivered',
    async body(connect) {
      const { peer, queue, messages } = await consume(connect, 'client', texts(3));
      assert(messages.every(({ headers }) => headers.redelivered !== 'true'));
      peer.terminate();
      const redelivered = await expectMessages(connect, queue, texts(3));
      assert(redelivered.every(({ headers }) => headers.redelivered === 'true'));
    },
  },
];

/** Checks that run once. */
export const PLAIN = [
  {
    name: 'all subscribers of a topic, including the sender, receive its messages in order',
    async body(connect) {
      const topic = fresh('topic');
      const [ann, bob] = [await connect(), await connect()];
      const inboxes = [await ann.subscribe(topic), await bob.subscribe(topic), await bob.subscribe(topic)];
      await sendAll(ann, topic, texts(20));
      for (const inbox of inboxes) assert.deepEqual((await inbox.take(20)).map(text), texts(20));
    },
  },
  {
    name: 'a burst of 10,000 small messages reaches the subscriber of a topic',
    async body(connect) {
      const topic = fresh('topic');
      const inbox = await (await connect()).subscribe(topic);
      await sendBurst(topic, texts(10_000));
      assert.deepEqual((await inbox.take(10_000)).map(text), texts(10_000));
    },
  },
  {
    name: 'a pattern matches topics: * matches one segment, # matches the rest',
    async body(connect) {
      const peer = await connect();
      const root = fresh('topic');
      const [one, rest] = [await peer.subscribe(`${root}.*.end`), await peer.subscribe(`${root}.#`)];
      for (const path of ['a.end', 'a', 'a.b.end']) await peer.send(`${root}.${path}`, path);
      await peer.send(`${root}.z.end`, 'last');
      assert.deepEqual((await one.take(2)).map(text), ['a.end', 'last']);
      assert.deepEqual((await rest.take(4)).map(text), ['a.end', 'a', 'a.b.end', 'last']);
    },
  },
  {
    name: 'replies arrive in a subscribed temporary queue',
    async body(connect) {
      const [requester, responder] = [await connect(), await connect()];
      const queue = fresh('queue');
      const requests = await responder.subscribe(queue);
      const replies = await requester.subscribe('/temp-queue/replies');
      await requester.send(queue, 'request', { 'reply-to': '/temp-queue/replies' });
      const { headers } = await requests.next();
      await responder.send(headers['reply-to'], 'reply');
      assert.equal(text(await replies.next()), 'reply');
    },
  },
  {
    name: 'headers arrive unchanged',
    needs: 'escapes',
    async body(connect) {
      const peer = await connect();
      const topic = fresh('topic');
      const inbox = await peer.subscribe(topic);
      const sent = { colon: 'a:b', line: 'a\nb', backslash: 'a\\b', crab: '\u{1f980}' };
      await peer.send(topic, 'headers', sent);
      const { headers } = await inbox.next();
      for (const name of Object.keys(sent)) assert.equal(headers[name], sent[name]);
    },
  },
  {
    name: 'a binary body arrives unchanged',
    needs: 'binary bodies',
    body: (connect) => arrivesUnchanged(() => connect({ binary: true }), BYTES),
  },
  {
    name: 'a text of 1 MiB arrives unchanged',
    body: (connect) => arrivesUnchanged(connect, 'é'.repeat(MIB / 2)),
  },
  {
    name: 'a binary body of 1 MiB arrives unchanged',
    needs: 'binary bodies',
    body: (connect) => arrivesUnchanged(() => connect({ binary: true }), Buffer.concat(Array(MIB / 256).fill(BYTES))),
  },
  {
    name: 'a text of 1 MiB in binary WebSocket messages arrives unchanged',
    needs: 'WebSocket',
    body: (connect) => arrivesUnchanged(() => connect({ binary: true }), 'é'.repeat(MIB / 2)),
  },
  {
    name: 'no messages arrive after UNSUBSCRIBE',
    async body(connect) {
      const peer = await connect();
      const topic = fresh('topic');
      const [gone, kept] = [await peer.subscribe(topic), await peer.subscribe(topic)];
      await peer.unsubscribe(gone);
      await peer.send(topic, 'for one');
      await kept.next();
      assert.deepEqual(gone.takeAll(), []);
    },
  },
  {
    name: 'a queue keeps its messages in order until a consumer subscribes',
    async body(connect) {
      const queue = fresh('queue');
      const sender = await connect();
      await sendAll(sender, queue, texts(20));
      sender.terminate();
      await expectMessages(connect, queue, texts(20));
    },
  },
  {
    name: 'the consumers of a queue share its messages',
    async body(connect) {
      const queue = fresh('queue');
      const [ann, bob] = [await connect(), await connect()];
      const inboxes = [await ann.subscribe(queue), await bob.subscribe(queue)];
      await sendAll(ann, queue, texts(20));
      const shares = [[], []];
      await until(() => {
        inboxes.forEach((inbox, n) => shares[n].push(...inbox.takeAll().map(text)));
        return shares.flat().length >= 20;
      }, 'all messages');
      assert.deepEqual(shares.flat().sort(), texts(20).sort());
      assert(shares.every(({ length }) => length > 0));
    },
  },
  {
    name: 'prefetch-count limits the unacknowledged messages of a consumer',
    async body(connect) {
      const queue = fresh('queue');
      const peer = await connect();
      await sendAll(peer, queue, texts(3));
      const inbox = await peer.subscribe(queue, { ack: 'client-individual', 'prefetch-count': '2' });
      const [first] = await inbox.take(2);
      await peer.send(fresh('topic'), 'another message');
      assert.deepEqual(inbox.takeAll(), []);
      await peer.ack(first);
      assert.equal(text(await inbox.next()), 'text 2');
    },
  },
  {
    name: 'unacknowledged messages are redelivered after UNSUBSCRIBE',
    async body(connect) {
      const { peer, queue, inbox } = await consume(connect, 'client', texts(2));
      await peer.unsubscribe(inbox);
      await expectMessages(connect, queue, texts(2));
    },
  },
  {
    name: 'in STOMP 1.0, an ACK may repeat the content-length of its message',
    needs: 'content-length of ACK',
    async body(connect) {
      const queue = fresh('queue');
      const peer = await connect({ version: '1.0' });
      const inbox = await peer.subscribe(queue, { ack: 'client' });
      await peer.send(queue, 'text');
      await peer.ack(await inbox.next(), { 'content-length': '4' });
      await peer.send(queue, 'more');
      assert.equal(text(await inbox.next()), 'more');
    },
  },
  ...TRANSACTIONS,
  {
    name: 'a wrong passcode is rejected with ERROR',
    body: (connect) => assert.rejects(connect({ passcode: 'wrong' }), /ERROR/),
  },
  {
    name: 'an unknown destination is rejected with ERROR',
    body: async (connect) => assert.rejects((await connect()).send('/nowhere/at-all', 'lost'), /ERROR/),
  },
  {
    name: 'an ERROR has the receipt-id of the frame that caused it',
    needs: 'errors',
    async body(connect) {
      const peer = await connect();
      await assert.rejects(peer.send('/nowhere/at-all', 'lost'));
      assert((await peer.error)['receipt-id']);
    },
  },
  {
    name: 'the connection is closed after an ERROR',
    needs: 'errors',
    async body(connect) {
      const peer = await connect();
      await assert.rejects(peer.send('/nowhere/at-all', 'lost'));
      await within(peer.over, 'the end of the connection');
    },
  },
  {
    name: 'DISCONNECT is answered with RECEIPT',
    needs: 'DISCONNECT',
    body: async (connect) => assert(await (await connect()).leave(), 'the connection ended without RECEIPT'),
  },
];

async function arrivesUnchanged(connect, body) {
  const peer = await connect();
  const topic = fresh('topic');
  const inbox = await peer.subscribe(topic);
  await peer.send(topic, body);
  const { body: received } = await inbox.next();
  assert(received.equals(Buffer.from(body)), `received ${received.length} bytes, or other bytes`);
}
