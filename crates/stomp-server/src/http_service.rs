//! The application's service for HTTP requests that are no WebSocket handshakes.

use crate::pace::Pace;
use bytes::{Buf, Bytes};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use pin_project_lite::pin_project;
use std::{
    error::Error,
    fmt,
    future::poll_fn,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};
use tower_service::Service;

/// The error of a body or of a service.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// The body of a request to an [HTTP service](crate::Listeners::http).
///
/// It ends with an error if the client is slower than [`HttpConfig`](crate::HttpConfig) demands.
pub struct RequestBody {
    body: Incoming,
    pace: Pace,
}

impl RequestBody {
    pub(crate) fn new(body: Incoming, pace: Pace) -> RequestBody {
        RequestBody { body, pace }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        match Pin::new(&mut this.body).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                this.pace.advance(frame.data_ref().map_or(0, Bytes::len));
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(end) => Poll::Ready(end.map(|error| error.map_err(BoxError::from))),
            Poll::Pending => this.pace.poll_wait(cx).map(|()| {
                let text = "the client sends the body of its request too slowly";
                Some(Err(io::Error::new(io::ErrorKind::TimedOut, text).into()))
            }),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl fmt::Debug for RequestBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestBody").finish_non_exhaustive()
    }
}

/// The body of a response of any service.
pub(crate) type ResponseBody = UnsyncBoxBody<Bytes, BoxError>;

/// A service of any type.
#[derive(Clone)]
pub(crate) struct HttpService(Arc<dyn Fn(Request<RequestBody>) -> Answering + Send + Sync>);

type Answering = Pin<Box<dyn Future<Output = Response<ResponseBody>> + Send>>;

impl HttpService {
    pub(crate) fn new<S, B>(service: S) -> HttpService
    where
        S: Service<Request<RequestBody>, Response = Response<B>> + Clone + Send + Sync + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send,
        B: Body<Error: Into<BoxError>> + Send + 'static,
    {
        HttpService(Arc::new(move |request| {
            let service = service.clone();
            Box::pin(async move {
                call(service, request).await.unwrap_or_else(|error| {
                    let error: BoxError = error.into();
                    tracing::error!(%error, "the HTTP service failed");
                    internal_error()
                })
            })
        }))
    }

    pub(crate) fn call(&self, request: Request<RequestBody>) -> Answering {
        (self.0)(request)
    }
}

async fn call<S, B>(
    mut service: S,
    request: Request<RequestBody>,
) -> Result<Response<ResponseBody>, S::Error>
where
    S: Service<Request<RequestBody>, Response = Response<B>>,
    B: Body<Error: Into<BoxError>> + Send + 'static,
{
    poll_fn(|cx| service.poll_ready(cx)).await?;
    let response = service.call(request).await?;
    Ok(response.map(|body| BytesBody { body }.boxed_unsync()))
}

pin_project! {
    /// A body with its data as `Bytes`. It knows its length, unlike the body of `BodyExt::map_frame`.
    struct BytesBody<B> {
        #[pin]
        body: B,
    }
}

impl<B: Body<Error: Into<BoxError>>> Body for BytesBody<B> {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let bytes = |mut data: B::Data| data.copy_to_bytes(data.remaining());
        let frame = ready!(self.project().body.poll_frame(cx));
        Poll::Ready(frame.map(|frame| match frame {
            Ok(frame) => Ok(frame.map_data(bytes)),
            Err(error) => Err(error.into()),
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Boxes a body that is complete.
pub(crate) fn full(body: Full<Bytes>) -> ResponseBody {
    body.map_err(|never| match never {}).boxed_unsync()
}

fn internal_error() -> Response<ResponseBody> {
    let mut response = Response::new(full(Full::from("The server has failed.\n")));
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    response
}
