//! What clients send: most often what is right at the moment.

use crate::{sequence::Sequence, subscriptions::Fate};
use stomp_frame::{Command, Frame, Version};

impl Sequence {
    /// A frame, most often one that is right at this moment.
    pub(crate) fn frame(&mut self) -> Frame {
        let is_wrong = self.random.one_in(80);
        let commands = match self.random.below(100) {
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
            Command::Subscribe => self.subscribe(is_wrong),
            Command::Unsubscribe => self.unsubscribe(is_wrong),
            Command::Ack | Command::Nack => self.acknowledge(command, is_wrong),
            Command::Begin | Command::Commit | Command::Abort => {
                let is_known = is_wrong == (command == Command::Begin);
                match self.transaction(is_known) {
                    Some(id) => Frame::new(command).with_header("transaction", &id),
                    None => self.send(false),
                }
            }
            Command::Send => self.send(is_wrong),
            command => Frame::new(command),
        }
    }

    /// The name of a transaction that is open, or of one that is not.
    fn transaction(&mut self, is_open: bool) -> Option<String> {
        let all: Vec<_> = (0..9).map(|number| format!("t{number}")).collect();
        let fitting: Vec<_> = all
            .into_iter()
            .filter(|id| self.model.transactions.contains_key(id) == is_open)
            .collect();
        self.random.pick(&fitting)
    }

    fn send(&mut self, is_wrong: bool) -> Frame {
        let frame = Frame::new(Command::Send)
            .with_header("destination", "/a")
            .with_body(format!("b{}", self.serial()));
        let is_held = is_wrong || self.random.one_in(2);
        self.in_transaction(frame, is_held, is_wrong)
    }

    fn in_transaction(&mut self, frame: Frame, is_held: bool, is_wrong: bool) -> Frame {
        match self.transaction(!is_wrong).filter(|_| is_held) {
            Some(id) => frame.with_header("transaction", &id),
            None => frame,
        }
    }

    fn subscribe(&mut self, is_wrong: bool) -> Frame {
        let ids = ["0", "1", "2", "3"];
        let in_use = |id: &&str| {
            self.model
                .subscriptions
                .iter()
                .any(|known| known.id.as_deref() == Some(*id))
        };
        let fitting: Vec<_> = ids
            .into_iter()
            .filter(|id| in_use(id) == is_wrong)
            .collect();
        let id = self
            .random
            .pick(&fitting)
            .filter(|_| self.model.version > Version::V1_0 || self.random.one_in(2));
        let destination = self.random.pick(&["/a", "/b"]).unwrap();
        let modes = [
            "client-individual",
            "client-individual",
            "auto",
            "client",
            "client",
        ];
        let is_1_0 = self.model.version == Version::V1_0;
        let mode = self
            .random
            .pick(&modes[if is_1_0 { 2 } else { 0 }..])
            .unwrap();
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

    fn unsubscribe(&mut self, is_wrong: bool) -> Frame {
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
            _ if is_wrong => frame.with_header("id", "9"),
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

    fn acknowledge(&mut self, command: Command, is_wrong: bool) -> Frame {
        let version = self.model.version;
        let command = if version == Version::V1_0 {
            Command::Ack
        } else {
            command
        };
        let is_fitting = |fate| match fate {
            Fate::Pending | Fate::Settled => !is_wrong,
            Fate::Staged | Fate::Named => is_wrong,
        };
        let all = &self.model.deliveries;
        let fitting: Vec<_> = (0..all.len())
            .filter(|number| is_fitting(all[*number].fate))
            .collect();
        let pending: Vec<_> = fitting
            .iter()
            .copied()
            .filter(|number| all[*number].fate == Fate::Pending)
            .collect();
        let fitting = if self.random.one_in(10) || is_wrong {
            fitting
        } else {
            pending
        };
        let number = match self.random.pick(&fitting) {
            Some(number) => number,
            None if is_wrong => self.model.deliveries.len(),
            None => return self.send(false),
        };
        let name = format!("d{}", number + 1);
        let mut frame = Frame::new(command).with_header(
            if version == Version::V1_2 {
                "id"
            } else {
                "message-id"
            },
            &name,
        );
        if version == Version::V1_1 {
            let serial = self
                .model
                .deliveries
                .get(number)
                .map(|delivered| delivered.serial);
            let known = self
                .model
                .subscriptions
                .iter()
                .find(|known| Some(known.serial) == serial);
            let ended = self.model.ended.keys().next();
            let id = known.and_then(|known| known.id.as_ref()).or(ended).cloned();
            let id = if is_wrong && self.random.one_in(2) {
                "9".to_owned()
            } else {
                id.unwrap_or("9".to_owned())
            };
            frame.headers.append("subscription", &id);
        }
        let is_held = self.random.one_in(2);
        let is_unknown = is_wrong && self.random.one_in(4);
        self.in_transaction(frame, is_held, is_unknown)
    }
}
