//! The task that delivers the messages of a hub.

use super::{core::Core, intake::PumpPlace};
use crate::mailbox::lag::LagCheck;
use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::Arc,
    task::{Poll, ready},
    time::Duration,
};
use tokio::{
    runtime::Handle,
    task::yield_now,
    time::{Instant, sleep},
};

/// The delivery of the messages of a hub, until none waits.
///
/// A hub has at most one pump on each runtime, and usually only one. Several pumps take turns: the state of the round is
/// in the hub, and each step happens under its lock. So a runtime that nobody drives, or that is busy, does not stop the
/// messages that tasks of another one publish.
pub(super) struct Pump {
    /// `None` after the hub was left to the next pump.
    hub: Option<Arc<Core>>,
    place: PumpPlace,
}

impl Pump {
    /// Delivers the messages of a hub, unless a pump of this runtime does so already: here, if it has few members or there
    /// is no runtime, and in a task otherwise.
    ///
    /// The caller holds no lock: this may wake tasks.
    pub(super) fn start(hub: Arc<Core>) {
        let runtime = Handle::try_current().ok();
        let place = runtime.as_ref().map(Handle::id);
        if !hub.start_pump(place) {
            return;
        }
        let mut pump = Pump {
            hub: Some(hub),
            place,
        };
        if pump.serve_few() {
            return;
        }
        if let Some(runtime) = runtime {
            runtime.spawn(pump.run());
        }
    }

    /// Delivers all messages, if the hub has few members. Returns true if none waits then.
    fn serve_few(&mut self) -> bool {
        let Some(hub) = &self.hub else {
            return true;
        };
        if hub.serve_few(self.place) {
            self.hub = None;
        }
        self.hub.is_none()
    }

    async fn run(mut self) {
        while let Some(hub) = &self.hub {
            // Before each step, because another pump may have ended the round.
            if let Some(patience) = hub.patience() {
                wait_for_laggards(hub, patience).await;
            }
            match hub.next_step() {
                // Other tasks that are ready, and those that the runtime finds ready then, run before the next members
                // are woken. Their publications join the next step.
                Some(false) => yield_now().await,
                // First the subscribers write. Then the publishers, which were woken by their peers meanwhile, add what
                // they have: a single pause would end before that, because the runtime runs the task that was woken
                // last first. So the next round would find only a part of their messages.
                Some(true) => {
                    yield_now().await;
                    yield_now().await;
                }
                None => {
                    if hub.stop_if_empty(self.place) {
                        self.hub = None;
                    }
                }
            }
        }
    }
}

/// Waits until no member exceeds its bounds, or until the time is over and those that do are disconnected.
async fn wait_for_laggards(hub: &Core, patience: Duration) {
    let mut end = pin!(sleep(patience));
    poll_fn(|cx| {
        loop {
            let check = LagCheck {
                now: Instant::now(),
                patience,
                waker: cx.waker(),
            };
            let Some(first_end) = hub.check_laggards(check) else {
                return Poll::Ready(());
            };
            if end.deadline() != first_end {
                end.as_mut().reset(first_end);
            }
            ready!(end.as_mut().poll(cx));
        }
    })
    .await;
}

impl Drop for Pump {
    /// Delivers the remaining messages, because there is no runtime, or it has ended and drops the task.
    fn drop(&mut self) {
        if let Some(hub) = self.hub.take() {
            hub.deliver_all();
            while !hub.stop_if_empty(self.place) {
                hub.deliver_all();
            }
        }
    }
}
