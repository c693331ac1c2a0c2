//! Random frames of the client. Most of them are valid when they are sent.

use crate::{Choose, sequence::Sequence, subscriptions::DeliveryState};
use stomp_frame::{Command, Frame, Version};

impl Sequence {
    /// Returns a random frame. About one in 80 is meant to be invalid at this moment.
    pub(crate) fn frame(&mut self) -> Frame {
        let is_invalid = self.random.one_in(80);
        let commands = match self.random.usize(..100) {
            0..20 => [Command::Subscribe; 2],
            20..28 => [Command::Unsubscribe; 2],
            28..62 => [Command::Ack, Command::Nack],
            62..72 => [Command::Begin; 2],
            72..78 => [Command::Commit; 2],
            78..82 => [Command::Abort; 2],
            82..99 => [Command::Send; 2],
            _ => [Command::Disconnect; 2],
        };
        let command = self.random.pick(&commands).unwrap();
        match command {
            Command::Subscribe => self.subscribe(is_invalid),
            Command::Unsubscribe => self.unsubscribe(is_invalid),
            Command::Ack | Command::Nack => self.acknowledge(command, is_invalid),
            Command::Begin | Command::Commit | Command::Abort => {
                let is_known = is_invalid == (command == Command::Begin);
                match self.transaction(is_known) {
                    Some(id) => Frame::new(command).with_header("transaction", &id),
                    None => self.send(false),
                }
            }
            Command::Send => self.send(is_invalid),
            command => Frame::new(command),
        }
    }

    /// Returns the id of an open transaction, or an id that no open transaction has.
    fn transaction(&mut self, is_open: bool) -> Option<String> {
        let all: Vec<_> = (0..9).map(|number| format!("t{number}")).collect();
        let candidates: Vec<_> = all
            .into_iter()
            .filter(|id| self.model.transactions.contains_key(id) == is_open)
            .collect();
        self.random.pick(&candidates)
    }

    fn send(&mut self, is_invalid: bool) -> Frame {
        let frame = Frame::new(Command::Send)
            .with_header("destination", "/a")
            .with_body(format!("b{}", self.serial()));
        let is_held = is_invalid || self.random.one_in(2);
        self.in_transaction(frame, is_held, is_invalid)
    }

    fn in_transaction(&mut self, frame: Frame, is_held: bool, is_invalid: bool) -> Frame {
        match self.transaction(!is_invalid).filter(|_| is_held) {
            Some(id) => frame.with_header("transaction", &id),
            None => frame,
        }
    }

    fn subscribe(&mut self, is_invalid: bool) -> Frame {
        let ids = ["0", "1", "2", "3"];
        let in_use = |id: &&str| {
            self.model
                .subscriptions
                .iter()
                .any(|known| known.id.as_deref() == Some(*id))
        };
        let candidates: Vec<_> = ids
            .into_iter()
            .filter(|id| in_use(id) == is_invalid)
            .collect();
        let id = self
            .random
            .pick(&candidates)
            .filter(|_| self.model.version > Version::V1_0 || self.random.one_in(2));
        let destination = self.random.pick(&["/a", "/b"]).unwrap();
        let modes = [
            "client-individual",
            "client-individual",
            "auto",
            "client",
            "client",
        ];
        let mode = self.random.pick(&modes).unwrap();
        let mut frame = Frame::new(Command::Subscribe)
            .with_header("destination", destination)
            .with_header("ack", mode);
        match id {
            Some(id) => frame.headers.append("id", id),
            None if self.model.version > Version::V1_0 => return self.send(false),
            None => {}
        }
        if self.random.one_in(2) {
            frame.headers.append(
                "prefetch-count",
                self.random.pick(&["1", "2", "4"]).unwrap(),
            );
        }
        frame.with_header("serial", &self.serial().to_string())
    }

    fn unsubscribe(&mut self, is_invalid: bool) -> Frame {
        let frame = Frame::new(Command::Unsubscribe);
        let live = self
            .model
            .subscriptions
            .iter()
            .map(|known| (known.id.clone(), known.destination.clone()));
        let live: Vec<_> = live.collect();
        let retired: Vec<_> = self
            .model
            .ended
            .iter()
            .filter(|(_, known)| !**known)
            .map(|(name, _)| name)
            .collect();
        match self.random.pick(&retired) {
            _ if is_invalid => frame.with_header("id", "9"),
            Some(name) if self.random.one_in(2) => frame.with_header(
                if name.starts_with('/') {
                    "destination"
                } else {
                    "id"
                },
                name,
            ),
            _ => match self.random.pick(&live) {
                Some((Some(id), _)) => frame.with_header("id", &id),
                Some((None, destination)) => frame.with_header("destination", &destination),
                None => self.send(false),
            },
        }
    }

    fn acknowledge(&mut self, command: Command, is_invalid: bool) -> Frame {
        let version = self.model.version;
        let is_candidate = |state| match state {
            DeliveryState::Pending | DeliveryState::Settled | DeliveryState::Detached => {
                !is_invalid
            }
            DeliveryState::Staged | DeliveryState::Named => is_invalid,
        };
        let all = &self.model.deliveries;
        let candidates: Vec<_> = (0..all.len())
            .filter(|number| is_candidate(all[*number].state))
            .collect();
        let pending: Vec<_> = candidates
            .iter()
            .copied()
            .filter(|number| all[*number].state == DeliveryState::Pending)
            .collect();
        let candidates = if self.random.one_in(10) || is_invalid {
            candidates
        } else {
            pending
        };
        let number = match self.random.pick(&candidates) {
            Some(number) => number,
            None if is_invalid => all.len(),
            None => return self.send(false),
        };
        let unknown = ["1", "AkxFVmtYd0dQbVRyaEI2Zg", "AkxFVmtY.1.1"];
        let name = match all.get(number) {
            Some(sent) => sent.name.clone(),
            None => self.random.pick(&unknown).unwrap().to_owned(),
        };
        let mut frame = Frame::new(command).with_header(
            if version == Version::V1_2 {
                "id"
            } else {
                "message-id"
            },
            &name,
        );
        if version == Version::V1_1 {
            let serial = self.model.deliveries.get(number).map(|sent| sent.serial);
            let known = self
                .model
                .subscriptions
                .iter()
                .find(|known| Some(known.serial) == serial);
            let ended = self.model.ended.keys().next();
            let id = known.and_then(|known| known.id.as_ref()).or(ended).cloned();
            let id = if is_invalid && self.random.one_in(2) {
                "9".to_owned()
            } else {
                id.unwrap_or("9".to_owned())
            };
            frame.headers.append("subscription", &id);
        }
        let is_held = self.random.one_in(2);
        let is_unknown = is_invalid && self.random.one_in(4);
        self.in_transaction(frame, is_held, is_unknown)
    }
}
