// Runs checks that may be in the table of known differences in differences.md.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';

import { check, within } from '../support.mjs';

/** The known differences of the broker under test with one client. */
export class Differences {
  /** Maps the name of a check to the reason of the difference. */
  #listed;

  constructor(client) {
    const file = readFileSync(new URL('differences.md', import.meta.url), 'utf8');
    const [, , ...rows] = file.split('\n').filter((line) => line.startsWith('|'));
    const cells = rows.map((row) => row.split('|').slice(1, -1).map((cell) => cell.trim()));
    const ours = cells.filter(
      ([server, clients]) => server === process.env.BROKER && clients.split(', ').includes(client),
    );
    this.#listed = new Map(ours.map(([, , check, reason]) => [check, reason]));
  }

  /** Runs a check and then `cleanUp`. A listed check must fail, and gets less time, to shorten the run. */
  check(name, body, cleanUp = () => {}) {
    const difference = this.#listed.get(name);
    this.#listed.delete(name);
    const limited = () => (difference ? within(body(), 'an answer', 2000) : body());
    return check(name, () => limited().finally(cleanUp), difference);
  }

  /** Fails for each listed check that has not run. Must be called after all checks. */
  async finish() {
    for (const name of this.#listed.keys()) {
      await check(name, () => assert.fail('differences.md lists a check that did not run'));
    }
  }
}
