// Tests that bursts reach all subscribers that read as fast as they can, and that a subscriber that does not read is
// disconnected. A burst is messages of up to 16 MiB in one write.
//
// BURST_ROUNDS and BURST_MIB in the environment make the test longer.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createConnection } from 'node:net';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

import { check, finish, until, within } from '../support.mjs';
import { BROKER } from './peer.mjs';
import { fresh } from './scenes.mjs';

const ROUNDS = Number(process.env.BURST_ROUNDS ?? 2);
const MAX_BYTES = Number(process.env.BURST_MIB ?? 4) << 20;

/** A subscriber drops a burst that is not complete after this time. */
const LIMIT = 60_000;

/** Sizes of bodies, in bytes. */
const MIXES = {
  'of 10 bytes': () => 10,
  'of 100 bytes': () => 100,
  'of 64 KiB': () => 64 << 10,
  // As many messages of 10 to 20 bytes as of 32 to 64 KiB.
  'of mixed sizes': () => Math.min(64 << 10, Math.floor(10 * 2 ** (Math.random() * 12.7))),
};

/** Returns frames of up to `MAX_BYTES` for a topic: their number, their bytes, and the hash of all bodies. */
function burst(topic, size) {
  const frames = [];
  const hash = createHash('sha256');
  for (let bytes = 0; ; ) {
    const body = String(frames.length).padEnd(size(), '.');
    const frame = `SEND\ndestination:${topic}\ncontent-length:${body.length}\n\n${body}\0`;
    if ((bytes += frame.length) > MAX_BYTES) break;
    hash.update(body);
    frames.push(frame);
  }
  return { count: frames.length, wire: Buffer.from(frames.join('')), hash: hash.digest('hex') };
}

/** Connects over TCP, and waits for CONNECTED. */
async function connect() {
  const [host, port] = BROKER.tcp.split(':');
  const socket = createConnection({ host, port });
  socket.on('error', () => {});
  const { login, passcode } = BROKER;
  socket.write(`CONNECT\naccept-version:1.2\nhost:/\nlogin:${login}\npasscode:${passcode}\n\n\0`);
  await within(once(socket, 'data'), 'CONNECTED');
  return socket;
}

const running = new Set();
process.once('exit', () => running.forEach((child) => child.kill('SIGKILL')));

/** A client in a process of its own. It prints a line when it has subscribed, and one for each burst. */
class Subscriber {
  #process;
  #lines;

  constructor(command, script, topic) {
    const cwd = fileURLToPath(new URL('.', import.meta.url));
    const { ws, tcp, login, passcode } = BROKER;
    const options = JSON.stringify({ ws, tcp, login, passcode, topic });
    this.#process = spawn(command, [script, options], { cwd, stdio: ['pipe', 'pipe', 'inherit'] });
    running.add(this.#process);
    this.#lines = createInterface({ input: this.#process.stdout })[Symbol.asyncIterator]();
  }

  async line(what) {
    const { value } = await within(this.#lines.next(), what, LIMIT);
    return value;
  }

  /** Announces a burst to the client, and resolves with the hash of the bodies that it receives. */
  expect(count) {
    this.#process.stdin.write(`${count}\n`);
    return this.line(`${count} messages`);
  }

  end() {
    this.#process.kill();
    running.delete(this.#process);
  }
}

/** Runs `body` with a publisher and with two subscribers of a topic. */
async function withSubscribers(body) {
  const topic = fresh('topic');
  const subscribers = [
    new Subscriber(process.execPath, 'burst_subscriber.mjs', topic),
    new Subscriber('../.venv/bin/python', 'burst_subscriber.py', topic),
  ];
  const publisher = await connect();
  const publish = async ({ count, wire, hash }) => {
    const received = subscribers.map((subscriber) => subscriber.expect(count));
    publisher.write(wire);
    assert.deepEqual(await Promise.all(received), [hash, hash], 'the bodies at stompjs and at stomp.py');
  };
  try {
    for (const subscriber of subscribers) assert.equal(await subscriber.line('the subscription'), 'subscribed');
    await body(topic, publish);
  } finally {
    for (const subscriber of subscribers) subscriber.end();
    publisher.destroy();
  }
}

for (const [mix, size] of Object.entries(MIXES)) {
  await check(`each of ${ROUNDS} bursts of messages ${mix} reaches stompjs and stomp.py`, () =>
    withSubscribers(async (topic, publish) => {
      for (let round = 0; round < ROUNDS; round += 1) await publish(burst(topic, size));
    }),
  );
}

await check('a subscriber that does not read is disconnected, and the others receive all bursts', () =>
  withSubscribers(async (topic, publish) => {
    const stuck = await connect();
    stuck.write(`SUBSCRIBE\nid:0\ndestination:${topic}\nreceipt:subscribed\n\n\0`);
    await within(once(stuck, 'data'), 'RECEIPT');
    stuck.pause();
    // A socket that is not read notices its end only when it writes.
    const heartBeats = setInterval(() => stuck.write('\n'), 100);
    await until(async () => {
      await publish(burst(topic, MIXES['of mixed sizes']));
      return stuck.destroyed;
    }, 'the end of the connection', LIMIT);
    clearInterval(heartBeats);
  }),
);

finish();
