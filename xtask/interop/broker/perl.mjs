// Tests any broker with Perl's Net::Stomp over TCP. The client itself is in stomp.pl.

import { Program, RemotePeer } from './remote.mjs';
import { testWith } from './run.mjs';

class Perl extends RemotePeer {
  static client = 'Net::Stomp';
  static program = new Program('perl', 'stomp.pl');
  static lacks = {
    'heart-beats': 'the client sends none',
    escapes: 'the client does not escape headers',
    WebSocket: 'the client uses TCP',
    DISCONNECT: 'the client closes at once after its DISCONNECT',
  };
}

await testWith(Perl);
