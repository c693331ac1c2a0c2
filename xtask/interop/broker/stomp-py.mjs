// Tests any broker with stomp.py over TCP and over WebSocket. The client itself is in stomp_py.py.

import { Program, RemotePeer } from './remote.mjs';
import { testWith } from './run.mjs';

const program = new Program('../.venv/bin/python', 'stomp_py.py');

class StompPy extends RemotePeer {
  static client = 'stomp.py';
  static program = program;
  static lacks = {
    WebSocket: 'this connection uses TCP',
    'content-length of ACK': 'the client sends no other headers',
  };
}

class OverWebSocket extends StompPy {
  static client = 'stomp.py over WebSocket';
  static lacks = {
    'STOMP 1.1': 'tested over TCP',
    'STOMP 1.0': 'tested over TCP',
    'content-length of ACK': 'the client sends no other headers',
    reconnecting: 'tested over TCP',
  };

  static wire({ ws, binary = false }) {
    const { hostname: host, port, pathname: path } = new URL(ws);
    return { host, port: Number(port), path, binary };
  }
}

await testWith(StompPy, OverWebSocket);
