// Tests any broker with PHP's extension stomp over TCP. The client itself is in stomp.php.

import { Program, RemotePeer } from './remote.mjs';
import { testWith } from './run.mjs';

class Php extends RemotePeer {
  static client = 'PHP stomp';
  static program = new Program('php', 'stomp.php');
  static lacks = {
    'STOMP 1.2': 'ACK names a message by its message-id, which STOMP 1.2 does not allow',
    CONNECTED: 'the client does not pass on the headers of CONNECTED',
    'heart-beats': 'the client sends none and would read them as frames',
    escapes: 'the client does not escape headers',
    errors: 'the client passes on only the message of an ERROR',
    WebSocket: 'the client uses TCP',
    DISCONNECT: 'the client closes at once after its DISCONNECT',
    'content-length of ACK': 'since its version 2, the client removes it',
    'receipts in transactions': 'the client blocks until the RECEIPT, for which RabbitMQ waits until COMMIT',
    reconnecting: 'the client does not reconnect',
  };

  /** Asks for no receipt in a transaction. */
  async send(destination, body, headers) {
    if (!headers?.transaction) return super.send(destination, body, headers);
    this.call('send', { destination, body: Buffer.from(body).toString('base64'), headers });
  }
}

await testWith(Php);
