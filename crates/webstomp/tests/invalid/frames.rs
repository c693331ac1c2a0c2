//! Invalid frames, and the answer that each must get.

use webstomp::frame::Version;

/// A frame that a server must answer with an `ERROR` and a close.
pub(crate) struct InvalidFrame {
    pub(crate) name: &'static str,
    /// The versions in which the frame is invalid. `None` means before a version is negotiated.
    pub(crate) versions: &'static [Option<Version>],
    /// Bytes that the client sends before the frame, each with the number of messages that the client then gets. Here and
    /// in the frame, `{1}` stands for the id by which the client acknowledges the first of these messages.
    pub(crate) setup: [(&'static str, usize); 2],
    bytes: Bytes,
    /// The code of the `ERROR`.
    pub(crate) code: &'static str,
    /// The `receipt-id` of the `ERROR`.
    pub(crate) receipt_id: Option<&'static str>,
    /// The status code of the WebSocket close.
    pub(crate) close: u16,
}

enum Bytes {
    Literal(&'static [u8]),
    /// A start, a part with its number of repetitions, and an end.
    Repeat(&'static str, &'static str, usize, &'static str),
    /// A command, the number of header lines, and the length of each in bytes.
    Lines(&'static str, usize, usize),
}

impl InvalidFrame {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        match self.bytes {
            Bytes::Literal(bytes) => bytes.to_vec(),
            Bytes::Repeat(start, again, times, end) => {
                [start, &again.repeat(times), end].concat().into_bytes()
            }
            Bytes::Lines(command, count, length) => {
                let line = format!("a:{}\n", "x".repeat(length - 3));
                format!("{command}\n{}\n\0", line.repeat(count)).into_bytes()
            }
        }
    }

    /// Lets the client first send `setup` and get that many messages.
    const fn after(mut self, setup: &'static str, messages: usize) -> InvalidFrame {
        self.setup[0] = (setup, messages);
        self
    }

    /// Lets the client then send `setup` and get that many messages.
    const fn then(mut self, setup: &'static str, messages: usize) -> InvalidFrame {
        self.setup[1] = (setup, messages);
        self
    }

    /// Expects no `receipt-id`, because the server cannot know the frame's receipt.
    const fn without_receipt_id(mut self) -> InvalidFrame {
        self.receipt_id = None;
        self
    }
}

const BEFORE_CONNECT: &[Option<Version>] = &[None];
const ALL: &[Option<Version>] = &[
    Some(Version::V1_0),
    Some(Version::V1_1),
    Some(Version::V1_2),
];
const V1_0: &[Option<Version>] = &[Some(Version::V1_0)];
const V1_1: &[Option<Version>] = &[Some(Version::V1_1)];
const V1_2: &[Option<Version>] = &[Some(Version::V1_2)];
const NOT_1_2: &[Option<Version>] = &[Some(Version::V1_0), Some(Version::V1_1)];
const NOT_1_0: &[Option<Version>] = &[Some(Version::V1_1), Some(Version::V1_2)];

const fn frame(
    name: &'static str,
    versions: &'static [Option<Version>],
    bytes: Bytes,
    code: &'static str,
) -> InvalidFrame {
    InvalidFrame {
        name,
        versions,
        setup: [("", 0); 2],
        bytes,
        code,
        receipt_id: Some("9"),
        close: 1002,
    }
}

/// Bytes that are not a well-formed STOMP frame.
const fn malformed(
    name: &'static str,
    versions: &'static [Option<Version>],
    bytes: &'static [u8],
) -> InvalidFrame {
    frame(name, versions, Bytes::Literal(bytes), "malformed-frame")
}

/// A frame over a limit.
const fn too_large(
    name: &'static str,
    versions: &'static [Option<Version>],
    bytes: Bytes,
) -> InvalidFrame {
    let frame = frame(name, versions, bytes, "too-large");
    InvalidFrame {
        close: 1009,
        ..frame
    }
}

/// A well-formed frame that breaks the protocol.
const fn invalid(
    name: &'static str,
    versions: &'static [Option<Version>],
    code: &'static str,
    text: &'static str,
) -> InvalidFrame {
    frame(name, versions, Bytes::Literal(text.as_bytes()), code)
}

const fn missing(
    name: &'static str,
    versions: &'static [Option<Version>],
    text: &'static str,
) -> InvalidFrame {
    invalid(name, versions, "missing-header", text)
}

const fn unexpected(
    name: &'static str,
    versions: &'static [Option<Version>],
    text: &'static str,
) -> InvalidFrame {
    invalid(name, versions, "unexpected-frame", text)
}

/// A subscription that gets two messages, which the client must acknowledge.
const JOBS: &str = "SUBSCRIBE\nid:j\ndestination:/jobs\nack:client\n\n\0";

/// All invalid frames, in groups.
pub(crate) const INVALID_FRAMES: &[InvalidFrame] = &[
    // Before a version is negotiated.
    malformed("an HTTP request", BEFORE_CONNECT, b"GET /stomp HTTP/1.1\r\nhost: localhost\r\n\r\n").without_receipt_id(),
    malformed("a TLS handshake", BEFORE_CONNECT, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x7f").without_receipt_id(),
    malformed("a NUL before the command", BEFORE_CONNECT, b"\0").without_receipt_id(),
    malformed("a NUL after a line end", BEFORE_CONNECT, b"\r\n\0").without_receipt_id(),
    malformed("a byte order mark", BEFORE_CONNECT, b"\xef\xbb\xbfCONNECT\naccept-version:1.2\n\n\0").without_receipt_id(),
    malformed("a command in lower case", BEFORE_CONNECT, b"connect\nreceipt:9\n\n\0"),
    malformed("a space after the command", BEFORE_CONNECT, b"CONNECT \nreceipt:9\n\n\0"),
    malformed("a space before the command", BEFORE_CONNECT, b" CONNECT\nreceipt:9\n\n\0"),
    malformed("a command without end", BEFORE_CONNECT, b"CONNECTCONNECTCONNECTCONNECTCONNECT").without_receipt_id(),
    malformed("CONNECT with a body", BEFORE_CONNECT, b"CONNECT\nreceipt:9\naccept-version:1.2\n\nhello\0"),
    malformed("CONNECT with a content-length", BEFORE_CONNECT, b"CONNECT\nreceipt:9\ncontent-length:5\n\nhello\0"),
    malformed("CONNECT that is not UTF-8", BEFORE_CONNECT, b"CONNECT\nreceipt:9\nlogin:\xff\n\n\0"),
    malformed("CONNECT with a line without a colon", BEFORE_CONNECT, b"CONNECT\nreceipt:9\nlogin\n\n\0"),
    invalid("no version in common", BEFORE_CONNECT, "version-not-supported", "CONNECT\naccept-version:2.0\n\n\0").without_receipt_id(),
    invalid("an empty list of versions", BEFORE_CONNECT, "version-not-supported", "CONNECT\naccept-version:\n\n\0").without_receipt_id(),
    malformed("heart-beats that are no numbers", BEFORE_CONNECT, b"CONNECT\naccept-version:1.2\nheart-beat:now,then\n\n\0").without_receipt_id(),
    malformed("one heart-beat number", BEFORE_CONNECT, b"CONNECT\naccept-version:1.2\nheart-beat:1000\n\n\0").without_receipt_id(),
    malformed("three heart-beat numbers", BEFORE_CONNECT, b"STOMP\naccept-version:1.1\nheart-beat:1,2,3\n\n\0").without_receipt_id(),
    malformed("a negative heart-beat", BEFORE_CONNECT, b"CONNECT\naccept-version:1.2\nheart-beat:-1,0\n\n\0").without_receipt_id(),
    unexpected("SEND before CONNECT", BEFORE_CONNECT, "SEND\nreceipt:9\ndestination:/forbidden\n\nhello\0"),
    unexpected("SUBSCRIBE before CONNECT", BEFORE_CONNECT, "SUBSCRIBE\nreceipt:9\nid:0\ndestination:/news\n\n\0"),
    unexpected("DISCONNECT before CONNECT", BEFORE_CONNECT, "DISCONNECT\nreceipt:9\n\n\0"),
    unexpected("CONNECTED before CONNECT", BEFORE_CONNECT, "CONNECTED\nreceipt:9\nversion:1.2\n\n\0"),
    unexpected("ERROR before CONNECT", BEFORE_CONNECT, "ERROR\nreceipt:9\nmessage:no\n\n\0"),
    too_large("CONNECT with too many headers", BEFORE_CONNECT, Bytes::Repeat("CONNECT\nreceipt:9\n", "a:b\n", 64, "\n\0")),
    too_large("CONNECT with an overlong line", BEFORE_CONNECT, Bytes::Repeat("CONNECT\nreceipt:9\nlogin:", "x", 8_187, "\n\n\0")),
    too_large("CONNECT with a line without end", BEFORE_CONNECT, Bytes::Repeat("CONNECT\nreceipt:9\n", "x", 10_000, "")),
    too_large("CONNECT with an overlong head", BEFORE_CONNECT, Bytes::Lines("CONNECT", 17, 1_000)).without_receipt_id(),
    // Malformed heads.
    malformed("an unknown command", ALL, b"SENT\nreceipt:9\ndestination:/sink\n\n\0"),
    malformed("a command that is not UTF-8", ALL, b"SE\xffND\nreceipt:9\n\n\0"),
    malformed("a NUL in the command", ALL, b"SE\0ND\nreceipt:9\ndestination:/sink\n\n\0").without_receipt_id(),
    malformed("a command without a line end", ALL, b"SEND\0").without_receipt_id(),
    malformed("a NUL in a header", ALL, b"SEND\nreceipt:9\ndestination:/si\0nk\n\n\0"),
    malformed("a head without its empty line", ALL, b"SEND\nreceipt:9\ndestination:/sink\n\0"),
    malformed("a line without a colon", ALL, b"SEND\nreceipt:9\ndestination:/sink\nhello\n\n\0"),
    malformed("a header without a name", ALL, b"SEND\nreceipt:9\ndestination:/sink\n:hello\n\n\0"),
    malformed("a line that is only a CR", ALL, b"SEND\nreceipt:9\ndestination:/sink\n\r\r\n\n\0"),
    malformed("a CR in a value", ALL, b"SEND\nreceipt:9\ndestination:/si\rnk\n\n\0"),
    malformed("a CR in a name", ALL, b"SEND\nreceipt:9\ndesti\rnation:/sink\n\n\0"),
    malformed("a CR in the command", ALL, b"SE\rND\nreceipt:9\ndestination:/sink\n\n\0"),
    malformed("a value that is not UTF-8", ALL, b"SEND\nreceipt:9\ndestination:/\xc3(\n\n\0"),
    malformed("a name that is not UTF-8", ALL, b"SEND\nreceipt:9\ndestination:/sink\n\xfe:1\n\n\0"),
    malformed("an escaped tab", NOT_1_0, b"SEND\nreceipt:9\ndestination:/si\\tnk\n\n\0"),
    malformed("an escaped CR in STOMP 1.1", V1_1, b"SEND\nreceipt:9\ndestination:/si\\rnk\n\n\0"),
    malformed("an escape without a character", NOT_1_0, b"SEND\nreceipt:9\ndestination:/sink\\\n\n\0"),
    malformed("an undefined escape in a name", NOT_1_0, b"SEND\nreceipt:9\ndestination:/sink\n\\x:1\n\n\0"),
    malformed("an upper-case escape", NOT_1_0, b"SEND\nreceipt:9\ndestination:/sink\nx:\\N\n\n\0"),
    // Bodies and their lengths.
    malformed("a negative content-length", ALL, b"SEND\nreceipt:9\ndestination:/sink\ncontent-length:-1\n\nx\0"),
    malformed("a content-length with a sign", ALL, b"SEND\nreceipt:9\ndestination:/sink\ncontent-length:+1\n\nx\0"),
    malformed("a content-length after a space", NOT_1_0, b"SEND\nreceipt:9\ndestination:/sink\ncontent-length: 1\n\nx\0"),
    malformed("a content-length before a space", NOT_1_0, b"SEND\nreceipt:9\ndestination:/sink\ncontent-length:1 \n\nx\0"),
    malformed("a hexadecimal content-length", ALL, b"SEND\nreceipt:9\ndestination:/sink\ncontent-length:0x1\n\nx\0"),
    malformed("a content-length with a decimal point", ALL, b"SEND\nreceipt:9\ndestination:/sink\ncontent-length:1.0\n\nx\0"),
    malformed("an empty content-length", ALL, b"SEND\nreceipt:9\ndestination:/sink\ncontent-length:\n\nx\0"),
    malformed("a content-length of eleven digits", ALL, b"SEND\nreceipt:9\ndestination:/sink\ncontent-length:00000000001\n\nx\0"),
    malformed("a content-length that is too short", ALL, b"SEND\nreceipt:9\ndestination:/sink\ncontent-length:3\n\nhello\0"),
    malformed("a content-length of 0 and a body", ALL, b"SEND\nreceipt:9\ndestination:/sink\ncontent-length:0\n\nx\0"),
    // The bytes that follow this frame count as its body.
    malformed("a content-length that is too long", ALL, b"SEND\nreceipt:9\ndestination:/sink\ncontent-length:8\n\nhello\0"),
    malformed("SUBSCRIBE with a body", NOT_1_0, b"SUBSCRIBE\nreceipt:9\nid:0\ndestination:/news\n\nx\0"),
    malformed("UNSUBSCRIBE with a body", ALL, b"UNSUBSCRIBE\nreceipt:9\nid:0\n\nx\0"),
    malformed("BEGIN with a body", ALL, b"BEGIN\nreceipt:9\ntransaction:t\n\nx\0"),
    malformed("ACK with a body", ALL, b"ACK\nreceipt:9\nid:d1\n\nx\0"),
    malformed("DISCONNECT with a body", ALL, b"DISCONNECT\nreceipt:9\n\nx\0"),
    malformed("RECEIPT with a body", ALL, b"RECEIPT\nreceipt:9\ncontent-length:1\n\nx\0"),
    // Frames over a limit.
    too_large("too many headers", ALL, Bytes::Repeat("SEND\nreceipt:9\ndestination:/sink\n", "a:b\n", 15, "\n\0")),
    too_large("too many headers of one name", ALL, Bytes::Repeat("SEND\nreceipt:9\n", "destination:/sink\n", 16, "\n\0")),
    too_large("an overlong line", ALL, Bytes::Repeat("SEND\nreceipt:9\ndestination:/sink\na:", "x", 511, "\n\n\0")),
    too_large("an overlong head", ALL, Bytes::Lines("SEND\nreceipt:9", 11, 100)),
    too_large("an overlong body", ALL, Bytes::Repeat("SEND\nreceipt:9\ndestination:/sink\n\n", "x", 4_096, "\0")),
    too_large("a content-length over the limit", ALL, Bytes::Literal(b"SEND\nreceipt:9\ndestination:/sink\ncontent-length:4096\n\n")),
    too_large("the greatest content-length", ALL, Bytes::Literal(b"SEND\nreceipt:9\ndestination:/sink\ncontent-length:9999999999\n\n")),
    // Frames with missing or invalid headers.
    missing("SEND without a destination", ALL, "SEND\nreceipt:9\n\nhello\0"),
    missing("SEND to an empty destination", ALL, "SEND\nreceipt:9\ndestination:\n\nhello\0"),
    missing("SUBSCRIBE without an id", NOT_1_0, "SUBSCRIBE\nreceipt:9\ndestination:/news\n\n\0"),
    missing("SUBSCRIBE without a destination", ALL, "SUBSCRIBE\nreceipt:9\nid:0\n\n\0"),
    missing("UNSUBSCRIBE without an id", NOT_1_0, "UNSUBSCRIBE\nreceipt:9\ndestination:/news\n\n\0"),
    missing("UNSUBSCRIBE without an id and a destination", V1_0, "UNSUBSCRIBE\nreceipt:9\n\n\0"),
    missing("ACK without an id", ALL, "ACK\nreceipt:9\n\n\0"),
    missing("NACK without an id", ALL, "NACK\nreceipt:9\n\n\0"),
    missing("ACK with a message-id in STOMP 1.2", V1_2, "ACK\nreceipt:9\nsubscription:j\nmessage-id:d1\n\n\0"),
    missing("ACK with an id before STOMP 1.2", NOT_1_2, "ACK\nreceipt:9\nid:d1\n\n\0"),
    missing("ACK without a subscription in STOMP 1.1", V1_1, "ACK\nreceipt:9\nmessage-id:d1\n\n\0").after(JOBS, 2),
    missing("BEGIN without a transaction", ALL, "BEGIN\nreceipt:9\n\n\0"),
    missing("COMMIT without a transaction", ALL, "COMMIT\nreceipt:9\n\n\0"),
    missing("ABORT without a transaction", ALL, "ABORT\nreceipt:9\n\n\0"),
    malformed("an unknown ack mode", ALL, b"SUBSCRIBE\nreceipt:9\nid:0\ndestination:/news\nack:never\n\n\0"),
    malformed("a prefetch-count of 0", ALL, b"SUBSCRIBE\nreceipt:9\nid:0\ndestination:/news\nprefetch-count:0\n\n\0"),
    malformed("a prefetch-count that is no number", ALL, b"SUBSCRIBE\nreceipt:9\nid:0\ndestination:/news\nprefetch-count:ten\n\n\0"),
    too_large("an overlong destination", ALL, Bytes::Repeat("SEND\nreceipt:9\ndestination:", "x", 256, "\n\n\0")),
    too_large("an overlong subscription id", ALL, Bytes::Repeat("SUBSCRIBE\nreceipt:9\ndestination:/news\nid:", "x", 256, "\n\n\0")),
    too_large("an overlong transaction name", ALL, Bytes::Repeat("BEGIN\nreceipt:9\ntransaction:", "x", 256, "\n\n\0")),
    // Frames at the wrong time.
    unexpected("a second CONNECT", ALL, "CONNECT\nreceipt:9\naccept-version:1.2\n\n\0"),
    unexpected("STOMP after CONNECT", ALL, "STOMP\nreceipt:9\naccept-version:1.2\n\n\0"),
    unexpected("CONNECTED from a client", ALL, "CONNECTED\nreceipt:9\nversion:1.2\n\n\0"),
    unexpected("MESSAGE from a client", ALL, "MESSAGE\nreceipt:9\ndestination:/news\nmessage-id:1\nsubscription:0\n\nhello\0"),
    unexpected("RECEIPT from a client", ALL, "RECEIPT\nreceipt:9\nreceipt-id:1\n\n\0"),
    unexpected("ERROR from a client", ALL, "ERROR\nreceipt:9\nmessage:no\n\nhello\0"),
    invalid("two subscriptions with one id", ALL, "duplicate-subscription", "SUBSCRIBE\nreceipt:9\nid:0\ndestination:/quiet/2\n\n\0")
        .after("SUBSCRIBE\nid:0\ndestination:/quiet/1\n\n\0", 0),
    invalid("two subscriptions to one destination in STOMP 1.0", V1_0, "duplicate-subscription", "SUBSCRIBE\nreceipt:9\ndestination:/quiet/1\n\n\0")
        .after("SUBSCRIBE\ndestination:/quiet/1\n\n\0", 0),
    invalid("too many subscriptions", ALL, "too-many-subscriptions", "SUBSCRIBE\nreceipt:9\nid:5\ndestination:/quiet/5\n\n\0")
        .after(
            "SUBSCRIBE\nid:1\ndestination:/quiet/1\n\n\0SUBSCRIBE\nid:2\ndestination:/quiet/2\n\n\0\
             SUBSCRIBE\nid:3\ndestination:/quiet/3\n\n\0SUBSCRIBE\nid:4\ndestination:/quiet/4\n\n\0",
            0,
        ),
    invalid("UNSUBSCRIBE with an unknown id", ALL, "unknown-subscription", "UNSUBSCRIBE\nreceipt:9\nid:0\n\n\0"),
    invalid("a second UNSUBSCRIBE", ALL, "unknown-subscription", "UNSUBSCRIBE\nreceipt:9\nid:0\n\n\0")
        .after("SUBSCRIBE\nid:0\ndestination:/quiet/1\n\n\0UNSUBSCRIBE\nid:0\n\n\0", 0),
    // Acknowledgments.
    invalid("ACK of a delivery that was not sent", V1_2, "unknown-delivery", "ACK\nreceipt:9\nid:{2}9\n\n\0").after(JOBS, 2),
    invalid("NACK of a delivery that was not sent", V1_2, "unknown-delivery", "NACK\nreceipt:9\nid:{2}.1\n\n\0").after(JOBS, 2),
    invalid("ACK with an id of another form", V1_2, "unknown-delivery", "ACK\nreceipt:9\nid:../{1}\n\n\0").after(JOBS, 2),
    invalid("ACK with an overlong number", V1_2, "unknown-delivery", "ACK\nreceipt:9\nid:99999999999999999999999\n\n\0"),
    invalid("ACK with the id of an earlier session", V1_2, "unknown-delivery", "ACK\nreceipt:9\nid:AAAAAAAA.1.1\n\n\0").after(JOBS, 2),
    invalid("ACK in ack mode auto", V1_2, "unknown-delivery", "ACK\nreceipt:9\nid:{1}\n\n\0")
        .after("SUBSCRIBE\nid:j\ndestination:/jobs\n\n\0", 2),
    invalid("ACK with an unknown message-id in STOMP 1.0", V1_0, "unknown-delivery", "ACK\nreceipt:9\nmessage-id:AAAAAAAAAAAAAAAAAAAAAA\n\n\0")
        .after(JOBS, 2),
    invalid("ACK with an unknown message-id in STOMP 1.1", V1_1, "unknown-delivery", "ACK\nreceipt:9\nsubscription:j\nmessage-id:AAAAAAAAAAAAAAAAAAAAAA\n\n\0")
        .after(JOBS, 2),
    invalid("ACK with an unknown subscription", V1_1, "unknown-subscription", "ACK\nreceipt:9\nsubscription:x\nmessage-id:{1}\n\n\0")
        .after(JOBS, 2),
    invalid("ACK with another subscription's message-id", V1_1, "unknown-delivery", "ACK\nreceipt:9\nsubscription:0\nmessage-id:{1}\n\n\0")
        .after("SUBSCRIBE\nid:0\ndestination:/quiet/1\n\n\0SUBSCRIBE\nid:j\ndestination:/jobs\nack:client\n\n\0", 2),
    invalid("a second ACK", V1_2, "already-settled", "ACK\nreceipt:9\nid:{1}\n\n\0")
        .after("SUBSCRIBE\nid:j\ndestination:/jobs\nack:client-individual\nprefetch-count:1\n\n\0", 1).then("ACK\nid:{1}\n\n\0", 1),
    invalid("NACK after ACK", V1_2, "already-settled", "NACK\nreceipt:9\nid:{2}\n\n\0")
        .after(JOBS, 2).then("ACK\nid:{2}\n\n\0", 0),
    invalid("ACK of a delivery that a transaction holds", V1_2, "already-settled", "ACK\nreceipt:9\nid:{1}\n\n\0")
        .after(JOBS, 2).then("BEGIN\ntransaction:t\n\n\0ACK\nid:{1}\ntransaction:t\n\n\0", 0),
    // Transactions.
    invalid("a second BEGIN", ALL, "duplicate-transaction", "BEGIN\nreceipt:9\ntransaction:t\n\n\0").after("BEGIN\ntransaction:t\n\n\0", 0),
    invalid("too many transactions", ALL, "too-many-transactions", "BEGIN\nreceipt:9\ntransaction:c\n\n\0")
        .after("BEGIN\ntransaction:a\n\n\0BEGIN\ntransaction:b\n\n\0", 0),
    invalid("COMMIT of an unknown transaction", ALL, "unknown-transaction", "COMMIT\nreceipt:9\ntransaction:t\n\n\0"),
    invalid("a second COMMIT", ALL, "unknown-transaction", "COMMIT\nreceipt:9\ntransaction:t\n\n\0")
        .after("BEGIN\ntransaction:t\n\n\0COMMIT\ntransaction:t\n\n\0", 0),
    invalid("ABORT of an unknown transaction", ALL, "unknown-transaction", "ABORT\nreceipt:9\ntransaction:t\n\n\0"),
    invalid("SEND in an unknown transaction", ALL, "unknown-transaction", "SEND\nreceipt:9\ndestination:/sink\ntransaction:t\n\n\0"),
    invalid("ACK in an unknown transaction", V1_2, "unknown-transaction", "ACK\nreceipt:9\nid:{1}\ntransaction:t\n\n\0")
        .after(JOBS, 2),
    invalid("a transaction of too many frames", ALL, "transaction-too-large", "SEND\nreceipt:9\ndestination:/sink\ntransaction:t\n\n5\0")
        .after(
            "BEGIN\ntransaction:t\n\n\0SEND\ndestination:/sink\ntransaction:t\n\n1\0SEND\ndestination:/sink\ntransaction:t\n\n2\0\
             SEND\ndestination:/sink\ntransaction:t\n\n3\0SEND\ndestination:/sink\ntransaction:t\n\n4\0",
            0,
        ),
    frame(
        "a transaction of too many bytes",
        ALL,
        Bytes::Repeat("SEND\nreceipt:9\ndestination:/sink\ntransaction:t\n\n", "x", 3_000, "\0"),
        "transaction-too-large",
    )
    .after("BEGIN\ntransaction:t\n\n\0SEND\ndestination:/sink\ntransaction:t\n\n1\0", 0),
];
