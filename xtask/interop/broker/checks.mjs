// What a broker must do for every client, in checks of their own.

import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';

import { until, within } from '../support.mjs';
import { consume, expectLeft, fresh, sendAll, text, texts } from './scenes.mjs';
import { TRANSACTIONS } from './transactions.mjs';

const MIB = 1 << 20;
const BYTES = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));

/** Those that wait for time to pass, and do so side by side. */
export const PATIENT = [
  {
    name: 'heart-beats come every second, and keep a session alive',
    async body(connect) {
      const peer = await connect({ heartBeats: 1000 });
      const ended = peer.over.then(() => assert.fail('the connection ended'));
      await Promise.race([sleep(3500), ended]);
      assert(peer.heartBeats >= 2, `${peer.heartBeats} heart-beats in 3.5 s`);
      await peer.send(fresh('topic'), 'still here');
    },
  },
  {
    name: 'a client that promised heart-beats and falls silent is closed within 5 s',
    async body(connect) {
      const peer = await connect({ heartBeats: 1000 });
      peer.fallSilent();
      await within(peer.over, 'the end', 5000);
    },
  },
];

/** Those that run in every version since `since`. */
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
    name: 'the version agreed on is the one asked for',
    async body(connect, version) {
      const { headers } = await connect();
      assert.equal(headers.version, version);
    },
  },
  {
    name: 'ack:client settles a message and all before it',
    async body(connect) {
      const { peer, queue, messages } = await consume(connect, 'client', texts(4));
      await peer.ack(messages[1]);
      peer.cut();
      await expectLeft(connect, queue, texts(4).slice(2));
    },
  },
  {
    name: 'ack:client-individual settles one message',
    since: '1.1',
    async body(connect) {
      const { peer, queue, messages } = await consume(connect, 'client-individual', texts(3));
      await peer.ack(messages[1]);
      peer.cut();
      await expectLeft(connect, queue, ['text 0', 'text 2']);
    },
  },
  {
    name: 'a message comes again after NACK, twice in a row, and no more after ACK',
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
      peer.cut();
      await expectLeft(connect, queue, ['text 1']);
    },
  },
  {
    name: 'what a consumer did not acknowledge before it vanished comes again, as redelivered',
    async body(connect) {
      const { peer, queue, messages } = await consume(connect, 'client', texts(3));
      assert(messages.every(({ headers }) => headers.redelivered !== 'true'));
      peer.cut();
      const again = await expectLeft(connect, queue, texts(3));
      assert(again.every(({ headers }) => headers.redelivered === 'true'));
    },
  },
];

/** Those that run once, unless the client is unable to do what one needs. */
export const PLAIN = [
  {
    name: 'a topic reaches all its subscribers, the sender too, in order',
    async body(connect) {
      const topic = fresh('topic');
      const [ann, bob] = [await connect(), await connect()];
      const inboxes = [await ann.subscribe(topic), await bob.subscribe(topic), await bob.subscribe(topic)];
      await sendAll(ann, topic, texts(20));
      for (const inbox of inboxes) assert.deepEqual((await inbox.take(20)).map(text), texts(20));
    },
  },
  {
    name: 'a pattern stands for topics: * for one segment, # for the rest',
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
    name: 'answers come to a temporary queue that was subscribed to',
    async body(connect) {
      const [asker, answerer] = [await connect(), await connect()];
      const queue = fresh('queue');
      const questions = await answerer.subscribe(queue);
      const answers = await asker.subscribe('/temp-queue/answers');
      await asker.send(queue, 'what?', { 'reply-to': '/temp-queue/answers' });
      const { headers } = await questions.next();
      await answerer.send(headers['reply-to'], 'that');
      assert.equal(text(await answers.next()), 'that');
    },
  },
  {
    name: 'headers arrive as they were sent',
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
    name: 'a binary body arrives whole',
    needs: 'binary bodies',
    body: (connect) => arrivesWhole(() => connect({ binary: true }), BYTES),
  },
  {
    name: 'a text of 1 MiB arrives whole',
    body: (connect) => arrivesWhole(connect, 'é'.repeat(MIB / 2)),
  },
  {
    name: 'a binary body of 1 MiB arrives whole',
    needs: 'binary bodies',
    body: (connect) => arrivesWhole(() => connect({ binary: true }), Buffer.concat(Array(MIB / 256).fill(BYTES))),
  },
  {
    name: 'a text of 1 MiB in binary messages arrives whole',
    needs: 'WebSocket',
    body: (connect) => arrivesWhole(() => connect({ binary: true }), 'é'.repeat(MIB / 2)),
  },
  {
    name: 'nothing comes after UNSUBSCRIBE',
    async body(connect) {
      const peer = await connect();
      const topic = fresh('topic');
      const [gone, kept] = [await peer.subscribe(topic), await peer.subscribe(topic)];
      await peer.unsubscribe(gone);
      await peer.send(topic, 'for one');
      await kept.next();
      assert.deepEqual(gone.rest(), []);
    },
  },
  {
    name: 'a queue keeps its messages for a consumer to come, in order',
    async body(connect) {
      const queue = fresh('queue');
      const sender = await connect();
      await sendAll(sender, queue, texts(20));
      sender.cut();
      await expectLeft(connect, queue, texts(20));
    },
  },
  {
    name: 'consumers of one queue share its messages',
    async body(connect) {
      const queue = fresh('queue');
      const [ann, bob] = [await connect(), await connect()];
      const inboxes = [await ann.subscribe(queue), await bob.subscribe(queue)];
      await sendAll(ann, queue, texts(20));
      const shares = [[], []];
      await until(() => {
        inboxes.forEach((inbox, n) => shares[n].push(...inbox.rest().map(text)));
        return shares.flat().length >= 20;
      }, 'all messages');
      assert.deepEqual(shares.flat().sort(), texts(20).sort());
      assert(shares.every(({ length }) => length > 0));
    },
  },
  {
    name: 'prefetch-count bounds what a consumer has at once',
    async body(connect) {
      const queue = fresh('queue');
      const peer = await connect();
      await sendAll(peer, queue, texts(3));
      const inbox = await peer.subscribe(queue, { ack: 'client-individual', 'prefetch-count': '2' });
      const [first] = await inbox.take(2);
      await peer.send(fresh('topic'), 'behind it');
      assert.deepEqual(inbox.rest(), []);
      await peer.ack(first);
      assert.equal(text(await inbox.next()), 'text 2');
    },
  },
  {
    name: 'what was not acknowledged before UNSUBSCRIBE comes again',
    async body(connect) {
      const { peer, queue, inbox } = await consume(connect, 'client', texts(2));
      await peer.unsubscribe(inbox);
      await expectLeft(connect, queue, texts(2));
    },
  },
  ...TRANSACTIONS,
  {
    name: 'a wrong passcode is refused with ERROR',
    body: (connect) => assert.rejects(connect({ passcode: 'wrong' }), /ERROR/),
  },
  {
    name: 'an unknown destination is refused with ERROR',
    body: async (connect) => assert.rejects((await connect()).send('/nowhere/at-all', 'lost'), /ERROR/),
  },
  {
    name: 'an ERROR names the receipt that was asked for',
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
      await within(peer.over, 'the end', 5000);
    },
  },
  {
    name: 'DISCONNECT is receipted',
    needs: 'orderly ends',
    body: async (connect) => assert(await (await connect()).leave(), 'no RECEIPT'),
  },
];

async function arrivesWhole(connect, body) {
  const peer = await connect();
  const topic = fresh('topic');
  const inbox = await peer.subscribe(topic);
  await peer.send(topic, body);
  const { body: received } = await inbox.next();
  assert(received.equals(Buffer.from(body)), `${received.length} bytes, or others, came`);
}
