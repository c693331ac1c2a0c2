//! The parts of a broker that an engine supports, and the errors for all others.

use crate::{Address, Publication, Retain, Scope, SubscribeRequest};
use stomp_session::ClientError;

/// Defines [`Capabilities`] with these flags, and a setter for each.
macro_rules! capabilities {
    ($($(#[$doc:meta])* $flag:ident,)*) => {
        /// The parts of a broker that an [engine](crate::Engine) supports.
        ///
        /// All engines support topics. A broker refuses requests that need anything else with the error
        /// `not-supported`, which names the header or the kind of destination. It ignores no header that needs a
        /// capability.
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
            /// Creates the capabilities of an engine that supports only topics. This is the default.
            #[must_use]
            pub fn none() -> Capabilities {
                Capabilities::default()
            }

            /// Creates the capabilities of an engine that supports everything.
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
    /// `SEND` in transactions: [`Engine::begin`](crate::Engine::begin).
    transactions,
    /// Retained messages of topics: [`Publication::retain`].
    retained,
    /// Expiry of messages: [`Publication::expires`].
    expiry,
    /// Subscriptions to patterns of topics.
    patterns,
    /// Topics of principals: `/user/…`.
    user_destinations,
    /// Temporary queues of sessions: `/temp-queue/…`, also in the header `reply-to`.
    temporary_queues,
    /// Dead letters: messages that a queue gives up move to another queue.
    dead_letters,
    /// Limited delivery attempts: a queue gives up a message after a number of refusals, or after a number of abandoned
    /// deliveries. Each kind is counted and bounded on its own.
    delivery_attempts,
    /// Delays before a message that was refused more than once is delivered again.
    redelivery_delay,
    /// Bounded queues: a full queue refuses messages with `queue-full`, or gives up its oldest messages.
    queue_bounds,
    /// Queues with a single consumer: [`SubscribeRequest::exclusive`].
    exclusive,
    /// Queues that are removed with their last consumer: [`SubscribeRequest::auto_delete`].
    auto_delete,
    /// Subscriptions that survive their sessions: [`SubscribeRequest::durable`].
    durable,
    /// [`declare`](crate::Engine::declare), [`purge`](crate::Engine::purge), [`delete`](crate::Engine::delete) and
    /// [`browse`](crate::Engine::browse) for queues.
    administration,
}

impl Capabilities {
    /// Checks that the engine supports destinations of this kind.
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

    /// Checks that the engine supports the destination, the retained message and the expiry of a publication.
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

    /// Checks that the engine supports queues and their administration.
    pub(crate) fn check_administration(self, queue: &Address) -> Result<(), ClientError> {
        self.check_address(queue)?;
        if self.administration {
            Ok(())
        } else {
            Err(not_supported("the administration of queues"))
        }
    }

    /// Checks that the engine supports transactions.
    pub(crate) fn check_transaction(self) -> Result<(), ClientError> {
        if self.transactions {
            Ok(())
        } else {
            Err(not_supported("SEND in a transaction"))
        }
    }

    /// Checks that the engine supports temporary queues, for the header `reply-to`.
    pub(crate) fn check_reply_to(self) -> Result<(), ClientError> {
        if self.temporary_queues {
            Ok(())
        } else {
            Err(not_supported(
                "the header reply-to with a temporary queue (/temp-queue/…)",
            ))
        }
    }

    /// Checks that the engine supports everything that a subscription asks for.
    pub(crate) fn check_subscription(self, request: &SubscribeRequest) -> Result<(), ClientError> {
        self.check_address(&request.address)?;
        if request.durable && !self.durable {
            return Err(not_supported("the header durable:true"));
        }
        if request.exclusive && !self.exclusive {
            return Err(not_supported("the header exclusive:true"));
        }
        if request.exclusive && !request.address.is_queue() {
            return Err(not_supported("the header exclusive:true for topics"));
        }
        if request.auto_delete && !self.auto_delete {
            return Err(not_supported("the header auto-delete:true"));
        }
        Ok(())
    }
}

/// Creates the error `not-supported`. `what` names what is not supported, such as a header or a kind of destination.
pub(crate) fn not_supported(what: &str) -> ClientError {
    let text = format!("This broker does not support {what}.");
    ClientError::new("not-supported", text)
}
