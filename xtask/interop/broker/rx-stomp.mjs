// Tests any broker with @stomp/rx-stomp over WebSocket: what it adds to @stomp/stompjs.

import assert from 'node:assert/strict';

import { RxStomp, RxStompRPC } from '@stomp/rx-stomp';
import { firstValueFrom, take, toArray } from 'rxjs';
import { WebSocket } from 'ws';

import { finish, until, within } from '../support.mjs';
import { Differences } from './differences.mjs';
import { Broker } from './own.mjs';
import { BROKER } from './peer.mjs';
import { fresh, texts } from './scenes.mjs';

Object.assign(globalThis, { WebSocket });

const BYTES = Uint8Array.from({ length: 256 }, (_, byte) => byte);

const differences = new Differences('rx-stomp');

/** Runs a check with a connection of its own. */
async function run(name, body) {
  const rxStomp = await connect(BROKER);
  await differences.check(name, () => body(rxStomp));
  await rxStomp.deactivate({ force: true });
}

async function connect({ ws, login, passcode }) {
  const rxStomp = new RxStomp();
  rxStomp.configure({ brokerURL: ws, connectHeaders: { login, passcode }, reconnectDelay: 100 });
  rxStomp.activate();
  await within(firstValueFrom(rxStomp.connected$), 'CONNECTED');
  return rxStomp;
}

/** Resolves when the broker has answered the frame that `action` sends with these headers. */
function receipted(rxStomp, action) {
  const receipt = fresh('receipt');
  const answered = new Promise((resolve) => rxStomp.watchForReceipt(receipt, resolve));
  action({ receipt });
  return within(answered, 'RECEIPT');
}

/** Subscribes, and returns a promise of the first `count` messages. The array keeps the promise from being awaited. */
async function watch(rxStomp, destination, count) {
  let messages;
  await receipted(rxStomp, (headers) => {
    messages = firstValueFrom(rxStomp.watch(destination, headers).pipe(take(count), toArray()));
  });
  return [within(messages, `${count} messages`)];
}

await run('watch receives what publish sends', async (rxStomp) => {
  const destination = fresh('topic');
  const [messages] = await watch(rxStomp, destination, 3);
  for (const body of texts(3)) rxStomp.publish({ destination, body });
  assert.deepEqual((await messages).map(({ body }) => body), texts(3));
});

await run('watch receives a binary body', async (rxStomp) => {
  const destination = fresh('topic');
  const [messages] = await watch(rxStomp, destination, 1);
  rxStomp.publish({ destination, binaryBody: BYTES });
  assert.deepEqual((await messages)[0].binaryBody, BYTES);
});

await run('an ERROR is observed', async (rxStomp) => {
  const error = firstValueFrom(rxStomp.stompErrors$);
  rxStomp.publish({ destination: '/nowhere/at-all', body: 'lost' });
  assert((await within(error, 'ERROR')).headers.message);
});

/** The ways to receive replies. */
const REPLY_QUEUES = {
  'the default reply queue': () => undefined,
  'a subscribed temporary queue': () => ({
    replyQueueName: '/temp-queue/replies',
    setupReplyQueue: (name, rxStomp) => rxStomp.watch(name),
  }),
  'an exclusive queue': () => ({
    replyQueueName: fresh('queue'),
    setupReplyQueue: (name, rxStomp) =>
      rxStomp.watch(name, { durable: 'false', 'auto-delete': 'true', exclusive: 'true' }),
  }),
};

/** Sends a request to a worker that replies with the body of the request, and returns the reply. */
async function echo(rpc, destination, request) {
  return within(firstValueFrom(rpc.rpc({ destination, ...request })), 'a reply');
}

const REQUESTS = {
  'a request is answered': async (rpc, destination) => {
    assert.equal((await echo(rpc, destination, { body: 'hello' })).body, 'hello');
  },
  'three requests are answered': async (rpc, destination) => {
    for (const body of texts(3)) assert.equal((await echo(rpc, destination, { body })).body, body);
  },
  'a reply has the correlation-id of its request': async (rpc, destination) => {
    const headers = { 'correlation-id': 'chosen' };
    const reply = await echo(rpc, destination, { body: 'hello', headers });
    assert.equal(reply.headers['correlation-id'], 'chosen');
  },
  'a binary request is answered': async (rpc, destination) => {
    assert.deepEqual((await echo(rpc, destination, { binaryBody: BYTES })).binaryBody, BYTES);
  },
  'nothing listens after the reply': async (rpc, destination, rxStomp) => {
    const listeners = () => rxStomp.unhandledMessage$.observers.length;
    const before = listeners();
    await echo(rpc, destination, { body: 'hello' });
    await until(() => listeners() === before, 'the end of the listener');
  },
};

/** Subscribes to requests and replies to them. */
function work(rxStomp, destination) {
  return receipted(rxStomp, (receipt) => {
    rxStomp.watch(destination, receipt).subscribe(({ binaryBody, headers }) =>
      rxStomp.publish({
        destination: headers['reply-to'],
        binaryBody,
        headers: { 'correlation-id': headers['correlation-id'] },
      }),
    );
  });
}

for (const [replyQueue, configure] of Object.entries(REPLY_QUEUES)) {
  // They run at the same time, since those that must fail take long.
  const runs = Object.entries(REQUESTS).map(([request, body]) =>
    run(`RPC with ${replyQueue}: ${request}`, async (rxStomp) => {
      const destination = fresh('topic');
      await work(rxStomp, destination);
      await body(new RxStompRPC(rxStomp, configure()), destination, rxStomp);
    }),
  );
  await Promise.all(runs);
}

if (process.env.BROKER_BIN) {
  await differences.check('watch continues after a restart of the broker', async () => {
    const broker = await Broker.start();
    const rxStomp = await connect(broker);
    const destination = fresh('topic');
    const received = [];
    rxStomp.watch(destination).subscribe(({ body }) => received.push(body));
    const receives = (body) =>
      until(() => {
        if (rxStomp.connected()) rxStomp.publish({ destination, body });
        return received.includes(body);
      }, `the message ${body}`);
    await receives('before');
    await broker.kill();
    await broker.restart();
    await receives('after');
    await rxStomp.deactivate({ force: true });
    await broker.kill();
  });
}

await differences.finish();
finish();
