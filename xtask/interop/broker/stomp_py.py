"""stomp.py as stomp-py.mjs asks for it: a line of JSON on stdin is a call, one on stdout is what a connection received.

A call is {"peer", "call", "args"}: "open" makes the connection, all others are the connection's own methods or those of
Peer. Octets are in Base64.
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
TELLING = threading.Lock()

logging.disable(logging.CRITICAL)


class Peer(stomp.ConnectionListener):
    """One connection, which tells what it receives."""

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

    def stay(self, address, login, passcode, destination):
        """Comes back as the documentation of stomp.py shows it: by connecting anew in on_disconnected.

        The thread that has lost the old socket may still close the new one, or none may be there yet: then once more.
        """
        self.connection = stomp.Connection12(
            [tuple(address)], vhost="/", auto_decode=False, reconnect_attempts_max=-1, reconnect_sleep_max=0.2
        )

        entering = threading.Lock()

        def enter():
            # It is called again by what fails in it.
            if not entering.acquire(blocking=False):
                return
            is_in = False
            while not is_in:
                try:
                    self.connection.connect(login, passcode, wait=True)
                    self.connection.subscribe(destination, id="stay")
                    is_in = self.connection.is_connected()
                except (OSError, stomp.exception.StompException):
                    time.sleep(0.1)
            entering.release()

        self.on_disconnected = enter
        self.connection.set_listener("peer", self)
        enter()

    def send_octets(self, destination, body, headers):
        self.connection.send(destination, base64.b64decode(body), headers=headers)

    def cut(self):
        wire = self.connection.transport.socket
        if wire:
            getattr(wire, "sock", wire).shutdown(socket.SHUT_RDWR)

    def fall_silent(self):
        self.connection.transport.transmit = lambda frame: None

    def on_connected(self, frame):
        self.tell("connected", headers=frame.headers)

    def on_receipt(self, frame):
        self.tell("receipt", headers=frame.headers)

    def on_error(self, frame):
        self.tell("error", headers=frame.headers)

    def on_message(self, frame):
        self.tell("message", headers=frame.headers, body=base64.b64encode(frame.body).decode())

    def on_heartbeat(self):
        self.tell("heart-beat")

    def on_disconnected(self):
        self.tell("end")

    def tell(self, event, **what):
        with TELLING:
            print(json.dumps({"peer": self.name, "event": event, **what}), flush=True)


def main():
    peers = {}
    for line in sys.stdin:
        call = json.loads(line)
        peer = peers.setdefault(call["peer"], Peer(call["peer"]))
        try:
            method = getattr(peer, call["call"], None) or getattr(peer.connection, call["call"])
            method(**call["args"])
        except (OSError, AttributeError, stomp.exception.StompException) as error:
            peer.tell("failed", reason=repr(error))


main()
