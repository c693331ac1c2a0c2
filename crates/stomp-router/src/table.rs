//! Routes by command and destination.

use crate::{
    errors::{Origin, Problem},
    path::{Paths, Refusal},
    route::Route,
};
use std::sync::Arc;
use stomp_frame::Command;
use stomp_session::{Params, Pattern, Request};

/// All routes, to be shared.
pub(crate) struct Table {
    connect: Option<Entry>,
    send: Paths<Entry>,
    subscribe: Paths<Entry>,
    unsubscribe: Paths<Entry>,
    disconnect: Option<Entry>,
    /// For what has no route, below a prefix and anywhere.
    fallbacks: Paths<Entry>,
    fallback: Option<Entry>,
}

#[derive(Clone)]
struct Entry {
    route: Route,
    /// Apart, as nobody asks for it after the table is made.
    origin: Box<Origin>,
}

impl Table {
    pub(crate) fn new() -> Table {
        Table {
            connect: None,
            send: Paths::new(),
            subscribe: Paths::new(),
            unsubscribe: Paths::new(),
            disconnect: None,
            fallbacks: Paths::new(),
            fallback: None,
        }
    }

    /// Adds a route, or says why it cannot be.
    pub(crate) fn add(&mut self, origin: Origin, route: Route) -> Result<(), Problem> {
        let entry = Entry {
            route,
            origin: Box::new(origin.clone()),
        };
        match origin.command {
            Some(Command::Connect | Command::Stomp) => fill(&mut self.connect, entry),
            Some(Command::Send) => insert(&mut self.send, entry),
            Some(Command::Subscribe) => insert(&mut self.subscribe, entry),
            Some(Command::Unsubscribe) => insert(&mut self.unsubscribe, entry),
            Some(Command::Disconnect) => fill(&mut self.disconnect, entry),
            Some(_) => Err(Problem::NotRouted),
            None if origin.pattern.is_empty() => fill(&mut self.fallback, entry),
            None => {
                let result = self.fallbacks.insert_below(&origin.pattern, entry);
                result.map_err(|refusal| problem(&self.fallbacks, refusal))
            }
        }
    }

    /// The pattern that fits a destination, and its parameters there.
    pub(crate) fn find(&self, command: Command, destination: &str) -> Option<Params> {
        let found = self.paths(command)?.find(destination);
        if found.is_none() && has_fallback(command) {
            self.fallbacks.find(destination)
        } else {
            found
        }
    }

    /// Whether a pattern was found here, for this command.
    pub(crate) fn knows(&self, command: Command, pattern: &Arc<Pattern>) -> bool {
        self.located(command, pattern).is_some()
    }

    /// The route of a request whose pattern has been found.
    pub(crate) fn route(&self, request: &Request) -> Option<&Route> {
        let command = request.command();
        let located = request
            .params()
            .pattern()
            .and_then(|pattern| self.located(command, pattern));
        let entry = located.or(match command {
            Command::Connect | Command::Stomp => self.connect.as_ref(),
            Command::Disconnect => self.disconnect.as_ref(),
            command if has_fallback(command) => self.fallback.as_ref(),
            _ => None,
        });
        entry.map(|entry| &entry.route)
    }

    fn located(&self, command: Command, pattern: &Arc<Pattern>) -> Option<&Entry> {
        let fallbacks = has_fallback(command).then_some(&self.fallbacks);
        self.paths(command)?
            .get(pattern)
            .or_else(|| fallbacks?.get(pattern))
    }

    fn paths(&self, command: Command) -> Option<&Paths<Entry>> {
        match command {
            Command::Send => Some(&self.send),
            Command::Subscribe => Some(&self.subscribe),
            Command::Unsubscribe => Some(&self.unsubscribe),
            _ => None,
        }
    }
}

/// Clients unsubscribe from whatever they had, so that needs no route.
fn has_fallback(command: Command) -> bool {
    matches!(command, Command::Send | Command::Subscribe)
}

fn fill(slot: &mut Option<Entry>, entry: Entry) -> Result<(), Problem> {
    match slot {
        Some(other) => Err(Problem::Conflict((*other.origin).clone())),
        None => {
            *slot = Some(entry);
            Ok(())
        }
    }
}

fn insert(paths: &mut Paths<Entry>, entry: Entry) -> Result<(), Problem> {
    let pattern = entry.origin.pattern.clone();
    paths
        .insert(&pattern, entry)
        .map_err(|refusal| problem(paths, refusal))
}

fn problem(paths: &Paths<Entry>, refusal: Refusal) -> Problem {
    match refusal {
        Refusal::Malformed(reason) => Problem::Malformed(reason),
        Refusal::Conflict(number) => match paths.numbered(number) {
            Some(other) => Problem::Conflict((*other.origin).clone()),
            None => Problem::Malformed("is in conflict with another".to_owned()),
        },
    }
}
