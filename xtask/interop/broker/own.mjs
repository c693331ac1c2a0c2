// A second broker that belongs to one script, which may kill it.

import { spawn } from 'node:child_process';
import { once } from 'node:events';

import { until } from '../support.mjs';
import { BROKER } from './peer.mjs';

export class Broker {
  #process;

  static async start() {
    const broker = new Broker();
    Object.assign(broker, { login: BROKER.login, passcode: BROKER.passcode });
    process.once('exit', () => broker.#process.kill('SIGKILL'));
    const [ws, tcp] = await broker.#launch('127.0.0.1:0', '127.0.0.1:0');
    broker.addresses = [ws, tcp];
    Object.assign(broker, { ws: `ws://${ws}/ws`, tcp });
    return broker;
  }

  /** Starts the broker on the same addresses. Tries again if another program uses one of them meanwhile. */
  async restart() {
    await until(() => this.#launch(...this.addresses), 'a restart of a second broker');
  }

  /** Resolves with the addresses that the broker prints, or with `undefined` if it ends before. */
  async #launch(ws, tcp) {
    const options = ['--ws', ws, '--tcp', tcp, '--login', this.login, '--passcode', this.passcode];
    this.#process = spawn(process.env.BROKER_BIN, options, { stdio: ['ignore', 'pipe', 'inherit'] });
    let printed = '';
    let ended = false;
    this.#process.stdout.on('data', (text) => (printed += text));
    this.#process.once('exit', () => (ended = true));
    const addresses = () => printed.match(/ws:\/\/(\S+)\/ws\n.*TCP: (\S+)\n/)?.slice(1);
    await until(() => ended || addresses(), 'the addresses of a second broker');
    return addresses();
  }

  async kill() {
    const ended = once(this.#process, 'exit');
    this.#process.kill('SIGKILL');
    await ended;
  }
}
