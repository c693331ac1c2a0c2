//! One sequence of random steps, each compared with the reference.

use crate::{
    Choose,
    reference::{Reference, error},
    server::Server,
    subscriptions::Item,
};
use std::{collections::BTreeMap, mem::take};
use stomp_frame::{Command, Version};
use stomp_session::{AppErrors, Config, MessageId};
use stomp_testing::Rng;

/// A session, its reference, and the steps so far.
pub(crate) struct Sequence {
    pub(crate) random: Rng,
    server: Option<Server>,
    pub(crate) model: Reference,
    /// The number that was last given to a subscription, body or receipt.
    serial: usize,
    /// The number of settlements of each delivery.
    settled: BTreeMap<String, usize>,
    /// The ids of all messages that the application has delivered.
    delivered: Vec<MessageId>,
    pub(crate) steps: Vec<String>,
    pub(crate) events: Vec<&'static str>,
}

impl Sequence {
    pub(crate) fn new(mut random: Rng) -> Sequence {
        let version = random.pick(&Version::ALL).unwrap();
        let mut config = Config::default();
        let errors_close = random.one_in(4);
        if errors_close {
            config.app_errors = AppErrors::Close;
        }
        let server = Some(Server::connected(version, config));
        let model = Reference::new(version, errors_close);
        let steps = vec![format!("{version:?}, errors close: {errors_close}")];
        let settled = BTreeMap::new();
        Sequence {
            random,
            server,
            model,
            serial: 0,
            settled,
            delivered: Vec::new(),
            steps,
            events: vec![version.as_str()],
        }
    }

    fn server(&mut self) -> &mut Server {
        self.server.as_mut().unwrap()
    }

    pub(crate) fn run(&mut self) {
        let steps = 5 + self.random.usize(..40);
        for _ in 0..steps {
            if self.model.is_over {
                break;
            }
            self.step();
            self.compare();
        }
        self.finish();
        self.events.append(&mut self.model.events);
        assert!(
            self.settled.values().all(|times| *times == 1),
            "deliveries that were not settled exactly once: {:?}",
            self.settled
        );
        self.server.take().unwrap().assert_empty();
    }

    fn step(&mut self) {
        if self.model.call.is_some() && self.random.one_in(2) {
            let answer = if self.random.one_in(5) {
                Err("refused")
            } else {
                Ok(())
            };
            return self.answer(answer);
        }
        let accepted: Vec<_> = self
            .model
            .subscriptions
            .iter()
            .filter(|known| known.is_accepted && !known.has_ended)
            .collect();
        let is_idle = |serial| {
            let subscription = accepted
                .iter()
                .find(|known| known.serial == serial)
                .unwrap();
            subscription.queue.is_empty() && self.model.has_credit(subscription)
        };
        let accepted: Vec<_> = accepted
            .iter()
            .map(|known| (known.serial, is_idle(known.serial)))
            .collect();
        match (self.random.usize(..100), self.random.pick(&accepted)) {
            (0..35, Some((serial, _))) => self.deliver(serial),
            (35..38, Some((serial, _))) => {
                self.steps.push(format!("the stream of {serial} ends"));
                self.server().end_stream(serial);
                self.model.end_stream(serial);
            }
            (38..40, Some((serial, true))) => {
                self.steps.push(format!("the stream of {serial} fails"));
                self.server().fail_stream(serial, "failed");
                self.model.fail_stream(serial, "failed");
            }
            (40, _) => {
                self.steps.push("the application sends an error".into());
                self.server().error("failed");
                self.model.error_of_handle("failed");
            }
            _ if self.model.inbox.len() < 20 && !self.model.will_commit() => self.client_sends(),
            _ => self.answer_if_asked(),
        }
    }

    fn answer_if_asked(&mut self) {
        if self.model.call.is_some() {
            self.answer(Ok(()));
        }
    }

    fn answer(&mut self, answer: Result<(), &'static str>) {
        self.steps
            .push(format!("the application answers {answer:?}"));
        self.server().answer(answer);
        self.model.application_answered(answer);
    }

    fn deliver(&mut self, serial: usize) {
        let body = format!("q{serial}-{}", self.serial());
        let is_redelivered = self.random.one_in(4);
        self.steps.push(format!("the application delivers {body}"));
        // Some deliveries are of a message that this session has received before.
        let earlier = self.random.pick(&self.delivered);
        let id = match earlier.filter(|_| self.random.one_in(4)) {
            Some(id) => id,
            None => MessageId::from(self.delivered.len() as u128),
        };
        self.delivered.push(id);
        self.server().deliver(serial, &body, is_redelivered, id);
        self.settled.insert(body.clone(), 0);
        self.model.deliver(
            serial,
            Item {
                id: id.to_string(),
                body,
                is_redelivered,
            },
        );
    }

    pub(crate) fn serial(&mut self) -> usize {
        self.serial += 1;
        self.serial
    }

    fn client_sends(&mut self) {
        let mut frame = self.frame();
        if self.random.one_in(2) {
            frame
                .headers
                .append("receipt", &format!("r{}", self.serial()));
        }
        self.steps.push(format!("the client sends {frame:?}"));
        self.server().send(frame.clone());
        self.model.client_sent(frame);
    }

    fn compare(&mut self) {
        self.server().run();
        let mut frames = Vec::new();
        for frame in self.server().frames() {
            match frame.command {
                Command::Message => {
                    let outcome = self.model.message(&frame);
                    assert_eq!(outcome, Ok(()), "{frame:?} {:?}", frame.body);
                }
                Command::Error => {
                    let header = |name| frame.headers.get(name);
                    let subscription = header("subscription").map(str::to_owned);
                    frames.push(error(
                        header("message").unwrap(),
                        header("receipt-id"),
                        subscription,
                    ));
                }
                command => frames.push(format!(
                    "{command} {}",
                    frame.headers.get("receipt-id").unwrap_or_default()
                )),
            }
        }
        self.model.check_streams();
        assert_eq!(
            frames,
            take(&mut self.model.frames),
            "frames that the client received"
        );
        let requests = self.server().requests();
        assert_eq!(
            requests,
            take(&mut self.model.requests),
            "requests that the application received"
        );
        // The order among the subscriptions is not specified, nor is that of the deliveries that return.
        let by_source = |line: &String| {
            let source = line.split_once('-').map_or("", |(queue, _)| queue);
            let returned = Some(line).filter(|line| line.ends_with("Abandoned"));
            (source.to_owned(), returned.cloned())
        };
        let (mut log, mut expected) = (self.log(), take(&mut self.model.log));
        log.sort_by_key(by_source);
        expected.sort_by_key(by_source);
        assert_eq!(log, expected, "events of deliveries and effects");
        let (server, subscriptions) = (self.server.as_mut().unwrap(), &self.model.subscriptions);
        server.assert_streams_dropped_except(|serial| {
            subscriptions.iter().any(|known| known.serial == serial)
        });
    }

    /// Takes the events of deliveries and effects since the last call.
    fn log(&mut self) -> Vec<String> {
        let log = self.server().log();
        for body in log
            .iter()
            .filter_map(|line| line.split_once(' '))
            .map(|(body, _)| body)
        {
            self.settled
                .entry(body.to_owned())
                .and_modify(|times| *times += 1);
        }
        log
    }

    /// Ends the session in a random way.
    fn finish(&mut self) {
        let how = if self.model.is_over {
            0
        } else {
            self.random.usize(..5)
        };
        self.steps.push(format!("the end, {how}"));
        match how {
            0 | 1 => {
                self.server().end_client();
                self.model.client_ended();
            }
            2 => {
                self.server().close();
                self.model.end("Server");
            }
            3 => {
                self.events.push("the server drops the connection");
                self.server().drop_connection();
                self.model.connection_dropped();
            }
            _ => return self.drop_client(),
        }
        self.compare();
        while self.model.call.is_some() {
            self.answer(Ok(()));
            self.compare();
        }
        self.server().drop_client();
        self.server().run();
        assert!(self.server().is_finished(), "the connection does not end");
    }

    /// Drops the client's end of the connection. The session may or may not handle the last frames, but it settles all
    /// deliveries.
    fn drop_client(&mut self) {
        self.events.push("the client drops the connection");
        self.server().drop_client();
        for _ in 0..100 {
            self.server().run();
            if self.server().is_finished() {
                break;
            }
            self.server().requests();
            self.server().answer(Ok(()));
        }
        assert!(self.server().is_finished(), "the connection does not end");
        self.log();
    }
}
