//! Arguments of the application's own types, and the whole request as an argument.

use super::{messages, rejection, request, send, subscribe};
use bytestring::ByteString;
use std::sync::{Arc, Mutex};
use stomp_frame::Command;
use stomp_router::{FromRef, FromRequest, FromRequestParts, Path, Router, State};
use stomp_session::{BoxError, ClientError, Request};
use tokio::task::yield_now;
use tower::ServiceExt;

/// A log of the arguments that were taken.
type Log = Arc<Mutex<Vec<&'static str>>>;

#[derive(Clone, Default)]
struct Database {
    log: Log,
}

impl FromRef<Database> for Log {
    fn from_ref(database: &Database) -> Log {
        database.log.clone()
    }
}

/// A user from the database, for any state that has a log.
struct User(String);

impl<S: Sync> FromRequestParts<S> for User
where
    Log: FromRef<S>,
{
    async fn from_request_parts(request: &Request, state: &S) -> Result<Self, BoxError> {
        yield_now().await;
        Log::from_ref(state).lock().unwrap().push("user");
        match request.headers().get("user") {
            Some("broken") => Err(std::fmt::Error.into()),
            Some(name) => Ok(User(name.to_owned())),
            None => Err(ClientError::new("no-user", "Name a user.").into()),
        }
    }
}

/// A body that is taken out of the request, after a look at the database.
struct Checked(String);

impl FromRequest<Database> for Checked {
    async fn from_request(request: Request, database: &Database) -> Result<Self, BoxError> {
        yield_now().await;
        database.log.lock().unwrap().push("checked");
        let body = request.into_frame().body;
        Ok(Checked(String::from_utf8(body.into())?))
    }
}

async fn greet(User(user): User, Path(id): Path<u8>, Checked(text): Checked) -> String {
    format!("{user} {id} {text}")
}

#[tokio::test]
async fn arguments_may_wait_and_are_taken_from_left_to_right() {
    let database = Database::default();
    let routes = Router::new()
        .subscribe("/greetings/{id}", greet)
        .with_state(database.clone())
        .build()
        .unwrap();
    let greeting = |destination, user: &str| {
        let mut request = request(Command::Subscribe, destination, b"hello");
        request.headers_mut().append("user", user);
        request
    };
    let response = routes.clone().oneshot(greeting("/greetings/7", "ann"));
    let stomp_session::Response::Observe(messages) = response.await.unwrap() else {
        panic!("the response has no messages")
    };
    let items = super::ready_items(messages);
    assert_eq!(items[0].as_ref().unwrap().body(), "ann 7 hello");
    assert_eq!(*database.log.lock().unwrap(), ["user", "checked"]);

    let error = rejection(&routes, subscribe("/greetings/7")).await;
    assert_eq!(error.code(), "no-user");
    let error = rejection(&routes, greeting("/greetings/x", "ann")).await;
    assert_eq!(error.code(), "bad-request");
    let error = routes.oneshot(greeting("/greetings/7", "broken")).await;
    assert!(error.unwrap_err().is::<std::fmt::Error>());
    assert_eq!(
        *database.log.lock().unwrap(),
        ["user", "checked", "user", "user", "user"],
        "nothing is taken after an error"
    );
}

#[tokio::test]
async fn a_handler_can_take_the_whole_request_as_its_last_argument() {
    async fn alone(request: Request) -> String {
        request.destination().to_string()
    }
    async fn last(State(prefix): State<String>, Path(id): Path<u8>, request: Request) -> String {
        format!("{prefix} {id} {}", request.params().pattern().is_some())
    }
    let routes = Router::new()
        .subscribe("/alone", alone)
        .subscribe("/last/{id}", last)
        .with_state("state".to_owned())
        .build()
        .unwrap();
    assert_eq!(
        messages(&routes, "/alone").await,
        Ok(vec!["/alone".to_owned()])
    );
    assert_eq!(
        messages(&routes, "/last/7").await,
        Ok(vec!["state 7 true".to_owned()])
    );
}

#[tokio::test]
async fn a_byte_string_argument_shares_the_body() {
    async fn text(State(texts): State<Arc<Mutex<Vec<ByteString>>>>, text: ByteString) {
        texts.lock().unwrap().push(text);
    }
    let texts = Arc::<Mutex<Vec<ByteString>>>::default();
    let routes = Router::new()
        .send("/texts", text)
        .with_state(Arc::clone(&texts))
        .build()
        .unwrap();
    let body = b"hello";
    routes.clone().oneshot(send("/texts", body)).await.unwrap();
    let text = texts.lock().unwrap().remove(0);
    assert_eq!(text, "hello");
    assert_eq!(
        text.as_bytes().as_ptr(),
        body.as_ptr(),
        "the body is not copied"
    );
    let error = rejection(&routes, send("/texts", b"a\xff")).await;
    assert_eq!(error.text(), "The body is not valid UTF-8 at byte 1.");
}
