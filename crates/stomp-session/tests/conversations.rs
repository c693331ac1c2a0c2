//! Conversations as data: `tests/conversations/*.txt`, each against a real connection on a paused clock.
//!
//! A line is one step. Frames are written as `COMMAND name:value … | body`; in what the server must send, only the
//! headers that are named are looked at, and a body only if there is one.
//!
//! ```text
//! C: FRAME                 the client sends a frame      C: raw TEXT    or these octets (\n, \0)
//! C: end                   or ends its side
//! S: FRAME                 the server sends this next    S: beat        or a heart-beat
//! S: nothing               nothing is waiting            S: end         or it closes
//! app: COMMAND ok          the application is asked this, and agrees
//! app: COMMAND err CODE    or refuses
//! app: SUBSCRIBE observe   or gives the messages of a topic
//! app: COMMAND wait        or takes its time, until `app: answer`
//! app: DISCONNECT REASON   the application is told why the session ended
//! app: publish TEXT        something is published on that topic
//! +10s                     time passes
//! ```

use futures_util::StreamExt;
use std::{collections::VecDeque, fs, path::Path, time::Duration};
use stomp_frame::{Command, Decoded, Decoder, Frame, Headers, Limits, Version};
use stomp_session::{ClientError, Config, Peer, Request, Requests, Responder, Response, Session, Topic};
use stomp_socket::Socket;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    time::{advance, timeout},
};

#[tokio::test(start_paused = true)]
async fn every_conversation_goes_as_written() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conversations");
    let mut files: Vec<_> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty());
    for file in files {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let mut conversation = Conversation::start();
        for (number, line) in fs::read_to_string(&file).unwrap().lines().enumerate() {
            let step = line.split_once(" #").map_or(line, |(step, _)| step).trim();
            if !step.is_empty() && !step.starts_with('#') {
                conversation.step(step).await.unwrap_or_else(|error| panic!("{name}:{}: {step}: {error}", number + 1));
            }
        }
    }
}

type Outcome = Result<(), String>;

struct Conversation {
    client: DuplexStream,
    decoder: Decoder,
    received: VecDeque<Decoded>,
    requests: Requests,
    waiting: Option<Responder>,
    topic: Topic<String>,
}

impl Conversation {
    fn start() -> Conversation {
        let (client, ours) = tokio::io::duplex(1 << 20);
        let socket = Socket::over_bytes(ours, Peer::default(), &Default::default());
        let (_, requests, connection) = Session::new(socket, Config::default());
        tokio::spawn(connection);
        let mut decoder = Decoder::new(Limits::default());
        decoder.negotiated(Version::V1_2, Limits::default());
        let received = VecDeque::new();
        Conversation { client, decoder, received, requests, waiting: None, topic: Topic::new() }
    }

    async fn step(&mut self, step: &str) -> Outcome {
        if let Some(seconds) = step.strip_prefix('+') {
            let seconds: f64 = seconds.trim_end_matches('s').parse().map_err(|_| "no number of seconds")?;
            self.settle().await;
            advance(Duration::from_secs_f64(seconds)).await;
            self.settle().await;
            return Ok(());
        }
        match step.split_once(": ").ok_or("not a step")? {
            ("C", what) => self.client_says(what).await,
            ("S", what) => self.server_says(what).await,
            ("app", what) => self.application(what).await,
            _ => Err("not a step".into()),
        }
    }

    async fn client_says(&mut self, what: &str) -> Outcome {
        let octets = match what.split_once(' ') {
            _ if what == "end" => {
                return self.client.shutdown().await.map_err(|error| error.to_string());
            }
            _ if what == "beat" => b"\n".to_vec(),
            Some(("raw", text)) => text.replace("\\n", "\n").replace("\\0", "\0").into_bytes(),
            _ => frame(what)?.to_bytes(Version::V1_2).map_err(|error| error.to_string())?.to_vec(),
        };
        self.client.write_all(&octets).await.map_err(|error| error.to_string())
    }

    async fn server_says(&mut self, what: &str) -> Outcome {
        let next = self.next().await;
        match (what, next) {
            ("nothing", Next::Nothing) | ("end", Next::End) | ("beat", Next::Item(Decoded::HeartBeat)) => Ok(()),
            ("nothing" | "end" | "beat", other) => Err(format!("but {other:?}")),
            (_, Next::Item(Decoded::Frame(found))) => {
                let expected = frame(what)?;
                let fits = found.command == expected.command
                    && expected.headers.iter().all(|(name, value)| found.headers.get(name) == Some(value))
                    && (expected.body.is_empty() || found.body == expected.body);
                if fits { Ok(()) } else { Err(format!("but {found:?} {:?}", found.body)) }
            }
            (_, other) => Err(format!("but {other:?}")),
        }
    }

    async fn next(&mut self) -> Next {
        loop {
            if let Some(item) = self.received.pop_front() {
                return Next::Item(item);
            }
            self.settle().await;
            let mut octets = Vec::new();
            match timeout(Duration::ZERO, self.client.read_buf(&mut octets)).await {
                Err(_) => return Next::Nothing,
                Ok(Ok(0) | Err(_)) => return Next::End,
                Ok(Ok(_)) => self.decoder.feed(octets),
            }
            while let Some(item) = self.decoder.decode().expect("the server sends frames") {
                self.received.push_back(item);
                self.decoder.negotiated(Version::V1_2, Limits::default());
            }
        }
    }

    async fn application(&mut self, what: &str) -> Outcome {
        let words: Vec<_> = what.split(' ').collect();
        match words[..] {
            ["publish", text] => self.topic.publish(text.to_owned()).map_err(|error| error.to_string()),
            ["answer"] => self.waiting.take().map(Responder::ok).ok_or("nothing waits".into()),
            ["idle"] => match self.request().await {
                None => Ok(()),
                Some((request, _)) => Err(format!("but {request:?}")),
            },
            [command, ref answer @ ..] => {
                let (request, responder) = self.request().await.ok_or("no request")?;
                if request.command().as_str() != command {
                    return Err(format!("but {request:?}"));
                }
                match answer {
                    ["ok"] => responder.ok(),
                    ["err", code] => responder.refuse(ClientError::new(code.to_string(), "Refused.")),
                    ["fail"] => responder.refuse("secret: a database is gone"),
                    ["wait"] => self.waiting = Some(responder),
                    ["observe"] => responder.respond(Response::Observe(self.topic.subscribe().boxed())),
                    [reason] if format!("{:?}", request.reason()) == format!("Some({reason})") => responder.ok(),
                    _ => return Err(format!("but {:?}", request.reason())),
                }
                Ok(())
            }
            [] => Err("not a step".into()),
        }
    }

    async fn request(&mut self) -> Option<(Request, Responder)> {
        self.settle().await;
        timeout(Duration::ZERO, self.requests.next()).await.ok().flatten()
    }

    /// Lets the connection do all it can.
    async fn settle(&self) {
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    }
}

#[derive(Debug)]
enum Next {
    Item(Decoded),
    Nothing,
    End,
}

fn frame(text: &str) -> Result<Frame, String> {
    let (head, body) = text.split_once(" | ").unwrap_or((text, ""));
    let mut words = head.split(' ');
    let command = Command::from_bytes(words.next().unwrap_or_default().as_bytes()).ok_or("no command")?;
    let headers: Headers = words.filter_map(|word| word.split_once(':')).collect();
    Ok(Frame { command, headers, body: body.to_owned().into() })
}
