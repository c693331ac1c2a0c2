//! The command line, and how long it asks to measure.

use std::{io, time::Duration};

pub(crate) struct Options {
    /// Fewer, shorter rounds, and only the two loads.
    pub(crate) quick: bool,
    /// The socket alone, not the app.
    pub(crate) socket: bool,
    /// The floor against itself: how far from 1.00 is noise on this machine.
    pub(crate) noise: bool,
    pub(crate) plan: Plan,
}

pub(crate) struct Plan {
    pub(crate) rounds: usize,
    pub(crate) warm_up: Duration,
    pub(crate) interval: Duration,
}

impl Options {
    pub(crate) fn parse() -> io::Result<Self> {
        let (mut quick, mut noise, mut socket) = (false, false, false);
        for argument in std::env::args().skip(1) {
            match argument.as_str() {
                "--quick" => quick = true,
                "--noise" => noise = true,
                "socket" => socket = true,
                _ => {
                    return Err(io::Error::other(
                        "usage: bench [socket] [--quick] [--noise]",
                    ));
                }
            }
        }
        let plan = if quick { Plan::QUICK } else { Plan::FULL };
        Ok(Self {
            quick,
            socket,
            noise,
            plan,
        })
    }
}

impl Plan {
    const QUICK: Self = Self {
        rounds: 3,
        warm_up: Duration::from_millis(300),
        interval: Duration::from_secs(1),
    };
    const FULL: Self = Self {
        rounds: 7,
        warm_up: Duration::from_millis(500),
        interval: Duration::from_secs(3),
    };
}
