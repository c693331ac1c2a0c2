//! The command line, and the duration of the measurements.

use std::{io, time::Duration};

pub(crate) struct Options {
    /// True to measure fewer and shorter rounds, and only throughput.
    pub(crate) quick: bool,
    /// True to measure the socket alone instead of the app.
    pub(crate) socket: bool,
    /// True to compare the baseline with itself, which shows the noise of this machine.
    pub(crate) noise: bool,
    pub(crate) plan: Plan,
}

/// The number of rounds of a load, and their duration.
pub(crate) struct Plan {
    pub(crate) rounds: usize,
    pub(crate) warm_up: Duration,
    pub(crate) interval: Duration,
}

impl Options {
    pub(crate) fn parse() -> io::Result<Options> {
        let (mut quick, mut noise, mut socket) = (false, false, false);
        for argument in std::env::args().skip(1) {
            match argument.as_str() {
                "--quick" => quick = true,
                "--noise" => noise = true,
                "socket" => socket = true,
                _ => {
                    return Err(io::Error::other(
                        "usage: webstomp-bench [socket] [--quick] [--noise]",
                    ));
                }
            }
        }
        let plan = if quick { Plan::QUICK } else { Plan::FULL };
        Ok(Options {
            quick,
            socket,
            noise,
            plan,
        })
    }
}

impl Plan {
    const QUICK: Plan = Plan {
        rounds: 3,
        warm_up: Duration::from_millis(300),
        interval: Duration::from_secs(1),
    };
    const FULL: Plan = Plan {
        rounds: 7,
        warm_up: Duration::from_millis(500),
        interval: Duration::from_secs(3),
    };
}
