// Checks of transactions.

import assert from 'node:assert/strict';

import { consume, expectMessages, fresh, text, texts } from './scenes.mjs';

export const TRANSACTIONS = [
  ...['topic', 'queue'].map((kind) => ({
    name: `messages to a ${kind} in a transaction are delivered at COMMIT`,
    async body(connect) {
      const peer = await connect();
      const destination = fresh(kind);
      const inbox = await peer.subscribe(destination);
      await peer.begin('tx');
      sendInTransaction(peer, destination, 'one');
      sendInTransaction(peer, destination, 'two');
      await peer.send(destination, 'outside');
      assert.equal(text(await inbox.next()), 'outside');
      await peer.commit('tx');
      assert.deepEqual((await inbox.take(2)).map(text), ['one', 'two']);
    },
  })),
  {
    name: 'a SEND in a transaction is answered with RECEIPT before COMMIT',
    needs: 'receipts in transactions',
    async body(connect) {
      const peer = await connect();
      await peer.begin('tx');
      await peer.send(fresh('topic'), 'held', { transaction: 'tx' });
    },
  },
  {
    name: 'messages of an aborted transaction are never delivered',
    async body(connect) {
      const peer = await connect();
      const topic = fresh('topic');
      const inbox = await peer.subscribe(topic);
      await peer.begin('tx');
      sendInTransaction(peer, topic, 'aborted');
      await peer.abort('tx');
      await peer.send(topic, 'outside');
      assert.equal(text(await inbox.next()), 'outside');
    },
  },
  {
    name: 'an ACK in a transaction takes effect at COMMIT',
    async body(connect) {
      const { peer, queue, messages } = await consume(connect, 'client-individual', texts(2));
      await peer.begin('tx');
      await peer.ack(messages[0], { transaction: 'tx' });
      await peer.commit('tx');
      peer.terminate();
      await expectMessages(connect, queue, ['text 1']);
    },
  },
  {
    name: 'an ACK in an aborted transaction has no effect and may be sent again',
    async body(connect) {
      const { peer, queue, messages } = await consume(connect, 'client-individual', texts(3));
      await peer.begin('tx');
      await peer.ack(messages[0], { transaction: 'tx' });
      await peer.ack(messages[1], { transaction: 'tx' });
      await peer.abort('tx');
      await peer.ack(messages[0]);
      peer.terminate();
      await expectMessages(connect, queue, ['text 1', 'text 2']);
    },
  },
  {
    name: 'a transaction is aborted when its connection ends',
    async body(connect) {
      const { peer, queue, messages } = await consume(connect, 'client-individual', texts(2));
      await peer.begin('tx');
      await peer.ack(messages[0], { transaction: 'tx' });
      sendInTransaction(peer, queue, 'never');
      peer.terminate();
      await expectMessages(connect, queue, texts(2));
    },
  },
];

/** Sends in the transaction `tx` without waiting for the receipt. */
function sendInTransaction(peer, destination, body) {
  peer.send(destination, body, { transaction: 'tx' }).catch(() => {});
}
