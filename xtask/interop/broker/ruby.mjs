// Tests any broker with Ruby's gem stomp over TCP. The client itself is in stomp.rb.

import { Program, RemotePeer } from './remote.mjs';
import { testWith } from './run.mjs';

class Ruby extends RemotePeer {
  static client = 'Ruby stomp';
  static program = new Program('ruby', '-W0', 'stomp.rb');
  static lacks = {
    WebSocket: 'the client uses TCP',
    'content-length of ACK': 'the client replaces it by 0',
  };
}

await testWith(Ruby);
