// The table in differences.md: where a broker is known to do otherwise.

import { readFileSync } from 'node:fs';

/** For the broker under judgement and this client: the reason of each difference, by the name of its check. */
export function differences(client) {
  const file = readFileSync(new URL('differences.md', import.meta.url), 'utf8');
  const [, , ...rows] = file.split('\n').filter((line) => line.startsWith('|'));
  const cells = rows.map((row) => row.split('|').slice(1, -1).map((cell) => cell.trim()));
  const ours = cells.filter(
    ([server, clients]) => server === process.env.BROKER && clients.split(', ').includes(client),
  );
  return new Map(ours.map(([, , check, reason]) => [check, reason]));
}
