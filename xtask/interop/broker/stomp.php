<?php
// Controls PHP's extension stomp by lines of JSON, which remote.mjs describes.
//
// The extension blocks: a call with a receipt returns true after the RECEIPT. It buffers frames that come before.

/** A connection, which prints its events. */
class Peer
{
    /** The errors of a connection that ended without ERROR. */
    private const ENDED = ['Error reading from socket', 'Sender closed connection unexpectedly'];

    private ?Stomp $stomp = null;

    public function __construct(private int $name)
    {
    }

    public function open($host, $port, $version, $login, $passcode, $heart_beats): void
    {
        $headers = $version === '1.0' ? [] : ['accept-version' => $version, 'host' => '/'];
        $this->stomp = new Stomp("tcp://$host:$port", $login, $passcode, $headers);
        $this->stomp->setReadTimeout(5);
        $this->report('connected', ['headers' => ['session' => $this->stomp->getSessionId()]]);
    }

    public function isOpen(): bool
    {
        return $this->stomp !== null;
    }

    public function send($destination, $body, $headers): void
    {
        $this->answer($this->stomp->send($destination, base64_decode($body), $headers), $headers);
    }

    public function subscribe($destination, $id, $ack, $headers): void
    {
        $headers += ['id' => $id, 'ack' => $ack];
        $this->answer($this->stomp->subscribe($destination, $headers), $headers);
    }

    public function unsubscribe($destination, $id, $headers): void
    {
        $headers += ['id' => $id];
        $this->answer($this->stomp->unsubscribe($destination, $headers), $headers);
    }

    /** Acknowledges a frame, as the extension's documentation shows it: it sends all headers of the MESSAGE. */
    public function ack($message, $headers): void
    {
        $this->answer($this->stomp->ack(new StompFrame('MESSAGE', $message), $headers), $headers);
    }

    public function nack($message, $headers): void
    {
        $this->answer($this->stomp->nack(new StompFrame('MESSAGE', $message), $headers), $headers);
    }

    public function begin($transaction, $headers): void
    {
        $this->answer($this->stomp->begin($transaction, $headers), $headers);
    }

    public function commit($transaction, $headers): void
    {
        $this->answer($this->stomp->commit($transaction, $headers), $headers);
    }

    public function abort($transaction, $headers): void
    {
        $this->answer($this->stomp->abort($transaction, $headers), $headers);
    }

    /** The extension has no other way to close a connection than to send DISCONNECT and to close the socket. */
    public function terminate(): void
    {
        $this->stomp = null;
    }

    /** Reports all frames that have arrived. */
    public function read(): void
    {
        $this->stomp?->setReadTimeout(0);
        while ($this->stomp?->hasFrame()) {
            $frame = $this->stomp->readFrame();
            if ($frame === false) {
                $this->fail('readFrame() returned false');
                return;
            }
            $details = ['headers' => $frame->headers, 'body' => base64_encode($frame->body ?? '')];
            $this->report(strtolower($frame->command), $details);
        }
        $this->stomp?->setReadTimeout(5);
    }

    /** Reports the end of the connection, after an ERROR with this message if there was one. */
    public function end(string $reason, ?string $error = null): void
    {
        $this->stomp = null;
        if ($error) {
            $this->report('error', ['headers' => ['message' => $error]]);
        }
        $this->report('end', ['reason' => $error ?? $reason]);
    }

    /** Reports that a call returned false. The first line of the extension's error is the header `message` of an ERROR. */
    private function fail(string $reason): void
    {
        $error = strtok($this->stomp->error() ?: '', "\n");
        $this->end($reason, in_array($error, self::ENDED) ? null : ($error ?: null));
    }

    private function answer(bool $succeeded, array $headers): void
    {
        if (!$succeeded) {
            $this->fail('no RECEIPT came');
        } elseif (isset($headers['receipt'])) {
            $this->report('receipt', ['headers' => ['receipt-id' => $headers['receipt']]]);
        }
    }

    private function report(string $event, array $details): void
    {
        echo json_encode(['peer' => $this->name, 'event' => $event] + $details), "\n";
    }
}

$peers = [];
stream_set_blocking(STDIN, false);
while (!feof(STDIN)) {
    while (($line = fgets(STDIN)) !== false) {
        // A call may be longer than a read.
        while (!str_ends_with($line, "\n")) {
            $line .= fgets(STDIN);
        }
        ['peer' => $name, 'call' => $call, 'args' => $args] = json_decode($line, true);
        $peer = $peers[$name] ??= new Peer($name);
        // A connection that has ended has reported that.
        if ($call === 'open' || $peer->isOpen()) {
            guard($peer, fn () => $peer->$call(...$args));
        }
    }
    foreach ($peers as $peer) {
        guard($peer, $peer->read(...));
    }
    // The extension does not show its sockets, so that they are polled.
    usleep(2000);
}

/** Reports an exception of the extension as the end of the connection. */
function guard(Peer $peer, callable $action): void
{
    try {
        $action();
    } catch (StompException $exception) {
        $peer->end('an exception', $exception->getMessage());
    }
}
