// Steps that several checks share.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { connect as connectTcp } from 'node:net';

import { BROKER } from './peer.mjs';

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

/** Sends messages over TCP, all frames in one write. */
export async function sendBurst(destination, bodies) {
  const [host, port] = BROKER.tcp.split(':');
  const socket = connectTcp(Number(port), host);
  await once(socket, 'connect');
  const frames = [
    `CONNECT\naccept-version:1.2\nhost:/\nlogin:${BROKER.login}\npasscode:${BROKER.passcode}\n\n\0`,
    ...bodies.map((body) => `SEND\ndestination:${destination}\n\n${body}\0`),
    'DISCONNECT\nreceipt:sent\n\n\0',
  ];
  socket.resume().end(frames.join(''));
  await once(socket, 'close');
}
