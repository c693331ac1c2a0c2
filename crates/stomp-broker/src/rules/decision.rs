//! The decision about one request.

use super::{Action, Rules, pattern::Overlap, who::Predicate};
use crate::syntax::{self, prefix};
use stomp_session::{ClientError, Destination, Principal, Request};

impl Rules {
    /// Decides if a client may do something at a destination.
    ///
    /// The destination must come from the [`destination_syntax`](crate::destination_syntax). `request` is the argument
    /// of the functions given to [`Who::when`](crate::Who::when).
    ///
    /// # Errors
    ///
    /// With the code `forbidden`, or `login-required` if the client has no principal and the answer could be different
    /// with one. With the code `bad-destination` if another syntax parsed the destination, and the broker's would parse
    /// it differently. Rules that are not [valid](Rules::validate) refuse everything.
    pub fn check(
        &self,
        action: Action,
        destination: &Destination,
        principal: Option<&Principal>,
        request: &Request,
    ) -> Result<(), ClientError> {
        // Patterns compare segments. They would miss a destination whose segments are not those that the broker sees.
        if syntax::is_foreign(destination) {
            let name = quoted(destination);
            let text = format!("The destination {name} was not parsed with the broker's syntax.");
            return Err(ClientError::new("bad-destination", text));
        }
        // A public name is permission enough: nobody can guess it, so the client was given it.
        if action == Action::Send && syntax::is_public_temporary(destination) {
            return Ok(());
        }
        self.decide(action, destination, principal, request)
            .map_err(|login_may_help| refusal(action, destination, login_may_help))
    }

    /// Asks the rules in order. A rule that matches only a part of a client's pattern does not end the search, but all
    /// rules up to the one that contains the pattern must allow it.
    ///
    /// The error is true if the client has no principal, and with one the answer could be different.
    fn decide(
        &self,
        action: Action,
        destination: &Destination,
        principal: Option<&Principal>,
        request: &Request,
    ) -> Result<(), bool> {
        if self.invalid.is_some() {
            return Err(false);
        }
        let mut login_may_help = false;
        for rule in self.rules.iter().filter(|rule| rule.action == action) {
            let overlap = rule.pattern.overlap(destination, principal);
            // A predicate cannot answer for a part of a pattern, since it would be asked about the whole.
            let ask = |predicate: &Predicate| {
                overlap == Overlap::Whole && predicate.call(request, destination)
            };
            match overlap {
                Overlap::Nothing => {}
                Overlap::NeedsPrincipal => login_may_help |= rule.who.depends_on_login(),
                Overlap::Part if rule.who.includes(principal, &ask) => {}
                Overlap::Whole if rule.who.includes(principal, &ask) => return Ok(()),
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

/// The destination as the client wrote it, in quotes, with escapes and at most 80 characters. The public name of a
/// temporary queue is a secret, and error texts may be logged.
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
