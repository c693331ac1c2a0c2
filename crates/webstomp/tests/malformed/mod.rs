//! Kinds of malformed frames, and what each is answered.

#![allow(dead_code, reason = "read by the test that declares this module")]

use webstomp::frame::Version;

/// One kind.
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    /// In which versions it is malformed; `None` is before any was agreed.
    pub(crate) versions: &'static [Option<Version>],
    /// What is said before, and how many messages that brings.
    pub(crate) before: &'static str,
    pub(crate) messages: usize,
    /// What is said then, and how many messages that brings.
    pub(crate) then: &'static str,
    pub(crate) more_messages: usize,
    frame: Bytes,
    /// The code of the `ERROR`, and the receipt that it names.
    pub(crate) code: &'static str,
    pub(crate) receipt: Option<&'static str>,
    /// The code of the close.
    pub(crate) close: u16,
}

enum Bytes {
    Are(&'static [u8]),
    /// Some, and others so many times, and others.
    Repeat(&'static str, &'static str, usize, &'static str),
    /// A command, and so many headers of so many bytes.
    Lines(&'static str, usize, usize),
}

impl Kind {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        match self.frame {
            Bytes::Are(bytes) => bytes.to_vec(),
            Bytes::Repeat(start, again, times, end) => {
                [start, &again.repeat(times), end].concat().into_bytes()
            }
            Bytes::Lines(command, count, length) => {
                let line = format!("a:{}\n", "x".repeat(length - 3));
                format!("{command}\n{}\n\0", line.repeat(count)).into_bytes()
            }
        }
    }

    const fn after(mut self, before: &'static str) -> Kind {
        self.before = before;
        self
    }

    /// That many messages come before it.
    const fn with_messages(mut self, messages: usize) -> Kind {
        self.messages = messages;
        self
    }

    /// Then this is said, and brings that many messages.
    const fn then(mut self, then: &'static str, messages: usize) -> Kind {
        (self.then, self.more_messages) = (then, messages);
        self
    }

    /// Its receipt cannot be told.
    const fn untold(mut self) -> Kind {
        self.receipt = None;
        self
    }
}

const NONE: &[Option<Version>] = &[None];
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

const fn of(
    name: &'static str,
    versions: &'static [Option<Version>],
    frame: Bytes,
    code: &'static str,
) -> Kind {
    Kind {
        name,
        versions,
        before: "",
        messages: 0,
        then: "",
        more_messages: 0,
        frame,
        code,
        receipt: Some("9"),
        close: 1002,
    }
}

/// Not STOMP.
const fn malformed(
    name: &'static str,
    versions: &'static [Option<Version>],
    frame: &'static [u8],
) -> Kind {
    of(name, versions, Bytes::Are(frame), "malformed-frame")
}

/// More than is allowed.
const fn large(name: &'static str, versions: &'static [Option<Version>], frame: Bytes) -> Kind {
    let kind = of(name, versions, frame, "too-large");
    Kind {
        close: 1009,
        ..kind
    }
}

/// STOMP, and wrong.
const fn wrong(
    name: &'static str,
    versions: &'static [Option<Version>],
    code: &'static str,
    frame: &'static str,
) -> Kind {
    of(name, versions, Bytes::Are(frame.as_bytes()), code)
}

const fn missing(
    name: &'static str,
    versions: &'static [Option<Version>],
    frame: &'static str,
) -> Kind {
    wrong(name, versions, "missing-header", frame)
}

const fn unexpected(
    name: &'static str,
    versions: &'static [Option<Version>],
    frame: &'static str,
) -> Kind {
    wrong(name, versions, "unexpected-frame", frame)
}

/// Two messages that are to be acknowledged.
const JOBS: &str = "SUBSCRIBE\nid:j\ndestination:/jobs\nack:client\n\n\0";

/// All kinds.
pub(crate) const KINDS: &[Kind] = &[
    // Before anything was agreed.
    malformed("HTTP", NONE, b"GET /stomp HTTP/1.1\r\nhost: localhost\r\n\r\n").untold(),
    malformed("TLS", NONE, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x7f").untold(),
    malformed("a NUL at first", NONE, b"\0").untold(),
    malformed("a NUL behind an EOL", NONE, b"\r\n\0").untold(),
    malformed("a byte order mark", NONE, b"\xef\xbb\xbfCONNECT\naccept-version:1.2\n\n\0").untold(),
    malformed("a command in lower case", NONE, b"connect\nreceipt:9\n\n\0"),
    malformed("a command and a space", NONE, b"CONNECT \nreceipt:9\n\n\0"),
    malformed("a space and a command", NONE, b" CONNECT\nreceipt:9\n\n\0"),
    malformed("an endless command", NONE, b"CONNECTCONNECTCONNECTCONNECTCONNECT").untold(),
    malformed("CONNECT with a body", NONE, b"CONNECT\nreceipt:9\naccept-version:1.2\n\nhello\0"),
    malformed("CONNECT with a length", NONE, b"CONNECT\nreceipt:9\ncontent-length:5\n\nhello\0"),
    malformed("CONNECT that is not UTF-8", NONE, b"CONNECT\nreceipt:9\nlogin:\xff\n\n\0").untold(),
    malformed("CONNECT with a line without a colon", NONE, b"CONNECT\nreceipt:9\nlogin\n\n\0"),
    wrong("no version in common", NONE, "version-not-supported", "CONNECT\naccept-version:2.0\n\n\0").untold(),
    wrong("an empty list of versions", NONE, "version-not-supported", "CONNECT\naccept-version:\n\n\0").untold(),
    malformed("heart-beats in words", NONE, b"CONNECT\naccept-version:1.2\nheart-beat:now,then\n\n\0").untold(),
    malformed("one heart-beat", NONE, b"CONNECT\naccept-version:1.2\nheart-beat:1000\n\n\0").untold(),
    malformed("three heart-beats", NONE, b"STOMP\naccept-version:1.1\nheart-beat:1,2,3\n\n\0").untold(),
    malformed("a heart-beat below nothing", NONE, b"CONNECT\naccept-version:1.2\nheart-beat:-1,0\n\n\0").untold(),
    unexpected("SEND at first", NONE, "SEND\nreceipt:9\ndestination:/forbidden\n\nhello\0"),
    unexpected("SUBSCRIBE at first", NONE, "SUBSCRIBE\nreceipt:9\nid:0\ndestination:/news\n\n\0"),
    unexpected("DISCONNECT at first", NONE, "DISCONNECT\nreceipt:9\n\n\0"),
    unexpected("CONNECTED at first", NONE, "CONNECTED\nreceipt:9\nversion:1.2\n\n\0"),
    unexpected("ERROR at first", NONE, "ERROR\nreceipt:9\nmessage:no\n\n\0"),
    large("CONNECT with too many headers", NONE, Bytes::Repeat("CONNECT\nreceipt:9\n", "a:b\n", 64, "\n\0")),
    large("CONNECT with a line too long", NONE, Bytes::Repeat("CONNECT\nreceipt:9\nlogin:", "x", 8_187, "\n\n\0")),
    large("CONNECT with a line too long and no end", NONE, Bytes::Repeat("CONNECT\nreceipt:9\n", "x", 10_000, "")),
    large("CONNECT with a head too long", NONE, Bytes::Lines("CONNECT", 17, 1_000)).untold(),
    // What is no frame.
    malformed("a command that there is not", ALL, b"SENT\nreceipt:9\ndestination:/sink\n\n\0"),
    malformed("a command with a byte of no text", ALL, b"SE\xffND\nreceipt:9\n\n\0"),
    malformed("a NUL in the command", ALL, b"SE\0ND\nreceipt:9\ndestination:/sink\n\n\0").untold(),
    malformed("a command without an EOL", ALL, b"SEND\0").untold(),
    malformed("a NUL in a header", ALL, b"SEND\nreceipt:9\ndestination:/si\0nk\n\n\0"),
    malformed("a head without its empty line", ALL, b"SEND\nreceipt:9\ndestination:/sink\n\0"),
    malformed("a line without a colon", ALL, b"SEND\nreceipt:9\ndestination:/sink\nhello\n\n\0"),
    malformed("a header without a name", ALL, b"SEND\nreceipt:9\ndestination:/sink\n:hello\n\n\0"),
    malformed("a line of a CR", ALL, b"SEND\nreceipt:9\ndestination:/sink\n\r\r\n\n\0"),
    malformed("a CR in a value", ALL, b"SEND\nreceipt:9\ndestination:/si\rnk\n\n\0"),
    malformed("a CR in a name", ALL, b"SEND\nreceipt:9\ndesti\rnation:/sink\n\n\0"),
    malformed("a CR in the command", ALL, b"SE\rND\nreceipt:9\ndestination:/sink\n\n\0"),
    malformed("a value that is not UTF-8", ALL, b"SEND\nreceipt:9\ndestination:/\xc3(\n\n\0").untold(),
    malformed("a name that is not UTF-8", ALL, b"SEND\nreceipt:9\ndestination:/sink\n\xfe:1\n\n\0").untold(),
    malformed("an escape of a tab", NOT_1_0, b"SEND\nreceipt:9\ndestination:/si\\tnk\n\n\0"),
    malformed("an escape of a CR", V1_1, b"SEND\nreceipt:9\ndestination:/si\\rnk\n\n\0"),
    malformed("an escape of nothing", NOT_1_0, b"SEND\nreceipt:9\ndestination:/sink\\\n\n\0"),
    malformed("an escape in a name", NOT_1_0, b"SEND\nreceipt:9\ndestination:/sink\n\\x:1\n\n\0"),
    malformed("an escape in upper case", NOT_1_0, b"SEND\nreceipt:9\ndestination:/sink\nx:\\N\n\n\0"),
    // Bodies and their lengths.
    malformed("a length below nothing", ALL, b"SEND\nreceipt:9\ndestination:/sink\ncontent-length:-1\n\nx\0"),
    malformed("a length with a sign", ALL, b"SEND\nreceipt:9\ndestination:/sink\ncontent-length:+1\n\nx\0"),
    malformed("a length with a space before", ALL, b"SEND\nreceipt:9\ndestination:/sink\ncontent-length: 1\n\nx\0"),
    malformed("a length with a space behind", ALL, b"SEND\nreceipt:9\ndestination:/sink\ncontent-length:1 \n\nx\0"),
    malformed("a length in hexadecimal", ALL, b"SEND\nreceipt:9\ndestination:/sink\ncontent-length:0x1\n\nx\0"),
    malformed("a length with a point", ALL, b"SEND\nreceipt:9\ndestination:/sink\ncontent-length:1.0\n\nx\0"),
    malformed("an empty length", ALL, b"SEND\nreceipt:9\ndestination:/sink\ncontent-length:\n\nx\0"),
    malformed("a length of eleven digits", ALL, b"SEND\nreceipt:9\ndestination:/sink\ncontent-length:00000000001\n\nx\0"),
    malformed("a length too short", ALL, b"SEND\nreceipt:9\ndestination:/sink\ncontent-length:3\n\nhello\0"),
    malformed("a length of nothing, and a body", ALL, b"SEND\nreceipt:9\ndestination:/sink\ncontent-length:0\n\nx\0"),
    // What comes behind it is taken for its body.
    malformed("a length too long", ALL, b"SEND\nreceipt:9\ndestination:/sink\ncontent-length:8\n\nhello\0"),
    malformed("SUBSCRIBE with a body", NOT_1_0, b"SUBSCRIBE\nreceipt:9\nid:0\ndestination:/news\n\nx\0"),
    malformed("UNSUBSCRIBE with a body", ALL, b"UNSUBSCRIBE\nreceipt:9\nid:0\n\nx\0"),
    malformed("BEGIN with a body", ALL, b"BEGIN\nreceipt:9\ntransaction:t\n\nx\0"),
    malformed("ACK with a body", ALL, b"ACK\nreceipt:9\nid:d1\n\nx\0"),
    malformed("DISCONNECT with a body", ALL, b"DISCONNECT\nreceipt:9\n\nx\0"),
    malformed("RECEIPT with a body", ALL, b"RECEIPT\nreceipt:9\ncontent-length:1\n\nx\0"),
    // What is too much.
    large("too many headers", ALL, Bytes::Repeat("SEND\nreceipt:9\ndestination:/sink\n", "a:b\n", 15, "\n\0")),
    large("the same header too often", ALL, Bytes::Repeat("SEND\nreceipt:9\n", "destination:/sink\n", 16, "\n\0")),
    large("a line too long", ALL, Bytes::Repeat("SEND\nreceipt:9\ndestination:/sink\na:", "x", 511, "\n\n\0")),
    large("a head too long", ALL, Bytes::Lines("SEND\nreceipt:9", 11, 100)),
    large("a body too long", ALL, Bytes::Repeat("SEND\nreceipt:9\ndestination:/sink\n\n", "x", 4_096, "\0")),
    large("a length over the limit", ALL, Bytes::Are(b"SEND\nreceipt:9\ndestination:/sink\ncontent-length:4096\n\n")),
    large("the greatest length", ALL, Bytes::Are(b"SEND\nreceipt:9\ndestination:/sink\ncontent-length:9999999999\n\n")),
    // Frames that lack something, or have what makes no sense.
    missing("SEND to nowhere", ALL, "SEND\nreceipt:9\n\nhello\0"),
    missing("SEND to an empty destination", ALL, "SEND\nreceipt:9\ndestination:\n\nhello\0"),
    missing("SUBSCRIBE without an id", NOT_1_0, "SUBSCRIBE\nreceipt:9\ndestination:/news\n\n\0"),
    missing("SUBSCRIBE to nothing", ALL, "SUBSCRIBE\nreceipt:9\nid:0\n\n\0"),
    missing("UNSUBSCRIBE without an id", NOT_1_0, "UNSUBSCRIBE\nreceipt:9\ndestination:/news\n\n\0"),
    missing("UNSUBSCRIBE from nothing", V1_0, "UNSUBSCRIBE\nreceipt:9\n\n\0"),
    missing("ACK of nothing", ALL, "ACK\nreceipt:9\n\n\0"),
    missing("NACK of nothing", NOT_1_0, "NACK\nreceipt:9\n\n\0"),
    missing("ACK by a message-id", V1_2, "ACK\nreceipt:9\nsubscription:j\nmessage-id:d1\n\n\0"),
    missing("ACK by an id", NOT_1_2, "ACK\nreceipt:9\nid:d1\n\n\0"),
    missing("ACK without a subscription", V1_1, "ACK\nreceipt:9\nmessage-id:d1\n\n\0").after(JOBS).with_messages(2),
    missing("BEGIN without a name", ALL, "BEGIN\nreceipt:9\n\n\0"),
    missing("COMMIT without a name", ALL, "COMMIT\nreceipt:9\n\n\0"),
    missing("ABORT without a name", ALL, "ABORT\nreceipt:9\n\n\0"),
    malformed("an acknowledgment that there is not", ALL, b"SUBSCRIBE\nreceipt:9\nid:0\ndestination:/news\nack:never\n\n\0"),
    malformed(
        "an acknowledgment before it was invented",
        V1_0,
        b"SUBSCRIBE\nreceipt:9\nid:0\ndestination:/news\nack:client-individual\n\n\0",
    ),
    malformed("a credit of nothing", ALL, b"SUBSCRIBE\nreceipt:9\nid:0\ndestination:/news\nprefetch-count:0\n\n\0"),
    malformed("a credit in words", ALL, b"SUBSCRIBE\nreceipt:9\nid:0\ndestination:/news\nprefetch-count:ten\n\n\0"),
    large("a destination too long", ALL, Bytes::Repeat("SEND\nreceipt:9\ndestination:", "x", 256, "\n\n\0")),
    large("an id too long", ALL, Bytes::Repeat("SUBSCRIBE\nreceipt:9\ndestination:/news\nid:", "x", 256, "\n\n\0")),
    large("a transaction's name too long", ALL, Bytes::Repeat("BEGIN\nreceipt:9\ntransaction:", "x", 256, "\n\n\0")),
    // Frames at the wrong time.
    unexpected("CONNECT again", ALL, "CONNECT\nreceipt:9\naccept-version:1.2\n\n\0"),
    unexpected("STOMP again", ALL, "STOMP\nreceipt:9\naccept-version:1.2\n\n\0"),
    unexpected("NACK before it was invented", V1_0, "NACK\nreceipt:9\nmessage-id:d1\n\n\0").after(JOBS).with_messages(2),
    unexpected("CONNECTED of a client", ALL, "CONNECTED\nreceipt:9\nversion:1.2\n\n\0"),
    unexpected("MESSAGE of a client", ALL, "MESSAGE\nreceipt:9\ndestination:/news\nmessage-id:1\nsubscription:0\n\nhello\0"),
    unexpected("RECEIPT of a client", ALL, "RECEIPT\nreceipt:9\nreceipt-id:1\n\n\0"),
    unexpected("ERROR of a client", ALL, "ERROR\nreceipt:9\nmessage:no\n\nhello\0"),
    wrong("the same id twice", ALL, "duplicate-subscription", "SUBSCRIBE\nreceipt:9\nid:0\ndestination:/quiet/2\n\n\0")
        .after("SUBSCRIBE\nid:0\ndestination:/quiet/1\n\n\0"),
    wrong("the same destination twice", V1_0, "duplicate-subscription", "SUBSCRIBE\nreceipt:9\ndestination:/quiet/1\n\n\0")
        .after("SUBSCRIBE\ndestination:/quiet/1\n\n\0"),
    wrong("too many subscriptions", ALL, "too-many-subscriptions", "SUBSCRIBE\nreceipt:9\nid:5\ndestination:/quiet/5\n\n\0")
        .after(
            "SUBSCRIBE\nid:1\ndestination:/quiet/1\n\n\0SUBSCRIBE\nid:2\ndestination:/quiet/2\n\n\0\
             SUBSCRIBE\nid:3\ndestination:/quiet/3\n\n\0SUBSCRIBE\nid:4\ndestination:/quiet/4\n\n\0",
        ),
    wrong("an end of no subscription", ALL, "unknown-subscription", "UNSUBSCRIBE\nreceipt:9\nid:0\n\n\0"),
    wrong("an end after the end", ALL, "unknown-subscription", "UNSUBSCRIBE\nreceipt:9\nid:0\n\n\0")
        .after("SUBSCRIBE\nid:0\ndestination:/quiet/1\n\n\0UNSUBSCRIBE\nid:0\n\n\0"),
    // Acknowledgments.
    wrong("ACK of what never was", V1_2, "unknown-delivery", "ACK\nreceipt:9\nid:d3\n\n\0").after(JOBS).with_messages(2),
    wrong("NACK of what never was", V1_2, "unknown-delivery", "NACK\nreceipt:9\nid:d0\n\n\0").after(JOBS).with_messages(2),
    wrong("ACK of what is no delivery", V1_2, "unknown-delivery", "ACK\nreceipt:9\nid:../d1\n\n\0").after(JOBS).with_messages(2),
    wrong("ACK of an endless number", V1_2, "unknown-delivery", "ACK\nreceipt:9\nid:d99999999999999999999999\n\n\0"),
    wrong("ACK where nothing is to be", V1_2, "unknown-delivery", "ACK\nreceipt:9\nid:d1\n\n\0")
        .after("SUBSCRIBE\nid:j\ndestination:/jobs\n\n\0").with_messages(2),
    wrong("ACK of what never was, by its message-id", V1_0, "unknown-delivery", "ACK\nreceipt:9\nmessage-id:d3\n\n\0")
        .after(JOBS).with_messages(2),
    wrong("ACK of what never was, by both", V1_1, "unknown-delivery", "ACK\nreceipt:9\nsubscription:j\nmessage-id:d3\n\n\0")
        .after(JOBS).with_messages(2),
    wrong("ACK for no subscription", V1_1, "unknown-subscription", "ACK\nreceipt:9\nsubscription:x\nmessage-id:d1\n\n\0")
        .after(JOBS).with_messages(2),
    wrong("ACK for another subscription", V1_1, "unknown-delivery", "ACK\nreceipt:9\nsubscription:0\nmessage-id:d1\n\n\0")
        .after("SUBSCRIBE\nid:0\ndestination:/quiet/1\n\n\0SUBSCRIBE\nid:j\ndestination:/jobs\nack:client\n\n\0")
        .with_messages(2),
    wrong("ACK twice", V1_2, "already-settled", "ACK\nreceipt:9\nid:d1\n\n\0")
        .after("SUBSCRIBE\nid:j\ndestination:/jobs\nack:client-individual\nprefetch-count:1\n\n\0")
        .with_messages(1).then("ACK\nid:d1\n\n\0", 1),
    wrong("NACK after ACK", V1_2, "already-settled", "NACK\nreceipt:9\nid:d2\n\n\0")
        .after(JOBS).with_messages(2).then("ACK\nid:d2\n\n\0", 0),
    wrong("ACK of what a transaction has", V1_2, "already-settled", "ACK\nreceipt:9\nid:d1\n\n\0")
        .after(JOBS).with_messages(2).then("BEGIN\ntransaction:t\n\n\0ACK\nid:d1\ntransaction:t\n\n\0", 0),
    // Transactions.
    wrong("BEGIN twice", ALL, "duplicate-transaction", "BEGIN\nreceipt:9\ntransaction:t\n\n\0").after("BEGIN\ntransaction:t\n\n\0"),
    wrong("too many transactions", ALL, "too-many-transactions", "BEGIN\nreceipt:9\ntransaction:c\n\n\0")
        .after("BEGIN\ntransaction:a\n\n\0BEGIN\ntransaction:b\n\n\0"),
    wrong("COMMIT of nothing", ALL, "unknown-transaction", "COMMIT\nreceipt:9\ntransaction:t\n\n\0"),
    wrong("COMMIT twice", ALL, "unknown-transaction", "COMMIT\nreceipt:9\ntransaction:t\n\n\0")
        .after("BEGIN\ntransaction:t\n\n\0COMMIT\ntransaction:t\n\n\0"),
    wrong("ABORT of nothing", ALL, "unknown-transaction", "ABORT\nreceipt:9\ntransaction:t\n\n\0"),
    wrong("SEND in no transaction", ALL, "unknown-transaction", "SEND\nreceipt:9\ndestination:/sink\ntransaction:t\n\n\0"),
    wrong("ACK in no transaction", V1_2, "unknown-transaction", "ACK\nreceipt:9\nid:d1\ntransaction:t\n\n\0")
        .after(JOBS).with_messages(2),
    wrong("a transaction of too many frames", ALL, "transaction-too-large", "SEND\nreceipt:9\ndestination:/sink\ntransaction:t\n\n5\0")
        .after(
            "BEGIN\ntransaction:t\n\n\0SEND\ndestination:/sink\ntransaction:t\n\n1\0SEND\ndestination:/sink\ntransaction:t\n\n2\0\
             SEND\ndestination:/sink\ntransaction:t\n\n3\0SEND\ndestination:/sink\ntransaction:t\n\n4\0",
        ),
    Kind {
        before: "BEGIN\ntransaction:t\n\n\0SEND\ndestination:/sink\ntransaction:t\n\n1\0",
        ..of(
            "a transaction of too many bytes",
            ALL,
            Bytes::Repeat("SEND\nreceipt:9\ndestination:/sink\ntransaction:t\n\n", "x", 3_000, "\0"),
            "transaction-too-large",
        )
    },
];
