//! Replies: where they may go, and how long a temporary queue has its name.

#![allow(
    clippy::unwrap_used,
    reason = "a helper that fails is a test that fails"
)]

mod support;

use futures_util::{FutureExt, StreamExt};
use std::sync::Arc;
use stomp_broker::{Broker, Config, Memory, MemoryConfig, QueueSettings, Rules, Who};
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
                    let reply_to = broker.reply_to(&request).await?;
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

/// Clients often name their temporary queues by random numbers.
#[tokio::test(start_paused = true)]
async fn a_temporary_queue_may_have_any_number_as_its_name() {
    let broker = broker();
    let mut questions = broker.subscribe("/queue/requests").await.unwrap();
    let mut ann = connect(&broker).await;
    for (id, name) in [
        ("0", "7b60764175ffa4054b2bac62a7a433be"),
        ("1", "9011ea3b-25ad-4696-b067-8531ab9ce227"),
        ("2", "7"),
    ] {
        let reply_to = format!("/temp-queue/{name}");
        ann.subscribe(id, &reply_to).await;
        ann.receipt(ask("/queue/requests", &reply_to)).await;
        assert_eq!(answer(&broker, &mut questions).await, "");
        let message = ann.expect_message("!").await;
        assert_eq!(message.headers.get("destination"), Some(&*reply_to));
    }
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

#[tokio::test(start_paused = true)]
async fn replies_arrive_without_a_subscribe() {
    let broker = broker();
    let mut questions = broker.subscribe("/queue/requests").await.unwrap();
    let mut ann = connect_to_handlers(&broker).await;
    let replies = "/temp-queue/rpc-replies";
    // A worker of the broker, a handler, and a worker that a handler asks.
    for (destination, body, is_of_worker) in [
        ("/queue/requests", "!", true),
        ("/sums", "3", false),
        ("/checked", "!", true),
    ] {
        for _ in 0..2 {
            ann.send(ask(destination, replies)).await;
            if is_of_worker {
                assert_eq!(answer(&broker, &mut questions).await, "");
            }
            let message = ann.expect_message_for(replies, body).await;
            assert_eq!(message.headers.get("destination"), Some(replies));
            assert_eq!(message.headers.get("ack"), None);
        }
        ann.receipt(unsubscribe(replies)).await;
        assert_eq!(statistics_of(&broker).temporary_queues, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn each_request_may_have_a_reply_queue_of_its_own_without_a_subscribe() {
    let broker = Broker::new(open()).unwrap();
    let mut questions = broker.subscribe("/queue/requests").await.unwrap();
    let mut ann = connect(&broker).await;
    for number in 0..100 {
        let replies = format!("/temp-queue/{number}");
        ann.receipt(ask("/queue/requests", &replies)).await;
        assert_eq!(answer(&broker, &mut questions).await, "");
        ann.expect_message_for(&replies, "!").await;
    }
    assert_eq!(statistics_of(&broker).temporary_queues, 16);
}

#[tokio::test(start_paused = true)]
async fn an_exclusive_subscribe_takes_over_from_an_implicit_subscription() {
    let broker = broker();
    let mut questions = broker.subscribe("/queue/requests").await.unwrap();
    let mut ann = connect(&broker).await;
    ann.receipt(ask("/queue/requests", "/temp-queue/r")).await;
    let exclusive = subscribe("0", "/temp-queue/r").with_header("exclusive", "true");
    ann.receipt(exclusive).await;
    assert_eq!(answer(&broker, &mut questions).await, "");
    ann.expect_message_for("0", "!").await;
}

#[tokio::test(start_paused = true)]
async fn a_subscribe_behind_the_question_takes_over_and_loses_no_reply() {
    let broker = Broker::new(open().max_temporary_queues(1)).unwrap();
    let mut questions = broker.subscribe("/queue/requests").await.unwrap();
    for id in ["r", "/temp-queue/r"] {
        let mut ann = connect(&broker).await;
        for number in 0..20 {
            ann.send(ask("/queue/requests", "/temp-queue/r")).await;
            let question = questions.next().await.unwrap().unwrap();
            if number == 10 {
                // The session has read the answer or not when it gets the SUBSCRIBE.
                ann.send(subscribe(id, "/temp-queue/r")).await;
            }
            broker.reply(&question, number.to_string()).await.unwrap();
            question.settle(Settlement::Acked);
        }
        for number in 0..20 {
            let message = ann.expect_message(&number.to_string()).await;
            if number > 10 {
                assert_eq!(message.headers.get("subscription"), Some(id));
            }
        }
        ann.expect_nothing().await;
        ann.receipt(unsubscribe(id)).await;
        assert_eq!(statistics_of(&broker).temporary_queues, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_subscription_for_replies_ends_with_its_session() {
    let broker = broker();
    let mut questions = broker.subscribe("/queue/requests").await.unwrap();
    let mut ann = connect(&broker).await;
    ann.receipt(ask("/queue/requests", "/temp-queue/a")).await;
    assert_eq!(statistics_of(&broker).temporary_queues, 1);
    ann.break_connection().await;
    assert_eq!(statistics_of(&broker).temporary_queues, 0);
    assert_eq!(answer(&broker, &mut questions).await, "");
}

#[tokio::test(start_paused = true)]
async fn a_subscription_for_replies_counts_as_any_other() {
    let broker = Broker::new(open()).unwrap();
    let config = stomp_session::Config::default().max_subscriptions(2);
    let mut ann = connect_to(broker.clone(), Arc::new(config)).await;
    ann.subscribe("0", "/topic/a").await;
    ann.receipt(ask("/queue/requests", "/temp-queue/a")).await;
    ann.receipt(ask("/queue/requests", "/temp-queue/a")).await;
    ann.expect_refusal(
        ask("/queue/requests", "/temp-queue/b"),
        "too-many-subscriptions",
    )
    .await;
    ann.receipt(unsubscribe("/temp-queue/a")).await;
    ann.receipt(ask("/queue/requests", "/temp-queue/b")).await;
    assert_eq!(statistics_of(&broker).temporary_queues, 1);
}

#[tokio::test(start_paused = true)]
async fn replies_arrive_for_a_question_in_a_transaction() {
    let broker = broker();
    let mut questions = broker.subscribe("/queue/requests").await.unwrap();
    let mut ann = connect(&broker).await;
    ann.receipt(transaction(Command::Begin, "t")).await;
    let question = ask("/queue/requests", "/temp-queue/a").with_header("transaction", "t");
    ann.receipt(question).await;
    ann.receipt(transaction(Command::Commit, "t")).await;
    assert_eq!(answer(&broker, &mut questions).await, "");
    ann.expect_message_for("/temp-queue/a", "!").await;
}

/// A service that answers each `SEND` to `/later` when a test says so, after its handler has returned.
#[tokio::test(start_paused = true)]
async fn an_answer_that_comes_too_late_for_its_transaction_fails() {
    let broker = broker();
    let (sender, mut requests) = tokio::sync::mpsc::unbounded_channel();
    let service = tower::service_fn(move |request: Request| {
        if request.command() == Command::Send {
            sender.send(request).unwrap();
        }
        async { Ok(Response::Done) }
    });
    let mut ann = connect_to(service, Arc::default()).await;
    let mut answers = broker.subscribe("/topic/answers").await.unwrap();
    ann.receipt(transaction(Command::Begin, "t")).await;
    let question = ask("/later", "/topic/answers").with_header("transaction", "t");
    ann.receipt(question).await;
    ann.receipt(transaction(Command::Commit, "t")).await;
    let request = requests.recv().await.unwrap();
    let error = broker.reply(&request, "late").await.unwrap_err();
    assert_eq!(ClientError::from_error(&*error).code(), "transaction-ended");
    assert!(answers.next().now_or_never().is_none());
    let reply_to = broker.reply_to(&request).await.unwrap();
    broker.publish(reply_to, "late").await.unwrap();
    assert_eq!(answers.next().await.unwrap().unwrap().body(), "late");
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_can_be_answered() {
    let settings = QueueSettings::default()
        .max_delivery_attempts(1)
        .dead_letter_queue(Some("/queue/dead-letters".to_owned()));
    let memory = Memory::new(MemoryConfig::default().queues(settings)).unwrap();
    let broker = Broker::with_engine(Config::default().rules(rules()), memory).unwrap();
    let mut questions = broker.subscribe("/queue/requests").await.unwrap();
    let mut dead = broker.subscribe("/queue/dead-letters").await.unwrap();
    let mut ann = connect(&broker).await;
    ann.subscribe("0", "/topic/answers").await;
    ann.receipt(ask("/queue/requests", "/topic/answers")).await;
    let question = questions.next().await.unwrap().unwrap();
    question.settle(Settlement::Nacked);
    assert_eq!(answer(&broker, &mut dead).await, "");
    ann.expect_message("!").await;
}

#[tokio::test(start_paused = true)]
async fn a_question_whose_temporary_queue_has_no_room_or_no_id_is_refused_and_not_sent() {
    let broker = broker();
    let mut questions = broker.subscribe("/queue/requests").await.unwrap();
    let mut ann = connect(&broker).await;
    ann.subscribe("/temp-queue/x", "/topic/answers").await;
    let question = ask("/queue/requests", "/temp-queue/x");
    let refused = ann
        .expect_refusal(question.clone(), "duplicate-subscription")
        .await;
    assert!(refused.headers.contains("receipt-id"));
    let commit = [
        transaction(Command::Begin, "t"),
        question.clone().with_header("transaction", "t"),
    ];
    ann.send_together(&commit).await;
    let refused = ann
        .expect_refusal(transaction(Command::Commit, "t"), "duplicate-subscription")
        .await;
    assert!(refused.headers.contains("receipt-id"));
    assert!(questions.next().now_or_never().is_none());
    ann.receipt(unsubscribe("/temp-queue/x")).await;
    ann.receipt(question).await;
    assert_eq!(answer(&broker, &mut questions).await, "");
    ann.expect_message("!").await;
}
