// Tests the chat's page in Chromium: two tabs exchange messages, and a page reconnects after a restart of its server.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

import { browser } from './browser.mjs';
import { check, finish, until } from './support.mjs';

const { CHAT_BIN, CHAT_URL, SCREENSHOTS } = process.env;

/** A tab with the chat's page. */
class Tab {
  failures = [];

  static async join(url, name, room) {
    const tab = new Tab();
    tab.page = await browser.newPage();
    tab.page.setDefaultTimeout(30_000);
    tab.page.on('pageerror', (error) => tab.failures.push(error.message));
    await tab.page.goto(`${url}/`);
    await tab.page.fill('#name', name);
    await tab.page.fill('#room', room);
    await tab.page.click('#join');
    await tab.online(`${name} online`);
    return tab;
  }

  async state() {
    return (await this.page.textContent('#state')).trim();
  }

  async online(what) {
    await until(async () => (await this.state()) === 'online', what);
  }

  async say(text) {
    await this.page.fill('#text', text);
    await this.page.click('#send');
  }

  /** Waits until the log has a line for each of `texts`, and returns these lines. */
  async received(texts) {
    return until(async () => {
      const lines = await this.page.locator('#log > *').allTextContents();
      const received = lines.filter((line) => texts.some((text) => line.includes(text)));
      return received.length >= texts.length && received;
    }, texts.join(', '));
  }

  /** Waits until the list of people in the room is this. */
  async seesMembers(names) {
    await until(async () => {
      const shown = await this.page.locator('#members > *').allTextContents();
      return shown.join() === names.join();
    }, `members ${names}`);
  }

  async leave(screenshot) {
    if (SCREENSHOTS) {
      await this.page.screenshot({ path: join(SCREENSHOTS, `${screenshot}.png`) });
    }
    await this.page.close();
    assert.deepEqual(this.failures, []);
  }
}

/** Starts a second chat, which the script may kill. */
async function startChat(listen) {
  const chat = spawn(CHAT_BIN, ['--listen', listen], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  process.once('exit', () => chat.kill('SIGKILL'));
  let printed = '';
  chat.stdout.on('data', (text) => (printed += text));
  const address = () => printed.match(/http:\/\/(\S+)\//)?.[1];
  await until(address, 'the address of a second chat');
  return { chat, address: address() };
}

async function kill(chat) {
  const ended = once(chat, 'exit');
  chat.kill('SIGKILL');
  await ended;
}

await check('two tabs show the same conversation', async () => {
  const ann = await Tab.join(CHAT_URL, 'ann', 'lobby');
  const bob = await Tab.join(CHAT_URL, 'bob', 'lobby');
  // A page subscribes to the room's messages before it enters the list of members.
  for (const tab of [ann, bob]) await tab.seesMembers(['ann', 'bob']);
  await bob.say('bob-1');
  await ann.received(['bob-1']);
  await ann.say('ann-1');
  await bob.received(['ann-1']);
  for (const n of [2, 3]) {
    await Promise.all([ann.say(`ann-${n}`), bob.say(`bob-${n}`)]);
  }

  const texts = ['ann', 'bob'].flatMap((name) => [1, 2, 3].map((n) => `${name}-${n}`));
  const [atAnn, atBob] = [await ann.received(texts), await bob.received(texts)];
  assert.equal(atAnn.length, 6);
  assert.deepEqual(textsOf(atAnn, texts), textsOf(atBob, texts));
  for (const text of texts) {
    const [name] = text.split('-');
    const line = atAnn.find((line) => line.includes(text));
    assert(line.replace(text, '').includes(name), `no sender in "${line}"`);
  }
  await ann.leave('lobby-ann');
  await bob.leave('lobby-bob');
});

/** Returns the texts in the order of the log's lines. */
function textsOf(lines, texts) {
  return lines.map((line) => texts.find((text) => line.includes(text)));
}

await check('a page shows who is in the room, also after one has closed the tab', async () => {
  const ann = await Tab.join(CHAT_URL, 'ann', 'garden');
  const bob = await Tab.join(CHAT_URL, 'bob', 'garden');
  const again = await Tab.join(CHAT_URL, 'bob', 'garden');
  const eve = await Tab.join(CHAT_URL, 'eve', 'kitchen');
  for (const tab of [ann, bob, again]) await tab.seesMembers(['ann', 'bob']);
  await eve.seesMembers(['eve']);
  await bob.leave('garden-bob');
  await ann.seesMembers(['ann', 'bob']);
  await again.leave('garden-bob-again');
  await ann.seesMembers(['ann']);
  await ann.leave('garden-ann');
  await eve.leave('kitchen-eve');
});

await check('a page reconnects after a restart of its server', async () => {
  let { chat, address } = await startChat('127.0.0.1:0');
  const ann = await Tab.join(`http://${address}`, 'ann', 'lobby');
  await kill(chat);
  await until(async () => (await ann.state()) !== 'online', 'the page offline');
  ({ chat } = await startChat(address));
  await ann.online('the page online again');
  await ann.say('after the restart');
  await ann.received(['after the restart']);
  await ann.leave('after-restart');
  await kill(chat);
});

await browser.close();
finish();
