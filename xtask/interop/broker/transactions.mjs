// What a broker must do with transactions.

import assert from 'node:assert/strict';

import { consume, expectLeft, fresh, text, texts } from './scenes.mjs';

export const TRANSACTIONS = [
  ...['topic', 'queue'].map((kind) => ({
    name: `what is sent to a ${kind} in a transaction comes at COMMIT`,
    async body(connect) {
      const peer = await connect();
      const destination = fresh(kind);
      const inbox = await peer.subscribe(destination);
      await peer.begin('tx');
      hold(peer, destination, 'one');
      hold(peer, destination, 'two');
      await peer.send(destination, 'outside');
      assert.equal(text(await inbox.next()), 'outside');
      await peer.commit('tx');
      assert.deepEqual((await inbox.take(2)).map(text), ['one', 'two']);
    },
  })),
  {
    name: 'a SEND in a transaction is receipted before COMMIT',
    async body(connect) {
      const peer = await connect();
      await peer.begin('tx');
      await peer.send(fresh('topic'), 'held', { transaction: 'tx' });
    },
  },
  {
    name: 'what is sent in a transaction never comes after ABORT',
    async body(connect) {
      const peer = await connect();
      const topic = fresh('topic');
      const inbox = await peer.subscribe(topic);
      await peer.begin('tx');
      hold(peer, topic, 'aborted');
      await peer.abort('tx');
      await peer.send(topic, 'outside');
      assert.equal(text(await inbox.next()), 'outside');
    },
  },
  {
    name: 'an ACK in a transaction counts from COMMIT on',
    async body(connect) {
      const { peer, queue, messages } = await consume(connect, 'client-individual', texts(2));
      await peer.begin('tx');
      await peer.ack(messages[0], { transaction: 'tx' });
      await peer.commit('tx');
      peer.cut();
      await expectLeft(connect, queue, ['text 1']);
    },
  },
  {
    name: 'after ABORT an ACK in the transaction has not been, and may come again',
    async body(connect) {
      const { peer, queue, messages } = await consume(connect, 'client-individual', texts(3));
      await peer.begin('tx');
      await peer.ack(messages[0], { transaction: 'tx' });
      await peer.ack(messages[1], { transaction: 'tx' });
      await peer.abort('tx');
      await peer.ack(messages[0]);
      peer.cut();
      await expectLeft(connect, queue, ['text 1', 'text 2']);
    },
  },
  {
    name: 'a transaction that is open when its connection ends is aborted',
    async body(connect) {
      const { peer, queue, messages } = await consume(connect, 'client-individual', texts(2));
      await peer.begin('tx');
      await peer.ack(messages[0], { transaction: 'tx' });
      hold(peer, queue, 'never');
      peer.cut();
      await expectLeft(connect, queue, texts(2));
    },
  },
];

/** Sends in the transaction `tx`, whenever the receipt comes. */
function hold(peer, destination, body) {
  peer.send(destination, body, { transaction: 'tx' }).catch(() => {});
}
