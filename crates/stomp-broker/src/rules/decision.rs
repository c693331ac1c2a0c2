//! The decision about one request.

use super::{Action, Rules, pattern::Overlap, who::Predicate};
use crate::syntax::{self, prefix};
use std::cell::Cell;
use stomp_session::{ClientError, Destination, Principal, Request};

impl Rules {
    /// Checks that a client may send or subscribe to a destination.
    ///
    /// The [`destination_syntax`](crate::destination_syntax) must have parsed the destination. `request` is passed to
    /// the functions of [`Who::when`](crate::Who::when).
    ///
    /// # Errors
    ///
    /// Returns the error `forbidden` if the rules refuse the client. If the client has no principal, and might be
    /// allowed with one, the error is `login-required`. If another syntax parsed the destination, and the broker's
    /// would parse it differently, the error is `bad-destination`.
    ///
    /// Rules with an invalid pattern allow nothing, except sending to the public name of a temporary queue.
    pub fn check(
        &self,
        action: Action,
        destination: &Destination,
        principal: Option<&Principal>,
        request: &Request,
    ) -> Result<(), ClientError> {
        self.check_and_tell(action, destination, principal, request)
            .map(drop)
    }

    /// Checks that a client may send to a destination, like [`check`](Rules::check). Returns true if the answer can never
    /// change for this client: no function of a [`Who::when`](crate::Who::when) was asked.
    pub(crate) fn check_send(
        &self,
        destination: &Destination,
        principal: Option<&Principal>,
        request: &Request,
    ) -> Result<bool, ClientError> {
        self.check_and_tell(Action::Send, destination, principal, request)
    }

    /// Checks that the rules allow an action. Returns true if they did so without a function of the application.
    fn check_and_tell(
        &self,
        action: Action,
        destination: &Destination,
        principal: Option<&Principal>,
        request: &Request,
    ) -> Result<bool, ClientError> {
        // Patterns compare segments. They would miss a destination whose segments are not those that the broker sees.
        if syntax::is_foreign(destination) {
            let name = quoted(destination);
            let text = format!(
                "The destination {name} was not parsed with the broker's syntax (Config::destinations of the session)."
            );
            return Err(ClientError::new("bad-destination", text));
        }
        // Nobody can guess a public name. A client that knows one has received it, and so may send to it.
        if action == Action::Send && syntax::is_public_temporary(destination) {
            return Ok(true);
        }
        self.decide(action, destination, principal, request)
            .map_err(|login_may_help| refusal(action, destination, login_may_help))
    }

    /// Asks the rules in order. If a rule matches only a part of a client's pattern, the search goes on. The pattern is
    /// allowed if a later rule matches the whole, and all matching rules up to that rule allow the client.
    ///
    /// Returns true if no predicate was asked. The error is true if the client has no principal, and might be allowed with
    /// one.
    fn decide(
        &self,
        action: Action,
        destination: &Destination,
        principal: Option<&Principal>,
        request: &Request,
    ) -> Result<bool, bool> {
        if self.invalid.is_some() {
            return Err(false);
        }
        let mut login_may_help = false;
        let is_predicate_asked = Cell::new(false);
        for rule in self.rules.iter().filter(|rule| rule.action == action) {
            let overlap = rule.pattern.overlap(destination, principal);
            // A predicate always answers for a whole pattern. So it is not called if its rule matches only a part.
            let ask = |predicate: &Predicate| {
                is_predicate_asked.set(true);
                overlap == Overlap::Whole && predicate.call(request, destination)
            };
            match overlap {
                Overlap::Nothing => {}
                Overlap::NeedsPrincipal => login_may_help |= rule.who.depends_on_login(),
                Overlap::Part if rule.who.includes(principal, &ask) => {}
                Overlap::Whole if rule.who.includes(principal, &ask) => {
                    return Ok(!is_predicate_asked.get());
                }
                Overlap::Part | Overlap::Whole => {
                    login_may_help |= principal.is_none() && rule.who.depends_on_login();
                    break;
                }
            }
        }
        Err(login_may_help)
    }
}

fn refusal(action: Action, destination: &Destination, login_may_help: bool) -> ClientError {
    let name = quoted(destination);
    let verb = match action {
        Action::Send => "send",
        Action::Subscribe => "subscribe",
    };
    let (code, text) = if login_may_help {
        let text = format!("This client must log in to {verb} to {name}.");
        ("login-required", text)
    } else if destination.is_pattern() {
        let text =
            format!("The pattern {name} covers destinations to which this client may not {verb}.");
        ("forbidden", text)
    } else {
        let text = format!("This client may not {verb} to {name}.");
        ("forbidden", text)
    };
    ClientError::new(code, text)
}

/// Returns the destination as the client wrote it, in quotes, with escapes and at most 80 characters. A public name of
/// a temporary queue is left out, because it is a secret and error texts may be logged.
fn quoted(destination: &Destination) -> String {
    if syntax::is_public_temporary(destination) {
        return format!("below {:?}", prefix::TEMPORARY);
    }
    let text = destination.as_str();
    let cut = text.char_indices().nth(80);
    match cut.and_then(|(end, _)| text.get(..end)) {
        Some(start) => format!("{:?}", format!("{start}…")),
        None => format!("{text:?}"),
    }
}
