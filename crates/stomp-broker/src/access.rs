//! The decisions about the requests of a client: where it may send and subscribe, and where its replies go.

use crate::{
    Action, Address, Scope,
    broker::{Shared, not_found, shared_address},
    capabilities::not_supported,
    permission::SendPermission,
    reply_queue::ReplyQueue,
    syntax::{self, prefix},
    temporary_names::{self, NameInUse},
};
use stomp_session::{BoxError, ClientError, Destination, Request};

impl Shared {
    /// Checks that the client of a `SEND` may send to its destination, and that the engine supports the destination.
    pub(crate) fn authorize_send(&self, request: &Request) -> Result<SendPermission, BoxError> {
        let destination = read_destination(request)?;
        let is_decided_for_ever =
            self.config
                .rules
                .check_send(&destination, request.principal(), request)?;
        let to = address_to_send(destination.clone(), request)?;
        to.check_for_sending(&self.config)?;
        self.capabilities.check_address(&to)?;
        let is_lasting = is_decided_for_ever && *to.scope() != Scope::Temporary;
        Ok(SendPermission::new(request, destination, to, is_lasting))
    }

    /// Returns the address to which the client of a `SUBSCRIBE` may subscribe. For a temporary queue, also returns its
    /// name, which the session uses as long as the subscription exists.
    pub(crate) fn authorize_subscribe(
        &self,
        request: &Request,
    ) -> Result<(Address, Option<NameInUse>), BoxError> {
        let destination = read_destination(request)?;
        // This comes first, so that a public name is created only for a client that may use it.
        self.check_rules(Action::Subscribe, &destination, request)?;
        if let Some(local_name) = local_name(&destination) {
            let max = self.config.max_temporary_queues;
            let name = temporary_names::subscribed(local_name, request.session(), max)?;
            return Ok((Address::temporary(name.public_name()), Some(name)));
        }
        Ok((common_address(destination, request)?, None))
    }

    /// Returns the address that the client of a request names in its header `reply-to`. It is one of these: a temporary
    /// queue of its session, to which it may subscribe; the public name of any temporary queue, which it knows only if
    /// it was given the name; or a destination to which it may send.
    ///
    /// Otherwise, a service that answers the request would write, with its own rights, where the client may not.
    ///
    /// Also returns the queue, if it is a temporary one to which the session has no subscription.
    ///
    /// # Errors
    ///
    /// Returns an error that names the header.
    pub(crate) fn authorize_reply_to(
        &self,
        value: &str,
        request: &Request,
    ) -> Result<(Address, Option<ReplyQueue>), BoxError> {
        let parsed = syntax::shared_syntax().parse(value.to_owned());
        let destination = parsed.map_err(|invalid| refused_reply_to(&invalid.into()))?;
        let local_name =
            local_name(&destination).filter(|_| !syntax::is_public_temporary(&destination));
        if let Some(local_name) = local_name {
            self.capabilities.check_reply_to()?;
            self.check_rules(Action::Subscribe, &destination, request)
                .map_err(|error| refused_reply_to(&error))?;
            let max = self.config.max_temporary_queues;
            let (name, unsubscribed) =
                temporary_names::promised(local_name, request.session(), max)?;
            let queue = unsubscribed.map(|name| ReplyQueue { name, destination });
            return Ok((Address::temporary(name), queue));
        }
        self.check_rules(Action::Send, &destination, request)
            .map_err(|error| refused_reply_to(&error))?;
        let to = address_to_send(destination, request)?;
        to.check_for_sending(&self.config)
            .map_err(|error| refused_reply_to(&error))?;
        Ok((to, None))
    }

    /// Returns the text of a checked `reply-to` for the receivers of the message.
    ///
    /// # Errors
    ///
    /// As [`authorize_reply_to`](Shared::authorize_reply_to). Also returns `not-supported` for a destination below
    /// `/user/`, which would be another one for each receiver.
    pub(crate) fn reply_to_for_receivers(
        &self,
        value: &str,
        request: &Request,
    ) -> Result<(String, Option<ReplyQueue>), BoxError> {
        let (to, queue) = self.authorize_reply_to(value, request)?;
        match to.scope() {
            Scope::User(_) => Err(not_supported(
                "the header reply-to with a destination of a user (/user/…)",
            )
            .into()),
            // For a temporary queue, it contains the public name.
            _ => Ok((to.to_string(), queue)),
        }
    }

    fn check_rules(
        &self,
        action: Action,
        destination: &Destination,
        request: &Request,
    ) -> Result<(), ClientError> {
        self.config
            .rules
            .check(action, destination, request.principal(), request)
    }
}

/// Returns the destination of a request, in memory that it does not share with the frame.
///
/// Routers, policies and layers in front of the broker have decided about the destination that the session parsed. The
/// broker must not read another one from the same text, so the rules refuse what another syntax has parsed differently.
fn read_destination(request: &Request) -> Result<Destination, ClientError> {
    let destination = request.destination();
    if !syntax::has_prefix(destination) {
        return Err(not_found(destination));
    }
    Ok(destination.copied())
}

/// Returns the address of a destination to which the rules let the client of a request send.
fn address_to_send(destination: Destination, request: &Request) -> Result<Address, BoxError> {
    if syntax::is_public_temporary(&destination) {
        return Ok(Address::new(Scope::Temporary, destination));
    }
    if let Some(local_name) = local_name(&destination) {
        let name = temporary_names::existing(local_name, request.session())?;
        return Ok(Address::temporary(name));
    }
    common_address(destination, request)
}

/// Returns the address of a destination that is no temporary queue. `/user/…` belongs to the principal of the client.
fn common_address(destination: Destination, request: &Request) -> Result<Address, BoxError> {
    if !destination.canonical().starts_with(prefix::USER) {
        return Ok(shared_address(destination)?);
    }
    let Some(principal) = request.principal() else {
        let text = format!(
            "The destination {:?} needs a login, since it belongs to a user.",
            destination.as_str()
        );
        return Err(ClientError::new("login-required", text).into());
    };
    Ok(Address::new(Scope::User(principal.clone()), destination))
}

/// Returns the name of a temporary queue: the canonical text below the prefix.
fn local_name(destination: &Destination) -> Option<&str> {
    destination.canonical().strip_prefix(prefix::TEMPORARY)
}

/// Returns the error about a destination, with the name of the header that contains it.
fn refused_reply_to(error: &ClientError) -> ClientError {
    let text = format!("The header reply-to is refused. {}", error.text());
    ClientError::new(error.code().to_owned(), text)
}
