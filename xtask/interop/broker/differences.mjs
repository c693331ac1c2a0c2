// Reads the table of known differences in differences.md.

import { readFileSync } from 'node:fs';

/** Returns the known differences of the broker under test with this client: maps the name of a check to the reason. */
export function differences(client) {
  const file = readFileSync(new URL('differences.md', import.meta.url), 'utf8');
  const [, , ...rows] = file.split('\n').filter((line) => line.startsWith('|'));
  const cells = rows.map((row) => row.split('|').slice(1, -1).map((cell) => cell.trim()));
  const ours = cells.filter(
    ([server, clients]) => server === process.env.BROKER && clients.split(', ').includes(client),
  );
  return new Map(ours.map(([, , check, reason]) => [check, reason]));
}
