// Functions that all scripts share: they run checks, print a line for each, and wait with a time limit.

import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';

// A script ends itself and its child processes before `cargo xtask interop` would kill it.
setTimeout(() => finish(new Error('the script exceeded its time limit')), 230_000).unref();

/** Maximum time of a step, in ms. Steps usually take a few milliseconds, but much longer on a busy machine. */
const LIMIT = 20_000;

/**
 * Runs a check and prints its result. A failure does not prevent the next check. `difference` is the reason of a known
 * difference: if it is given, the check must fail.
 */
export async function check(name, body, difference) {
  const started = performance.now();
  let failure;
  try {
    await body();
    failure = difference && new Error(`passes, but is listed as a difference: ${difference}`);
  } catch (error) {
    if (difference) return console.log(`  differs ${name} (${difference})`);
    failure = error;
  }
  if (!failure) return console.log(`  ok      ${name} (${Math.round(performance.now() - started)} ms)`);
  process.exitCode = 1;
  console.log(`  FAILED  ${name}\n${indented(failure.stack ?? String(failure))}`);
}

/** Calls `probe` until it returns something truthy, and returns that. */
export async function until(probe, what, limit = LIMIT) {
  const deadline = performance.now() + limit;
  for (;;) {
    const found = await probe();
    if (found) return found;
    assert(performance.now() < deadline, `timed out after ${limit} ms waiting for ${what}`);
    await sleep(20);
  }
}

/** Waits for the promise, and rejects at the time limit. */
export async function within(promise, what, limit = LIMIT) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`timed out after ${limit} ms waiting for ${what}`)), limit);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Ends the script, even with open sockets. */
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
