//! The table of all routes, by command and pattern.

use crate::{
    path::{InsertError, PatternTree},
    route::Route,
    route_error::{Declaration, Problem},
    route_pattern::RoutePattern,
};
use std::sync::{Arc, OnceLock};
use stomp_frame::Command;
use stomp_session::{Params, Pattern, Request};

/// All routes of a router. Immutable once built, and shared by all sessions.
pub(crate) struct Table {
    connect: Option<Entry>,
    connected: Option<Entry>,
    send: PatternTree<Entry>,
    subscribe: PatternTree<Entry>,
    unsubscribe: PatternTree<Entry>,
    disconnect: Option<Entry>,
    /// Fallbacks of nested routers, by prefix.
    nested_fallbacks: PatternTree<Entry>,
    fallback: Option<Entry>,
    /// The destinations that the routes match. Computed for the first subscription to a pattern.
    matched: OnceLock<Matched>,
}

/// The destinations that routes for `SUBSCRIBE` and nested fallbacks match, by the index of their pattern.
struct Matched {
    subscribe: Vec<RoutePattern>,
    nested_fallbacks: Vec<RoutePattern>,
}

#[derive(Clone)]
struct Entry {
    route: Route,
    /// Boxed to keep entries small: only conflict errors need it.
    declaration: Box<Declaration>,
}

impl Table {
    pub(crate) fn new() -> Table {
        Table {
            connect: None,
            connected: None,
            send: PatternTree::new(),
            subscribe: PatternTree::new(),
            unsubscribe: PatternTree::new(),
            disconnect: None,
            nested_fallbacks: PatternTree::new(),
            fallback: None,
            matched: OnceLock::new(),
        }
    }

    /// Adds a route.
    pub(crate) fn add(&mut self, declaration: Declaration, route: Route) -> Result<(), Problem> {
        let entry = Entry {
            route,
            declaration: Box::new(declaration.clone()),
        };
        match declaration.command {
            Some(Command::Connect | Command::Stomp) => set_once(&mut self.connect, entry),
            Some(Command::Connected) => set_once(&mut self.connected, entry),
            Some(Command::Send) => insert(&mut self.send, entry),
            Some(Command::Subscribe) => insert(&mut self.subscribe, entry),
            Some(Command::Unsubscribe) => insert(&mut self.unsubscribe, entry),
            Some(Command::Disconnect) => set_once(&mut self.disconnect, entry),
            Some(_) => Err(Problem::UnroutableCommand),
            None if declaration.pattern.is_empty() => set_once(&mut self.fallback, entry),
            None => {
                let result = self
                    .nested_fallbacks
                    .insert_below(&declaration.pattern, entry);
                result.map_err(|error| problem(&self.nested_fallbacks, error))
            }
        }
    }

    /// Finds the pattern that matches a destination, and the values of its parameters.
    pub(crate) fn find(&self, command: Command, destination: &str) -> Option<Params> {
        let found = self.tree(command)?.find(destination);
        if found.is_none() && has_fallback(command) {
            self.nested_fallbacks.find(destination)
        } else {
            found
        }
    }

    /// Returns true if the pattern is from this table and belongs to this command.
    pub(crate) fn contains(&self, command: Command, pattern: &Arc<Pattern>) -> bool {
        self.entry(command, pattern).is_some()
    }

    /// Returns the route of a request. The params of the request must be the result of [`find`](Table::find). Without a
    /// match, returns the handler of `CONNECT`, `CONNECTED` or `DISCONNECT`, or the fallback.
    pub(crate) fn route(&self, request: &Request) -> Option<&Route> {
        let command = request.command();
        let matched = request
            .params()
            .pattern()
            .and_then(|pattern| self.entry(command, pattern));
        let entry = matched.or(match command {
            Command::Connect | Command::Stomp => self.connect.as_ref(),
            Command::Connected => self.connected.as_ref(),
            Command::Disconnect => self.disconnect.as_ref(),
            command if has_fallback(command) => self.fallback.as_ref(),
            _ => None,
        });
        entry.map(|entry| &entry.route)
    }

    /// Returns true if a subscription to any of the destinations that a pattern matches would reach the same route.
    /// `request` is a `SUBSCRIBE` to that pattern, and [`route`](Table::route) returns its route. In doubt, returns
    /// false.
    ///
    /// Otherwise, the subscription would bypass the layers and the handler of another route, which decide who may have
    /// the messages.
    pub(crate) fn is_sole_route(&self, request: &Request) -> bool {
        let (wanted, found) = (request.destination(), request.params().pattern());
        let Matched {
            subscribe,
            nested_fallbacks,
        } = self.matched();
        let index = |tree: &PatternTree<Entry>| {
            let pattern = found.filter(|pattern| tree.get(pattern).is_some());
            pattern.map(|pattern| pattern.index())
        };
        let is_sole = |own: Option<usize>, patterns: &[RoutePattern]| {
            let mut patterns = patterns.iter().enumerate();
            patterns.all(|(index, pattern)| match own {
                Some(own) if own == index => pattern.contains(wanted),
                _ => !pattern.overlaps(wanted),
            })
        };
        match index(&self.subscribe) {
            // Routes take precedence over fallbacks.
            Some(own) => is_sole(Some(own), subscribe),
            None => {
                is_sole(None, subscribe) && is_sole(index(&self.nested_fallbacks), nested_fallbacks)
            }
        }
    }

    fn matched(&self) -> &Matched {
        let of = |tree: &PatternTree<Entry>| {
            tree.patterns()
                .map(|pattern| RoutePattern::new(pattern.text()))
                .collect()
        };
        self.matched.get_or_init(|| Matched {
            subscribe: of(&self.subscribe),
            nested_fallbacks: of(&self.nested_fallbacks),
        })
    }

    fn entry(&self, command: Command, pattern: &Arc<Pattern>) -> Option<&Entry> {
        let fallbacks = has_fallback(command).then_some(&self.nested_fallbacks);
        self.tree(command)?
            .get(pattern)
            .or_else(|| fallbacks?.get(pattern))
    }

    fn tree(&self, command: Command) -> Option<&PatternTree<Entry>> {
        match command {
            Command::Send => Some(&self.send),
            Command::Subscribe => Some(&self.subscribe),
            Command::Unsubscribe => Some(&self.unsubscribe),
            _ => None,
        }
    }
}

/// Returns true if fallbacks apply to the command. A client may always unsubscribe, so `UNSUBSCRIBE` needs no fallback.
fn has_fallback(command: Command) -> bool {
    matches!(command, Command::Send | Command::Subscribe)
}

fn set_once(slot: &mut Option<Entry>, entry: Entry) -> Result<(), Problem> {
    match slot {
        Some(other) => Err(Problem::Conflict((*other.declaration).clone())),
        None => {
            *slot = Some(entry);
            Ok(())
        }
    }
}

fn insert(tree: &mut PatternTree<Entry>, entry: Entry) -> Result<(), Problem> {
    let pattern = entry.declaration.pattern.clone();
    tree.insert(&pattern, entry)
        .map_err(|error| problem(tree, error))
}

fn problem(tree: &PatternTree<Entry>, error: InsertError) -> Problem {
    match error {
        InsertError::Malformed(reason) => Problem::MalformedPattern(reason),
        InsertError::Conflict(number) => match tree.numbered(number) {
            Some(other) => Problem::Conflict((*other.declaration).clone()),
            None => Problem::MalformedPattern("it conflicts with another pattern".to_owned()),
        },
    }
}
