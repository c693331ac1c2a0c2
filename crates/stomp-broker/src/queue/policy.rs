//! The policies of queues, made from their settings.

use super::message::QueuedMessage;
use crate::{
    Address, MemoryConfig, QueueOverflow, QueueSettings, Scope, queue_settings::queue_pattern,
};
use std::{collections::BTreeSet, sync::Arc, time::Duration};
use stomp_session::ClientError;

/// The policy of one queue, made from its [`QueueSettings`].
#[derive(Debug, Clone)]
pub(super) struct Policy {
    pub(super) max_messages: usize,
    pub(super) max_bytes: usize,
    pub(super) overflow: QueueOverflow,
    max_delivery_attempts: u32,
    max_abandoned_deliveries: u32,
    redelivery_delay: Duration,
    max_redelivery_delay: Duration,
    pub(super) dead_letter_queue: Option<Address>,
    pub(super) time_to_live: Option<Duration>,
}

impl Policy {
    fn new(settings: &QueueSettings) -> Policy {
        let dead_letter_queue = settings.dead_letter_queue.as_deref();
        Policy {
            max_messages: settings.max_messages,
            max_bytes: settings.max_bytes,
            overflow: settings.overflow,
            max_delivery_attempts: settings.max_delivery_attempts,
            max_abandoned_deliveries: settings.max_abandoned_deliveries,
            redelivery_delay: settings.redelivery_delay,
            max_redelivery_delay: settings.max_redelivery_delay,
            dead_letter_queue: dead_letter_queue
                .and_then(queue_pattern)
                .map(|queue| Address::new(Scope::Queue, queue)),
            time_to_live: settings.time_to_live,
        }
    }

    /// Returns the reason for which the queue gives a message up that was not acknowledged. `None` if it keeps it.
    pub(super) fn reason_to_give_up(&self, message: &QueuedMessage) -> Option<&'static str> {
        if message.refusals >= self.max_delivery_attempts {
            Some("rejected")
        } else if message.losses >= self.max_abandoned_deliveries {
            Some("abandoned")
        } else {
            None
        }
    }

    /// Returns the delay before the next delivery of a message that was refused so many times. `None` if there is none.
    pub(super) fn redelivery_delay(&self, refusals: u32) -> Option<Duration> {
        let doublings = refusals.checked_sub(2)?;
        let factor = 2u32.checked_pow(doublings).unwrap_or(u32::MAX);
        let delay = self.redelivery_delay.saturating_mul(factor);
        Some(delay.min(self.max_redelivery_delay)).filter(|delay| !delay.is_zero())
    }

    /// Creates the error `queue-full` for a queue with this policy.
    pub(super) fn full_error(&self, queue: &Address) -> ClientError {
        let Policy {
            max_messages,
            max_bytes,
            ..
        } = self;
        // The name of a temporary queue is a secret, and error texts may be logged.
        let queue = match queue.scope() {
            Scope::Temporary => "The temporary queue".to_owned(),
            _ => format!("The queue {:?}", queue.to_string()),
        };
        let text = format!(
            "{queue} is full: it holds at most {max_messages} messages (max_messages) of {max_bytes} bytes in total \
             (max_bytes)."
        );
        ClientError::new("queue-full", text)
    }
}

/// The policies of all queues.
#[derive(Debug)]
pub(super) struct Policies {
    default: Arc<Policy>,
    /// The policies by pattern. The first pattern that matches decides.
    patterns: Vec<(Address, Arc<Policy>)>,
    /// The dead-letter queues that these policies name.
    dead_letter_queues: BTreeSet<Address>,
}

impl Policies {
    pub(super) fn new(config: &MemoryConfig) -> Policies {
        let default = Arc::new(Policy::new(&config.queues));
        let patterns: Vec<_> = config
            .queue_patterns
            .iter()
            .filter_map(|(pattern, settings)| {
                let pattern = Address::new(Scope::Queue, queue_pattern(pattern)?);
                Some((pattern, Arc::new(Policy::new(settings))))
            })
            .collect();
        let all = patterns.iter().map(|(_, policy)| policy).chain([&default]);
        let dead_letter_queues = all
            .filter_map(|policy| policy.dead_letter_queue.clone())
            .collect();
        Policies {
            default,
            patterns,
            dead_letter_queues,
        }
    }

    /// Returns the policy for a new queue. The cost grows with the number of patterns.
    pub(super) fn of(&self, queue: &Address) -> Arc<Policy> {
        let mut patterns = self.patterns.iter();
        let pattern = patterns.find(|(pattern, _)| pattern.matches(queue));
        let policy = pattern.map_or(&self.default, |(_, policy)| policy);
        if self.is_dead_letter_queue(queue) {
            Arc::new(Policies::of_dead_letters(policy))
        } else {
            Arc::clone(policy)
        }
    }

    /// Returns the policy for a queue that is declared with these settings.
    pub(super) fn declared(&self, queue: &Address, settings: &QueueSettings) -> Arc<Policy> {
        let policy = Policy::new(settings);
        Arc::new(if self.is_dead_letter_queue(queue) {
            Policies::of_dead_letters(&policy)
        } else {
            policy
        })
    }

    pub(super) fn is_dead_letter_queue(&self, queue: &Address) -> bool {
        self.dead_letter_queues.contains(queue)
    }

    /// Changes a policy for a dead-letter queue: if it is full, it drops its oldest messages. So other queues need not
    /// keep the messages that they give up.
    fn of_dead_letters(policy: &Policy) -> Policy {
        Policy {
            overflow: QueueOverflow::DropOldest,
            dead_letter_queue: None,
            ..policy.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_pattern_that_matches_counts() {
        let with = |max| QueueSettings::default().max_messages(max);
        let config = MemoryConfig::default()
            .queues(with(1))
            .queue_pattern("/queue/a.b", with(2))
            .queue_pattern("/queue/a.*", with(3))
            .queue_pattern("/queue/#", with(4));
        let policies = Policies::new(&config);
        let max = |queue: Address| policies.of(&queue).max_messages;
        assert_eq!(max(Address::queue("a.b")), 2);
        assert_eq!(max(Address::queue("a/c")), 3);
        assert_eq!(max(Address::queue("a")), 4);
        assert_eq!(
            max(Address::temporary("a")),
            1,
            "patterns are not for temporary queues"
        );
    }

    #[test]
    fn the_delay_of_a_refused_message_doubles_up_to_its_maximum() {
        let delays = |settings: &QueueSettings| {
            let policy = Policy::new(settings);
            let delay = |refusals| policy.redelivery_delay(refusals);
            [0, 1, 2, 3, 4, 7, 8, 100, u32::MAX]
                .map(|refusals| delay(refusals).map_or(0, |delay| delay.as_millis()))
        };
        let settings = QueueSettings::default();
        assert_eq!(
            delays(&settings),
            [0, 0, 100, 200, 400, 3_200, 5_000, 5_000, 5_000]
        );
        let none = settings.redelivery_delay(Duration::ZERO);
        assert_eq!(delays(&none), [0; 9]);
    }

    #[test]
    fn a_dead_letter_queue_drops_its_oldest_messages_whatever_its_settings() {
        let dead = |name: &str| QueueSettings::default().dead_letter_queue(Some(name.to_owned()));
        let config = MemoryConfig::default()
            .queues(dead("/queue/dead"))
            .queue_pattern("/queue/>", dead("/queue/dead-too"));
        let policies = Policies::new(&config);
        for name in ["dead", "dead-too"] {
            let policy = policies.of(&Address::queue(name));
            assert_eq!(policy.overflow, QueueOverflow::DropOldest);
            assert_eq!(policy.dead_letter_queue, None);
        }
        let policy = policies.of(&Address::queue("a"));
        assert_eq!(policy.overflow, QueueOverflow::Reject);
        assert_eq!(policy.dead_letter_queue, Some(Address::queue("dead-too")));
    }
}
