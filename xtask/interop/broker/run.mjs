// Runs the checks of a broker with third-party clients.

import assert from 'node:assert/strict';

import { check, finish, until, within } from '../support.mjs';
import { TIMED, PLAIN, VERSIONED } from './checks.mjs';
import { differences } from './differences.mjs';
import { Broker } from './own.mjs';
import { fresh } from './scenes.mjs';

/** Runs all checks that each client supports, and ends the script. */
export async function testWith(...clients) {
  for (const client of clients) {
    console.log(`${client.client}:`);
    await testWithOne(client);
  }
  finish();
}

async function testWithOne(Client) {
  const listed = differences(Client.client);
  const supports = ({ needs }) => !Client.lacks?.includes(needs);
  /** Runs a check, and closes its connections at the end. */
  const run = (name, body, version) => {
    const peers = [];
    const connect = async (options) => {
      const peer = await Client.connect({ ...(version && { version }), ...options });
      peers.push(peer);
      return peer;
    };
    const checked = () => body(connect, version).finally(() => peers.forEach((peer) => peer.terminate()));
    const difference = listed.get(name);
    listed.delete(name);
    // A check that is expected to fail gets less time, to shorten the run.
    return check(name, () => (difference ? within(checked(), 'an answer', 2000) : checked()), difference);
  };

  await Promise.all(TIMED.map(({ name, body }) => run(name, body)));
  for (const version of Client.versions) {
    for (const { name, body } of VERSIONED.filter(({ since = '1.0' }) => version >= since)) {
      await run(`STOMP ${version}: ${name}`, body, version);
    }
  }
  for (const { name, body } of PLAIN.filter(supports)) {
    await run(name, body);
  }
  if (process.env.BROKER_BIN && supports({ needs: 'reconnecting' })) {
    await run('a client reconnects and subscribes again after a restart of the broker', () => reconnects(Client));
  }
  for (const name of listed.keys()) {
    await check(name, () => assert.fail('differences.md lists a check that does not exist'));
  }
}

async function reconnects(Client) {
  const broker = await Broker.start();
  const topic = fresh('topic');
  const { inbox, leave } = Client.subscribeForever(broker, topic);
  const receives = () =>
    until(async () => {
      // The client receives one of these messages as soon as it has subscribed.
      const peer = await Client.connect(broker).catch(() => undefined);
      await peer?.send(topic, 'a message').finally(() => peer.terminate());
      return inbox.takeAll().length > 0;
    }, 'a message at the client');
  await receives();
  await broker.kill();
  await broker.restart();
  inbox.takeAll();
  await receives();
  await leave();
  await broker.kill();
}
