//! The future of an engine's result.

use std::{
    fmt,
    future::{Future, Ready, ready},
    pin::Pin,
    task::{Context, Poll},
};
use stomp_session::BoxError;

/// The future that an engine's methods return. It needs no allocation if the result is known at once.
#[must_use = "the result is known only when the future is awaited"]
pub struct EngineFuture<T>(State<T>);

enum State<T> {
    Ready(Ready<Result<T, BoxError>>),
    Pending(BoxFuture<T>),
}

type BoxFuture<T> = Pin<Box<dyn Future<Output = Result<T, BoxError>> + Send>>;

impl<T> EngineFuture<T> {
    /// Creates a future whose result is known already, without an allocation.
    pub fn ready<E: Into<BoxError>>(result: Result<T, E>) -> EngineFuture<T> {
        EngineFuture(State::Ready(ready(result.map_err(Into::into))))
    }

    /// Creates a future from any other future, which is put in a box.
    pub fn from_future(
        future: impl Future<Output = Result<T, BoxError>> + Send + 'static,
    ) -> EngineFuture<T> {
        EngineFuture(State::Pending(Box::pin(future)))
    }

    /// Applies a function to the value of the future, if the future succeeds. To see errors too, await the future in one
    /// of [`from_future`](EngineFuture::from_future).
    ///
    /// # Panics
    ///
    /// If the future has already completed.
    pub fn map<U>(self, function: impl FnOnce(T) -> U + Send + 'static) -> EngineFuture<U>
    where
        T: 'static,
    {
        match self.0 {
            State::Ready(result) => {
                EngineFuture(State::Ready(ready(result.into_inner().map(function))))
            }
            State::Pending(future) => {
                EngineFuture::from_future(async { future.await.map(function) })
            }
        }
    }
}

impl<T: Send + 'static> EngineFuture<T> {
    /// Continues with another future, if this one succeeds. Does so at once if the result is known.
    pub(crate) fn and_then<U: Send + 'static>(
        self,
        next: impl FnOnce(T) -> EngineFuture<U> + Send + 'static,
    ) -> EngineFuture<U> {
        match self.0 {
            State::Ready(result) => match result.into_inner() {
                Ok(value) => next(value),
                Err(error) => EngineFuture::ready(Err(error)),
            },
            State::Pending(future) => {
                EngineFuture::from_future(async { next(future.await?).await })
            }
        }
    }
}

impl<T> Unpin for EngineFuture<T> {}

impl<T> Future for EngineFuture<T> {
    type Output = Result<T, BoxError>;

    /// # Panics
    ///
    /// If the future has already completed, as with most futures. Nothing that a peer sends causes such a poll.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            State::Ready(result) => Pin::new(result).poll(cx),
            State::Pending(future) => future.as_mut().poll(cx),
        }
    }
}

impl<T> fmt::Debug for EngineFuture<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            State::Ready(_) => "EngineFuture(ready)",
            State::Pending(_) => "EngineFuture(pending)",
        })
    }
}
