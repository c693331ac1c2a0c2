// Tests the broker's page in Chromium while a stompjs client sends messages.

import assert from 'node:assert/strict';
import { join } from 'node:path';

import { Client } from '@stomp/stompjs';
import { WebSocket } from 'ws';

import { browser } from '../browser.mjs';
import { check, finish, until, within } from '../support.mjs';
import { BROKER } from './peer.mjs';

Object.assign(globalThis, { WebSocket });

const URL = BROKER.ws.replace(/^ws/, 'http').replace(/ws$/, '');
const { SCREENSHOTS } = process.env;

async function open(options) {
  const page = await browser.newPage(options);
  page.failures = [];
  page.setDefaultTimeout(30_000);
  page.on('pageerror', (error) => page.failures.push(error.message));
  await page.goto(URL);
  await online(page);
  return page;
}

async function close(page, screenshot) {
  if (SCREENSHOTS) await page.screenshot({ path: join(SCREENSHOTS, `${screenshot}.png`), fullPage: true });
  await page.close();
  assert.deepEqual(page.failures, []);
}

const online = (page) => until(async () => (await text(page, 'state')) === 'online', 'the page online');
const text = async (page, id) => (await page.textContent(`#${id}`)).trim();

/** Waits until the row that begins with `key` matches, and returns its texts. */
function row(page, table, key, matches) {
  return until(async () => {
    const rows = await page.locator(`#${table} > tr`).all();
    for (const row of rows) {
      const cells = await row.locator('td').allTextContents();
      if (cells[0] === key && matches(cells)) return cells;
    }
  }, `the row of ${key}`);
}

/** Connects a stompjs client. */
async function connect() {
  const client = new Client({ brokerURL: BROKER.ws, connectHeaders: BROKER, reconnectDelay: 0 });
  const connected = new Promise((resolve) => (client.onConnect = resolve));
  client.activate();
  await within(connected, 'CONNECTED');
  return client;
}

for (const colorScheme of ['light', 'dark']) {
  await check(`the page shows destinations, rates and sessions, in ${colorScheme}`, async () => {
    const page = await open({ colorScheme });
    const client = await connect();
    const [topic, queue] = [`/topic/prices.${colorScheme}`, `/queue/orders.${colorScheme}`];
    const subscribed = ['a', 'b'].map((id) => client.subscribe(topic, () => {}, { id }));
    const consumer = client.subscribe(queue, () => {}, { ack: 'client', 'prefetch-count': '2' });
    const traffic = setInterval(() => client.publish({ destination: topic, body: '42' }), 20);
    for (const body of ['one', 'two', 'three']) client.publish({ destination: queue, body });

    // The columns are name, subscribers, rate, total, queued and unacknowledged.
    const [, subscribers] = await row(page, 'destinations', topic, ([, , rate]) => Number(rate) > 10);
    assert.equal(subscribers, '2');
    await row(page, 'destinations', queue, ([, ...cells]) => cells.slice(2).join() === '3,1,2');
    const rate = async (id) => Number(await text(page, id));
    await until(async () => (await rate('delivered')) > (await rate('published')), 'twice as many deliveries');
    await until(async () => (await text(page, 'session-count')) === '2', 'the page and the client as sessions');
    assert.equal(await page.locator('#sessions > tr').count(), 2);
    await close(page, `broker-${colorScheme}`);

    clearInterval(traffic);
    [...subscribed, consumer].forEach((subscription) => subscription.unsubscribe());
    await client.deactivate();
  });
}

await check('the page asks for a login when its login is rejected', async () => {
  const page = await open();
  await page.evaluate(() => sessionStorage.setItem('credentials', '{"login":"eve","passcode":"wrong"}'));
  await page.reload();
  await page.waitForSelector('#login-form', { state: 'visible' });
  assert.match(await text(page, 'error'), /login/);
  await page.fill('#login', BROKER.login);
  await page.fill('#passcode', BROKER.passcode);
  await page.click('#login-form button');
  await online(page);
  assert.equal(await text(page, 'error'), '');
  await close(page, 'broker-login');
});

await browser.close();
finish();
