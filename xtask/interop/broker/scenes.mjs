// Steps that several checks share.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';

/** Returns a new destination of this kind. */
export const fresh = (kind) => `/${kind}/interop.${randomUUID()}`;
export const texts = (count) => Array.from({ length: count }, (_, n) => `text ${n}`);
export const text = ({ body }) => body.toString();

export async function sendAll(peer, destination, bodies) {
  for (const body of bodies) await peer.send(destination, body);
}

/** Creates a queue with these messages, and a consumer that has received them. */
export async function consume(connect, ack, bodies) {
  const queue = fresh('queue');
  const peer = await connect();
  await sendAll(peer, queue, bodies);
  const inbox = await peer.subscribe(queue, { ack });
  return { peer, queue, inbox, messages: await inbox.take(bodies.length) };
}

/** Checks with another consumer that the queue has these messages and no others, and returns them. */
export async function expectMessages(connect, queue, bodies) {
  const peer = await connect();
  const inbox = await peer.subscribe(queue);
  const messages = await inbox.take(bodies.length);
  assert.deepEqual(messages.map(text), bodies);
  await peer.send(queue, 'new');
  assert.equal(text(await inbox.next()), 'new');
  return messages;
}
