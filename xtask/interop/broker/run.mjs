// Runs the checks of a broker with third-party clients.

import { finish, until } from '../support.mjs';
import { TIMED, PLAIN, VERSIONED } from './checks.mjs';
import { Differences } from './differences.mjs';
import { Broker } from './own.mjs';
import { fresh } from './scenes.mjs';

const VERSIONS = ['1.2', '1.1', '1.0'];

/**
 * Runs all checks that each client supports, and ends the script. `lacks` of a client maps what it cannot do to the
 * reason: a version, such as `STOMP 1.2`, or what a check `needs`.
 */
export async function testWith(...clients) {
  for (const client of clients) {
    console.log(`${client.client}:`);
    await testWithOne(client);
  }
  finish();
}

async function testWithOne(Client) {
  const differences = new Differences(Client.client);
  const { lacks } = Client;
  const newest = VERSIONS.find((version) => !(`STOMP ${version}` in lacks));
  /** Runs a check, and closes its connections at the end. */
  const run = ({ name, needs, body }, version) => {
    if (version) name = `STOMP ${version}: ${name}`;
    if (needs in lacks) return console.log(`  lacks   ${name} (${needs}: ${lacks[needs]})`);
    const peers = [];
    const connect = async (options) => {
      const peer = await Client.connect({ version: version ?? newest, ...options });
      peers.push(peer);
      return peer;
    };
    return differences.check(name, async () => body(connect, version), () => peers.forEach((peer) => peer.terminate()));
  };

  await Promise.all(TIMED.map((timed) => run(timed)));
  for (const version of VERSIONS) {
    const lack = lacks[`STOMP ${version}`];
    if (lack) console.log(`  lacks   STOMP ${version} (${lack})`);
    else for (const versioned of VERSIONED.filter(({ since = '1.0' }) => version >= since)) await run(versioned, version);
  }
  for (const plain of PLAIN) await run(plain);
  if (process.env.BROKER_BIN) await run(reconnecting(Client));
  await differences.finish();
}

function reconnecting(Client) {
  const name = 'a client reconnects and subscribes again after a restart of the broker';
  return { name, needs: 'reconnecting', body: () => reconnects(Client) };
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
