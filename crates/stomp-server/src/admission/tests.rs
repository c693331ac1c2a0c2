//! Compares random admissions with a model.

#![allow(clippy::unwrap_used, reason = "a failing helper fails the test")]

use super::*;
use stomp_testing::{Rng, seeded};

/// A connection of the model, with the receiver that notices its displacement.
struct Held {
    key: Key,
    network: Network,
    stage: Stage,
    is_idle: bool,
    revoked: oneshot::Receiver<()>,
}

const MAX_CONNECTIONS: usize = 12;
const MAX_UNAUTHENTICATED: usize = 6;
const MAX_HTTP: usize = 4;
const MAX_PER_ADDRESS: usize = 7;

fn limits() -> ConnectionLimits {
    ConnectionLimits::default()
        .max_connections(MAX_CONNECTIONS)
        .max_unauthenticated(MAX_UNAUTHENTICATED)
        .max_http(MAX_HTTP)
        .max_per_address(MAX_PER_ADDRESS)
}

fn network(rng: &mut Rng) -> Network {
    // The first address connects most often.
    let last = rng.u8(0..6).saturating_sub(2);
    (last > 0).then(|| IpAddr::from([192, 0, 2, last]))
}

fn address(network: Network) -> Option<SocketAddr> {
    network.map(|network| SocketAddr::new(network, 50_000))
}

fn count(held: &[Held], stage: Stage, network: Option<Network>) -> usize {
    let counts =
        |held: &&Held| held.stage == stage && network.is_none_or(|network| held.network == network);
    held.iter().filter(counts).count()
}

/// Removes displaced connections from the model. Each must have been of the network that held most, or idle.
fn forget_displaced(held: &mut Vec<Held>, newcomer: Network) {
    let displaced = held.iter_mut().position(|held| {
        matches!(
            held.revoked.try_recv(),
            Err(oneshot::error::TryRecvError::Closed)
        ) && held.stage != Stage::Authenticated
    });
    let Some(displaced) = displaced else { return };
    let victim = held.get(displaced).unwrap();
    let (stage, network) = (victim.stage, victim.network);
    if !victim.is_idle {
        let most = count(held, stage, Some(network));
        assert!(
            held.iter()
                .all(|other| count(held, stage, Some(other.network)) <= most)
        );
        assert!(count(held, stage, Some(newcomer)) < most);
    }
    held.remove(displaced);
}

fn check(state: &State, held: &[Held]) {
    let counts = state.counts();
    assert_eq!(counts.open, held.len());
    assert_eq!(
        counts.unauthenticated,
        count(held, Stage::Unauthenticated, None)
    );
    assert_eq!(counts.http, count(held, Stage::Http, None));
    assert_eq!(
        state.idle.len(),
        held.iter().filter(|held| held.is_idle).count()
    );
    assert!(counts.open <= MAX_CONNECTIONS && counts.http <= MAX_HTTP);
    assert!(counts.unauthenticated <= MAX_UNAUTHENTICATED);
    for (network, of_network) in &state.by_network {
        let all = held
            .iter()
            .filter(|held| held.network == Some(*network))
            .count();
        assert_eq!(*of_network, all);
        assert!(all <= MAX_PER_ADDRESS);
    }
}

#[tokio::test(start_paused = true)]
async fn random_connections_stay_within_all_limits_and_displace_only_the_largest_holder() {
    let mut rng = seeded(1);
    let (mut state, mut held) = (State::new(limits()), Vec::<Held>::new());
    for _ in 0..20_000 {
        if rng.u8(0..4) == 0 {
            tokio::time::advance(PATIENCE / 3).await;
        }
        let chosen = (!held.is_empty()).then(|| rng.usize(0..held.len()));
        match (rng.u8(0..8), chosen) {
            (0..3, _) | (_, None) => {
                let network = network(&mut rng);
                let (revoke, revoked) = oneshot::channel();
                if let Ok((key, displaced)) = state.admit(address(network), false, revoke) {
                    drop(displaced);
                    forget_displaced(&mut held, network);
                    let stage = Stage::Unauthenticated;
                    held.push(Held {
                        key,
                        network,
                        stage,
                        is_idle: false,
                        revoked,
                    });
                }
            }
            (3..6, Some(chosen)) => {
                let stages = [Stage::Http, Stage::Unauthenticated, Stage::Authenticated];
                let mut moving = held.swap_remove(chosen);
                let stage = *rng.choice(&stages).unwrap();
                if moving.stage == Stage::Authenticated {
                    held.push(moving);
                    continue;
                }
                moving.is_idle = false;
                if let Ok(displaced) = state.relocate(moving.key, stage, address(moving.network)) {
                    drop(displaced);
                    forget_displaced(&mut held, moving.network);
                    moving.stage = stage;
                }
                held.push(moving);
            }
            (6, Some(chosen)) => {
                let chosen = held.get_mut(chosen).unwrap();
                if chosen.stage == Stage::Http && !chosen.is_idle {
                    chosen.is_idle = true;
                    state.end_request(chosen.key);
                }
            }
            (_, Some(chosen)) => {
                let left = held.swap_remove(chosen);
                assert!(state.remove(left.key).is_some());
                assert!(state.remove(left.key).is_none());
            }
        }
        check(&state, &held);
    }
    let counts = state.counts();
    assert!(counts.displaced > 100 && counts.refused > 100, "{counts:?}");
}
