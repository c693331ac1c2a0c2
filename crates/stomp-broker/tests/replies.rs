//! Replies: where they may go, and how long a temporary queue has its name.

#![allow(
    clippy::unwrap_used,
    reason = "a helper that fails is a test that fails"
)]

mod support;

use futures_util::{FutureExt, StreamExt};
use std::sync::Arc;
use stomp_broker::{Broker, Config, Rules, Who};
use stomp_frame::{Command, Frame};
use stomp_session::{ClientError, Message, MessageStream, Request, Response, Settlement};
use stomp_testing::frames::{send, subscribe, transaction, unsubscribe};
use support::{Client, connect, connect_as, connect_to, open, statistics_of};
use tower::Service;

/// Rules by which clients may ask `/queue/requests`, and read prices but not write them.
fn rules() -> Rules {
    Rules::default()
        .send("/queue/requests", Who::Anybody)
        .send("/topic/answers", Who::Anybody)
}

fn broker() -> Broker {
    Broker::new(Config::default().rules(rules())).unwrap()
}

/// A service whose own code answers `SEND /sums`, and asks a worker for `SEND /forward`. The broker handles all others.
async fn connect_to_handlers(broker: &Broker) -> Client {
    let broker = broker.clone();
    let service = tower::service_fn(move |request: Request| {
        let mut broker = broker.clone();
        async move {
            match (request.command(), request.destination().as_str()) {
                (Command::Send, "/sums") => broker.reply(&request, "3").await?,
                (Command::Send, "/forward") => {
                    let headers = request.headers().clone();
                    let message = Message::from_parts(headers, request.body().clone());
                    broker.publish("/queue/requests", message).await?;
                }
                (Command::Send, "/checked") => {
                    let reply_to = broker.reply_to(&request)?;
                    let message = Message::new("?").with_reply_to(&reply_to);
                    broker.publish("/queue/requests", message).await?;
                }
                _ => return broker.call(request).await,
            }
            Ok(Response::Done)
        }
    });
    connect_to(service, Arc::default()).await
}

fn ask(destination: &str, reply_to: &str) -> Frame {
    send(destination, "?")
        .with_header("reply-to", reply_to)
        .with_header("correlation-id", "42")
}

/// Answers the next question. Returns the code of the error, or nothing.
async fn answer(broker: &Broker, questions: &mut MessageStream) -> String {
    let question = questions.next().await.unwrap().unwrap();
    let answer = broker.reply(&question, "!").await;
    question.settle(Settlement::Acked);
    answer.map_or_else(
        |error| ClientError::from_error(&*error).code().to_owned(),
        |()| String::new(),
    )
}

#[tokio::test(start_paused = true)]
async fn a_worker_of_the_application_answers_where_the_asker_may_listen() {
    let broker = broker();
    let mut questions = broker.subscribe("/queue/requests").await.unwrap();
    let mut ann = connect(&broker).await;
    ann.subscribe("0", "/temp-queue/replies").await;
    ann.subscribe("1", "/topic/answers").await;
    for reply_to in ["/temp-queue/replies", "/topic/answers"] {
        ann.receipt(ask("/queue/requests", reply_to)).await;
        assert_eq!(answer(&broker, &mut questions).await, "");
        let message = ann.expect_message("!").await;
        for (name, value) in [("destination", reply_to), ("correlation-id", "42")] {
            assert_eq!(message.headers.get(name), Some(value));
        }
    }
    ann.receipt(send("/queue/requests", "?")).await;
    assert_eq!(answer(&broker, &mut questions).await, "bad-request");
}

#[tokio::test(start_paused = true)]
async fn a_client_cannot_make_a_service_write_where_the_client_may_not() {
    let broker = broker();
    let mut prices = broker.subscribe("/topic/prices").await.unwrap();
    let mut questions = broker.subscribe("/queue/requests").await.unwrap();
    let mut eve = connect_to_handlers(&broker).await;
    for (reply_to, code) in [
        ("/topic/prices", "forbidden"),
        ("/topic.prices", "forbidden"),
        ("/topic/>", "forbidden"),
        ("/queue/requests.other", "forbidden"),
        ("/queue/dead-letters", "forbidden"),
        ("/user/news", "forbidden"),
        ("/elsewhere", "forbidden"),
        ("/topic//prices", "bad-destination"),
        ("/temp-queue/", "bad-destination"),
    ] {
        for destination in ["/queue/requests", "/sums", "/checked"] {
            let error = eve.expect_refusal(ask(destination, reply_to), code).await;
            let text = String::from_utf8(error.body.to_vec()).unwrap();
            assert!(text.contains("reply-to"), "{destination} {text}");
        }
        // The code of the application has passed on what nobody has checked.
        eve.receipt(ask("/forward", reply_to)).await;
        assert_eq!(answer(&broker, &mut questions).await, code, "{reply_to}");
    }
    assert!(questions.next().now_or_never().is_none());
    assert!(prices.next().now_or_never().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_handler_answers_a_request_or_passes_it_on_to_a_worker() {
    let broker = broker();
    let mut questions = broker.subscribe("/queue/requests").await.unwrap();
    let mut ann = connect_to_handlers(&broker).await;
    ann.subscribe("0", "/temp-queue/replies").await;
    ann.subscribe("1", "/topic/answers").await;
    for reply_to in ["/temp-queue/replies", "/topic/answers"] {
        ann.receipt(ask("/sums", reply_to)).await;
        let message = ann.expect_message("3").await;
        assert_eq!(message.headers.get("correlation-id"), Some("42"));
        assert_eq!(message.headers.get("destination"), Some(reply_to));
        ann.receipt(ask("/checked", reply_to)).await;
        assert_eq!(answer(&broker, &mut questions).await, "");
        ann.expect_message("!").await;
    }
    ann.expect_refusal(send("/sums", "?"), "bad-request").await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_in_a_transaction_is_sent_when_that_is_committed() {
    let broker = broker();
    let mut ann = connect_to_handlers(&broker).await;
    ann.subscribe("0", "/topic/answers").await;
    for (second, is_committed) in [("/topic/answers", true), ("/topic/prices", false)] {
        ann.receipt(transaction(Command::Begin, "t")).await;
        for reply_to in ["/topic/answers", second] {
            let frame = ask("/sums", reply_to).with_header("transaction", "t");
            ann.receipt(frame).await;
        }
        let commit = transaction(Command::Commit, "t");
        if is_committed {
            ann.expect_nothing().await;
            ann.receipt(commit).await;
            ann.expect_message("3").await;
            ann.expect_message("3").await;
        } else {
            ann.expect_refusal(commit, "forbidden").await;
            ann.expect_nothing().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_application_asks_its_own_workers() {
    let broker = broker();
    let mut questions = broker.subscribe("/queue/requests").await.unwrap();
    let mut answers = broker.subscribe("/queue/answers").await.unwrap();
    let question = Message::new("?").with_reply_to("/queue/answers");
    broker.publish("/queue/requests", question).await.unwrap();
    assert_eq!(answer(&broker, &mut questions).await, "");
    assert_eq!(answers.next().await.unwrap().unwrap().body(), "!");
    let unchecked = Message::new("?").with_header("reply-to", "/queue/answers");
    broker.publish("/queue/requests", unchecked).await.unwrap();
    assert_eq!(answer(&broker, &mut questions).await, "forbidden");
}

#[tokio::test(start_paused = true)]
async fn temporary_queues_that_are_no_longer_in_use_do_not_count() {
    let broker = Broker::new(open()).unwrap();
    let (mut asker, mut worker) = (connect(&broker).await, connect(&broker).await);
    worker.subscribe("w", "/queue/requests").await;
    for number in 0..100 {
        let name = format!("/temp-queue/{number}");
        asker.subscribe("r", &name).await;
        asker.receipt(ask("/queue/requests", &name)).await;
        let question = worker.expect_message("?").await;
        let to = question.headers.get("reply-to").unwrap();
        worker.publish(to, "!").await;
        asker.expect_message("!").await;
        asker.receipt(unsubscribe("r")).await;
    }
    // The names in use have a limit.
    for number in 0..16 {
        let id = number.to_string();
        asker
            .subscribe(&id, &format!("/temp-queue/used.{number}"))
            .await;
    }
    asker
        .expect_refusal(subscribe("x", "/temp-queue/x"), "too-many-destinations")
        .await;
    asker
        .expect_refusal(
            ask("/queue/requests", "/temp-queue/x"),
            "too-many-destinations",
        )
        .await;
    asker.publish("/temp-queue/x", "to nobody").await;
    asker.receipt(unsubscribe("3")).await;
    asker.subscribe("x", "/temp-queue/x").await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_comes_too_late_goes_nowhere() {
    let broker = Broker::new(open().max_temporary_queues(1)).unwrap();
    let (mut asker, mut worker) = (connect(&broker).await, connect(&broker).await);
    worker.subscribe("w", "/queue/requests").await;
    asker.subscribe("0", "/temp-queue/a").await;
    asker.receipt(ask("/queue/requests", "/temp-queue/a")).await;
    let question = worker.expect_message("?").await;
    let late = question.headers.get("reply-to").unwrap();
    asker.receipt(unsubscribe("0")).await;
    for name in ["/temp-queue/b", "/temp-queue/a"] {
        asker.subscribe("0", name).await;
        let dropped = statistics_of(&broker).dropped;
        worker.publish(late, "too late").await;
        assert_eq!(statistics_of(&broker).dropped, dropped + 1);
        asker.expect_nothing().await;
        asker.receipt(unsubscribe("0")).await;
    }
}

/// The name of a `reply-to` stays until the client subscribes, so that the answer finds its queue.
#[tokio::test(start_paused = true)]
async fn a_name_in_a_reply_to_is_kept_for_the_subscription_that_follows() {
    let broker = Broker::new(open().max_temporary_queues(1)).unwrap();
    let (mut asker, mut worker) = (connect(&broker).await, connect(&broker).await);
    worker.subscribe("w", "/queue/requests").await;
    asker.receipt(ask("/queue/requests", "/temp-queue/a")).await;
    asker
        .expect_refusal(subscribe("0", "/temp-queue/b"), "too-many-destinations")
        .await;
    asker.subscribe("0", "/temp-queue/a").await;
    let question = worker.expect_message("?").await;
    worker
        .publish(question.headers.get("reply-to").unwrap(), "!")
        .await;
    asker.expect_message("!").await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_may_not_subscribe_to_its_temporary_queue_cannot_name_it() {
    let rules = Rules::new().send("/queue/requests", Who::Anybody);
    let broker = Broker::new(Config::default().rules(rules)).unwrap();
    let mut ann = connect_as(&broker, "ann").await;
    ann.expect_refusal(ask("/queue/requests", "/temp-queue/a"), "forbidden")
        .await;
}
