// What the scripts share: checks that print one line each, and waiting with a limit.

import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';

// A script ends by itself, and takes its children along, before its runner has to kill it.
setTimeout(() => finish(new Error('the script ran over time')), 110_000).unref();

/**
 * Runs one check; its failure is printed and does not keep the next from running. Where a server is known to differ,
 * the check must fail, and `difference` says why it does.
 */
export async function check(name, body, difference) {
  const started = performance.now();
  let failure;
  try {
    await body();
    failure = difference && new Error(`passes, although it is listed as a difference: ${difference}`);
  } catch (error) {
    if (difference) return console.log(`  differs ${name} (${difference})`);
    failure = error;
  }
  if (!failure) return console.log(`  ok      ${name} (${Math.round(performance.now() - started)} ms)`);
  process.exitCode = 1;
  console.log(`  FAILED  ${name}\n${indented(failure.stack ?? String(failure))}`);
}

/** Probes until something truthy comes, and gives it. */
export async function until(probe, what, limit = 10_000) {
  const deadline = performance.now() + limit;
  for (;;) {
    const found = await probe();
    if (found) return found;
    assert(performance.now() < deadline, `no sign of ${what} within ${limit} ms`);
    await sleep(20);
  }
}

/** The promise's value, if it comes in time. */
export async function within(promise, what, limit = 10_000) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no sign of ${what} within ${limit} ms`)), limit);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Ends the script whatever sockets are still open. */
export function finish(error) {
  if (error) {
    process.exitCode = 1;
    console.log(`  FAILED  ${error.message}`);
  }
  process.exit();
}

function indented(text) {
  return text.replace(/^/gm, '          ');
}
