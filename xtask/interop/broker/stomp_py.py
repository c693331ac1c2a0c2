"""Controls stomp.py for stomp-py.mjs: each line of JSON on stdin is a call, each on stdout an event of a connection.

A call is {"peer", "call", "args"}: "open" creates the connection, other calls are methods of Peer or of the connection.
Bodies are in Base64.
"""

import base64
import json
import logging
import socket
import sys
import threading
import time

import stomp
from stomp.adapter.ws import WSStompConnection

TCP = {"1.0": stomp.Connection10, "1.1": stomp.Connection11, "1.2": stomp.Connection12}
OUTPUT = threading.Lock()

logging.disable(logging.CRITICAL)


class Peer(stomp.ConnectionListener):
    """A connection, which prints its events."""

    def __init__(self, name):
        self.name = name

    def open(self, address, version, login, passcode, heart_beats, path=None, binary=False):
        options = {"auto_decode": False, "reconnect_attempts_max": 1}
        if version != "1.0":
            options |= {"heartbeats": (heart_beats, heart_beats), "vhost": "/"}
        if path:
            options |= {"ws_path": path, "binary_mode": binary}
        kind = WSStompConnection if path else TCP[version]
        self.connection = kind([tuple(address)], **options)
        self.connection.set_listener("peer", self)
        self.connection.connect(login, passcode)

    def subscribe_forever(self, address, login, passcode, destination):
        """Reconnects in on_disconnected, as the documentation of stomp.py shows it.

        A call may fail, since the thread that lost the old socket may close the new one too: then it connects again.
        """
        self.connection = stomp.Connection12(
            [tuple(address)], vhost="/", auto_decode=False, reconnect_attempts_max=-1, reconnect_sleep_max=0.2
        )

        connecting = threading.Lock()

        def connect():
            # A failure in here calls on_disconnected, which calls this function again.
            if not connecting.acquire(blocking=False):
                return
            connected = False
            while not connected:
                try:
                    self.connection.connect(login, passcode, wait=True)
                    self.connection.subscribe(destination, id="0")
                    connected = self.connection.is_connected()
                except (OSError, stomp.exception.StompException):
                    time.sleep(0.1)
            connecting.release()

        self.on_disconnected = connect
        self.connection.set_listener("peer", self)
        connect()

    def send_base64(self, destination, body, headers):
        self.connection.send(destination, base64.b64decode(body), headers=headers)

    def leave(self):
        """Sends DISCONNECT, and reports "left" after all other events of the connection.

        At the RECEIPT, stomp.py calls on_disconnected before on_receipt: "end" is not the last event.
        """
        receiver = self.connection.transport.io_thread
        self.connection.disconnect()
        receiver.join(timeout=5)
        self.report("left")

    def terminate(self):
        wire = self.connection.transport.socket
        if wire:
            getattr(wire, "sock", wire).shutdown(socket.SHUT_RDWR)

    def stop_sending(self):
        self.connection.transport.transmit = lambda frame: None

    def on_connected(self, frame):
        self.report("connected", headers=frame.headers)

    def on_receipt(self, frame):
        self.report("receipt", headers=frame.headers)

    def on_error(self, frame):
        self.report("error", headers=frame.headers)

    def on_message(self, frame):
        self.report("message", headers=frame.headers, body=base64.b64encode(frame.body).decode())

    def on_heartbeat(self):
        self.report("heart-beat")

    def on_disconnected(self):
        self.report("end")

    def report(self, event, **details):
        with OUTPUT:
            print(json.dumps({"peer": self.name, "event": event, **details}), flush=True)


def main():
    peers = {}
    for line in sys.stdin:
        call = json.loads(line)
        peer = peers.setdefault(call["peer"], Peer(call["peer"]))
        try:
            method = getattr(peer, call["call"], None) or getattr(peer.connection, call["call"])
            method(**call["args"])
        except (OSError, AttributeError, stomp.exception.StompException) as error:
            peer.report("failed", reason=repr(error))


main()
