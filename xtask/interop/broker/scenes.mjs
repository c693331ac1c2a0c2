// What many checks begin or end with.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';

/** A destination of this kind that nobody has used. */
export const fresh = (kind) => `/${kind}/interop.${randomUUID()}`;
export const texts = (count) => Array.from({ length: count }, (_, n) => `text ${n}`);
export const text = ({ body }) => body.toString();

export async function sendAll(peer, destination, bodies) {
  for (const body of bodies) await peer.send(destination, body);
}

/** A consumer that has these messages of a new queue. */
export async function consume(connect, ack, bodies) {
  const queue = fresh('queue');
  const peer = await connect();
  await sendAll(peer, queue, bodies);
  const inbox = await peer.subscribe(queue, { ack });
  return { peer, queue, inbox, messages: await inbox.take(bodies.length) };
}

/** Another consumer gets these messages of the queue, and no others. */
export async function expectLeft(connect, queue, bodies) {
  const peer = await connect();
  const inbox = await peer.subscribe(queue);
  const messages = await inbox.take(bodies.length);
  assert.deepEqual(messages.map(text), bodies);
  await peer.send(queue, 'new');
  assert.equal(text(await inbox.next()), 'new');
  return messages;
}
