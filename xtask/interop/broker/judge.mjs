// The checks, one after another, with clients that are to judge a broker.

import assert from 'node:assert/strict';

import { check, finish, until, within } from '../support.mjs';
import { PATIENT, PLAIN, VERSIONED } from './checks.mjs';
import { differences } from './differences.mjs';
import { Broker } from './own.mjs';
import { fresh } from './scenes.mjs';

/** Runs all checks that each client is able to take, and ends the script. */
export async function judge(...clients) {
  for (const client of clients) {
    console.log(`${client.client}:`);
    await judgeOne(client);
  }
  finish();
}

async function judgeOne(Client) {
  const listed = differences(Client.client);
  const able = ({ needs }) => !Client.unable?.includes(needs);
  /** Its connections are cut when it ends. */
  const judged = (name, body, version) => {
    const peers = [];
    const connect = async (options) => {
      const peer = await Client.connect({ ...(version && { version }), ...options });
      peers.push(peer);
      return peer;
    };
    const run = () => body(connect, version).finally(() => peers.forEach((peer) => peer.cut()));
    const difference = listed.get(name);
    listed.delete(name);
    // What a broker is known not to do is not waited for as long as what it must do.
    return check(name, () => (difference ? within(run(), 'it', 2000) : run()), difference);
  };

  await Promise.all(PATIENT.map(({ name, body }) => judged(name, body)));
  for (const version of Client.versions) {
    for (const { name, body } of VERSIONED.filter(({ since = '1.0' }) => version >= since)) {
      await judged(`STOMP ${version}: ${name}`, body, version);
    }
  }
  for (const { name, body } of PLAIN.filter(able)) {
    await judged(name, body);
  }
  if (process.env.BROKER_BIN && able({ needs: 'coming back' })) {
    await judged('a client comes back and subscribes again after the broker was killed', () => comesBack(Client));
  }
  for (const name of listed.keys()) {
    await check(name, () => assert.fail('listed as a difference, but there is no such check'));
  }
}

async function comesBack(Client) {
  const broker = await Broker.start();
  const topic = fresh('topic');
  const { inbox, leave } = Client.stay(broker, topic);
  const heard = () =>
    until(async () => {
      // As soon as it has subscribed, it hears one of these.
      const peer = await Client.connect(broker).catch(() => undefined);
      await peer?.send(topic, 'anybody?').finally(() => peer.cut());
      return inbox.rest().length > 0;
    }, 'the client');
  await heard();
  await broker.kill();
  await broker.again();
  inbox.rest();
  await heard();
  await leave();
  await broker.kill();
}
