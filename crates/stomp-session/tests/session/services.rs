//! Services and streams that are slow, busy or greedy, and do not harm peers or each other.

use crate::support::*;
use futures_util::{StreamExt, stream};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::Poll,
    time::Duration,
};
use stomp_frame::Version;
use stomp_session::{Config, Message, Request, Response};
use tokio::time::sleep;
use tower::{limit::ConcurrencyLimit, service_fn};

#[tokio::test(start_paused = true)]
async fn a_stream_that_wakes_itself_does_not_starve_requests() {
    const MAX_POLLS: usize = 1_000_000;
    let polls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&polls);
    let busy = streaming(move |_| {
        let polls = Arc::clone(&counted);
        stream::poll_fn(move |cx| {
            if polls.fetch_add(1, Ordering::Relaxed) == MAX_POLLS {
                return Poll::Ready(None);
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        })
        .boxed()
    });
    let (_session, mut client, _) = start(Config::default(), busy).await;
    client.receipt(subscribe("0", "/a")).await;
    client.receipt(send("/b", "")).await;
    let polls = polls.load(Ordering::Relaxed);
    assert!((1..MAX_POLLS).contains(&polls), "{polls} polls");
}

/// This test uses a real clock, because the memory is measured outside the runtime.
#[test]
fn a_stream_that_wakes_itself_does_not_pile_up_wakes() {
    let mut config = Config::default();
    config.max_outbound_bytes = 16 << 10;
    let greedy = streaming(|_| {
        stream::poll_fn(|cx| {
            cx.waker().wake_by_ref();
            Poll::Ready(Some(Ok(Message::new("again").into())))
        })
        .boxed()
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let mut client = runtime.block_on(async {
        let (_, mut client, _) = start(config, greedy).await;
        client.send(subscribe("0", "/a")).await;
        client
    });
    let mut receive = |count| {
        runtime.block_on(async {
            for _ in 0..count {
                client.expect(Command::Message).await;
            }
        });
    };
    receive(1_000);
    let measured = allocation_counter::measure(|| receive(50_000));
    assert!(measured.bytes_current < 100_000, "{measured:?}");
}

/// A free permit goes to the service that waited first, even if its session no longer polls it.
#[tokio::test(start_paused = true)]
async fn a_session_that_gave_up_waiting_for_the_service_takes_no_concurrency_permit() {
    let slow = service_fn(|request: Request| async move {
        if request.destination().as_str() == "/slow" {
            sleep(Duration::from_secs(5)).await;
        }
        Ok(Response::Done)
    });
    let service = ConcurrencyLimit::new(slow, 1);
    let mut impatient = Config::default();
    impatient.handler_timeout = Duration::from_secs(2);
    let (_, mut first, _) = run(Config::default(), service.clone());
    let (_, mut second, connection) = run(impatient, service.clone());
    let (_, mut third, _) = run(Config::default(), service);
    for client in [&mut first, &mut second, &mut third] {
        client.connect(Version::V1_2).await;
    }
    let receipt = first.request(send("/slow", "")).await;
    settle().await;
    let refused = second.request(send("/a", "")).await;
    first.expect_receipt(&receipt).await;
    third.receipt(send("/a", "")).await;
    let error = second.expect_error("overloaded").await;
    assert_eq!(error.headers.get("receipt-id"), Some(&*refused));
    second.expect_end().await;
    drop(second);
    finished(connection).await;
}
