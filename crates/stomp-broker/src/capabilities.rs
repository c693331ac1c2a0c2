//! The parts of a broker that an engine supports, and the errors for the rest.

use crate::{Address, Publication, Retain, Scope, SubscribeRequest};
use stomp_session::ClientError;

/// Defines the flags, and a setter by value for each.
macro_rules! capabilities {
    ($($(#[$doc:meta])* $flag:ident,)*) => {
        /// The parts of a broker that an [engine](crate::Engine) supports.
        ///
        /// A broker refuses everything else with the error `not-supported`, which names the header or the destination:
        /// nothing that a client asks for is ignored. All engines support topics.
        ///
        /// ```
        /// use stomp_broker::Capabilities;
        ///
        /// let capabilities = Capabilities::none().patterns(true).queues(true);
        /// assert!(capabilities.queues && !capabilities.transactions);
        /// ```
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        #[non_exhaustive]
        pub struct Capabilities {
            $($(#[$doc])* pub $flag: bool,)*
        }

        impl Capabilities {
            /// Topics only. The same as the default.
            #[must_use]
            pub fn none() -> Capabilities {
                Capabilities::default()
            }

            /// Everything.
            #[must_use]
            pub fn all() -> Capabilities {
                Capabilities { $($flag: true,)* }
            }

            $(
                #[doc = concat!("Sets [`Capabilities::", stringify!($flag), "`].")]
                #[must_use]
                pub fn $flag(mut self, is_supported: bool) -> Capabilities {
                    self.$flag = is_supported;
                    self
                }
            )*
        }
    };
}

capabilities! {
    /// Queues: `/queue/…`.
    queues,
    /// `SEND`s in transactions, by [`Engine::begin`](crate::Engine::begin).
    transactions,
    /// Retained messages of topics: [`Publication::retain`].
    retained,
    /// Expiry: [`Publication::expires`].
    expiry,
    /// Subscriptions to patterns of topics.
    patterns,
    /// Topics of principals: `/user/…`.
    user_destinations,
    /// Queues of sessions: `/temp-queue/…`, also in the header `reply-to`.
    temporary_queues,
    /// Messages that a queue gives up become dead letters in another queue.
    dead_letters,
    /// A queue gives a message up after a number of deliveries without an acknowledgment.
    delivery_attempts,
    /// Queues are bounded: a full one refuses messages with `queue-full`, or gives up its oldest.
    queue_bounds,
    /// Queues with a single consumer: [`SubscribeRequest::exclusive`].
    exclusive,
    /// Subscriptions that survive their sessions: [`SubscribeRequest::durable`].
    durable,
    /// [`declare`](crate::Engine::declare), [`purge`](crate::Engine::purge), [`delete`](crate::Engine::delete) and
    /// [`browse`](crate::Engine::browse) for queues.
    administration,
}

/// The header that selects messages by an expression. No engine gets it, since no broker evaluates it.
const SELECTOR: &str = "selector";

impl Capabilities {
    /// Checks that the engine has destinations of this kind.
    pub(crate) fn check_address(self, address: &Address) -> Result<(), ClientError> {
        let (is_supported, kind) = match address.scope() {
            Scope::Topic => (true, "topics"),
            Scope::Queue => (self.queues, "queues (/queue/…)"),
            Scope::User(_) => (self.user_destinations, "destinations of users (/user/…)"),
            Scope::Temporary => (self.temporary_queues, "temporary queues (/temp-queue/…)"),
        };
        if !is_supported {
            return Err(not_supported(kind));
        }
        if !self.patterns && address.is_pattern() {
            let text = address.to_string();
            return Err(not_supported(&format!("patterns such as {text:?}")));
        }
        Ok(())
    }

    /// Checks that the engine can publish in this way.
    pub(crate) fn check_publication(
        self,
        to: &Address,
        publication: &Publication,
    ) -> Result<(), ClientError> {
        self.check_address(to)?;
        if publication.retain != Retain::Nothing {
            if !self.retained {
                return Err(not_supported("the header retain"));
            }
            if to.is_queue() {
                return Err(not_supported("the header retain for queues"));
            }
        }
        if publication.expires.is_some() && !self.expiry {
            return Err(not_supported("the header expires"));
        }
        Ok(())
    }

    /// Checks that the engine has queues, and administers them.
    pub(crate) fn check_administration(self, queue: &Address) -> Result<(), ClientError> {
        self.check_address(queue)?;
        if self.administration {
            Ok(())
        } else {
            Err(not_supported("the administration of queues"))
        }
    }

    /// Checks that the engine has transactions.
    pub(crate) fn check_transaction(self) -> Result<(), ClientError> {
        if self.transactions {
            Ok(())
        } else {
            Err(not_supported("SEND in a transaction"))
        }
    }

    /// Checks that the engine has temporary queues, for the header `reply-to`.
    pub(crate) fn check_reply_to(self) -> Result<(), ClientError> {
        if self.temporary_queues {
            Ok(())
        } else {
            Err(not_supported(
                "the header reply-to with a temporary queue (/temp-queue/…)",
            ))
        }
    }

    /// Checks that the engine can subscribe in this way.
    pub(crate) fn check_subscription(self, request: &SubscribeRequest) -> Result<(), ClientError> {
        self.check_address(&request.address)?;
        if request.durable && !self.durable {
            return Err(not_supported("the header durable:true"));
        }
        if request.exclusive && !self.exclusive {
            return Err(not_supported("the header exclusive:true"));
        }
        if request.headers.contains(SELECTOR) {
            return Err(not_supported("the header selector"));
        }
        Ok(())
    }
}

/// Creates the error `not-supported`. `what` names the header or the kind of destination.
pub(crate) fn not_supported(what: &str) -> ClientError {
    let text = format!("This broker does not support {what}.");
    ClientError::new("not-supported", text)
}
