// A subscriber with @stomp/stompjs for burst.mjs. Each line of its stdin is a number of messages; when they have come, it
// prints the hash of their bodies.

import { createHash } from 'node:crypto';
import { createInterface } from 'node:readline';

import { Client } from '@stomp/stompjs';
import { WebSocket } from 'ws';

Object.assign(globalThis, { WebSocket });

const { ws, topic, ...connectHeaders } = JSON.parse(process.argv[2]);
const client = new Client({ brokerURL: ws, connectHeaders, reconnectDelay: 0 });
const expected = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
let received = [];
let wanted = Infinity;

function report() {
  if (received.length < wanted) return;
  const hash = createHash('sha256');
  for (const body of received.splice(0, wanted)) hash.update(body);
  console.log(hash.digest('hex'));
  wanted = Infinity;
  expect();
}

async function expect() {
  wanted = Number((await expected.next()).value);
  report();
}

client.onConnect = () => {
  client.watchForReceipt('subscribed', () => console.log('subscribed'));
  const receive = ({ binaryBody }) => {
    received.push(binaryBody);
    report();
  };
  client.subscribe(topic, receive, { receipt: 'subscribed' });
};
client.onStompError = ({ headers }) => console.log(`ERROR: ${headers.message}`);
client.onWebSocketClose = ({ code }) => console.log(`closed: ${code}`);
client.activate();
expect();
