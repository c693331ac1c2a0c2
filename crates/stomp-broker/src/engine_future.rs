//! What will be answered, at once or later.

use std::{
    fmt,
    future::{Future, Ready, ready},
    pin::Pin,
    task::{Context, Poll},
};
use stomp_session::BoxError;

/// What will be answered: a future that often is ready, and then costs no allocation.
#[must_use = "whether it went well is known when this is awaited"]
pub struct EngineFuture<T>(State<T>);

enum State<T> {
    Now(Ready<Result<T, BoxError>>),
    Later(Later<T>),
}

type Later<T> = Pin<Box<dyn Future<Output = Result<T, BoxError>> + Send>>;

impl<T> EngineFuture<T> {
    /// An answer that is there.
    pub fn ready<E: Into<BoxError>>(result: Result<T, E>) -> EngineFuture<T> {
        EngineFuture(State::Now(ready(result.map_err(Into::into))))
    }

    /// An answer that somebody has to be waited for.
    pub fn from_future(
        future: impl Future<Output = Result<T, BoxError>> + Send + 'static,
    ) -> EngineFuture<T> {
        EngineFuture(State::Later(Box::pin(future)))
    }

    /// The answer, changed where it is a good one.
    ///
    /// # Panics
    ///
    /// After it was ready.
    pub fn map<U>(self, change: impl FnOnce(T) -> U + Send + 'static) -> EngineFuture<U>
    where
        T: 'static,
    {
        match self.0 {
            State::Now(result) => EngineFuture(State::Now(ready(result.into_inner().map(change)))),
            State::Later(future) => EngineFuture::from_future(async { future.await.map(change) }),
        }
    }
}

impl<T> Unpin for EngineFuture<T> {}

impl<T> Future for EngineFuture<T> {
    type Output = Result<T, BoxError>;

    /// # Panics
    ///
    /// After it was ready, as other futures do. Nothing that a peer sends makes anybody ask again.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            State::Now(result) => Pin::new(result).poll(cx),
            State::Later(future) => future.as_mut().poll(cx),
        }
    }
}

impl<T> fmt::Debug for EngineFuture<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            State::Now(_) => "EngineFuture(now)",
            State::Later(_) => "EngineFuture(later)",
        })
    }
}
