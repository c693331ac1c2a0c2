// A second broker that belongs to one script, which may kill it.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';

import { until } from '../support.mjs';
import { BROKER } from './peer.mjs';

export class Broker {
  #process;

  static async start() {
    const broker = new Broker();
    const [ws, tcp] = [await freeAddress(), await freeAddress()];
    Object.assign(broker, { login: BROKER.login, passcode: BROKER.passcode, ws: `ws://${ws}/ws`, tcp });
    broker.arguments = ['--ws', ws, '--tcp', tcp, '--login', broker.login, '--passcode', broker.passcode];
    process.once('exit', () => broker.#process.kill('SIGKILL'));
    await broker.restart();
    return broker;
  }

  /** Starts the broker on the same addresses. */
  async restart() {
    this.#process = spawn(process.env.BROKER_BIN, this.arguments, { stdio: ['ignore', 'pipe', 'inherit'] });
    let printed = '';
    this.#process.stdout.on('data', (text) => (printed += text));
    await until(() => printed.includes(this.tcp), 'the addresses of a second broker');
  }

  async kill() {
    const ended = once(this.#process, 'exit');
    this.#process.kill('SIGKILL');
    await ended;
  }
}

async function freeAddress() {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address();
  probe.close();
  await once(probe, 'close');
  return `127.0.0.1:${port}`;
}
