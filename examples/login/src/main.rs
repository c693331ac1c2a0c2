//! A site with logins on one port: pages connect with a cookie, programs with a token, and HTTP handlers send to one
//! user.
//!
//! `cargo run -p login` listens on 127.0.0.1:8080. `POST /login` with the JSON `["ann","apple"]` sets a cookie, which
//! browsers send with the handshake to `/stomp`. A program takes the token out of the cookie, and sends it in
//! `CONNECT`, as
//! `passcode:TOKEN` or `Authorization:Bearer TOKEN`. Staff (`root`, `pear`) may `POST /notify/ann` and `GET /online`.

use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router, http::HeaderMap, http::StatusCode, middleware, routing};
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::time::{Duration, Instant};
use webstomp::broker::{Broker, Config, Rules, Who};
use webstomp::{App, BoxError, ClientError, Principal, Session, Sessions, frame, server, session};

/// Name, password and role. A real site stores hashes of passwords, and limits the rate of attempts.
const USERS: [(&str, &str, &str); 2] = [("ann", "apple", "customer"), ("root", "pear", "staff")];
const LIFETIME: Duration = Duration::from_secs(12 * 3_600);
const MAX_LOGINS: usize = 10_000;
type Answer = Result<Response, StatusCode>;

#[derive(Clone, Default)]
struct Site {
    /// The users by their tokens, and the times at which these expire.
    logins: Arc<Mutex<HashMap<String, (Principal, Instant)>>>,
    sessions: Sessions,
}

/// POST /login: sets a cookie. Other sites cannot use it: see SameSite, and the check of Origin. Add Secure behind TLS.
async fn log_in(State(site): State<Site>, Json(given): Json<[String; 2]>) -> Answer {
    let is_given = |user: &&(&str, &str, _)| [user.0, user.1] == given;
    let (name, _, role) = USERS.iter().find(is_given).ok_or(StatusCode::FORBIDDEN)?;
    let token = format!("{:032x}", rand::random::<u128>());
    let cookie = format!("session={token}; Path=/; HttpOnly; SameSite=Strict");
    let user = Principal::new(*name).with_role(*role);
    let mut logins = site.logins.lock().unwrap_or_else(PoisonError::into_inner);
    logins.retain(|_, (_, expires)| *expires > Instant::now());
    if logins.len() >= MAX_LOGINS {
        return Err(StatusCode::SERVICE_UNAVAILABLE);
    }
    logins.insert(token, (user, Instant::now() + LIFETIME));
    Ok([("set-cookie", cookie)].into_response())
}

/// The token in the cookie of an HTTP request or of a WebSocket handshake.
fn cookie(headers: &HeaderMap) -> Option<&str> {
    let mut cookies = headers.get("cookie")?.to_str().ok()?.split("; ");
    cookies.find_map(|cookie| cookie.strip_prefix("session="))
}

fn find(site: &Site, token: Option<&str>) -> Option<(Principal, Instant)> {
    let logins = site.logins.lock().unwrap_or_else(PoisonError::into_inner);
    let login = logins.get(token?)?.clone();
    Some(login).filter(|(_, expires)| *expires > Instant::now())
}

/// CONNECT: finds the user by the token. The session ends when the token expires.
async fn connect(
    webstomp::State(site): webstomp::State<Site>,
    session: Session,
    headers: frame::Headers,
) -> Result<Principal, ClientError> {
    let authorization = headers.get("Authorization");
    let bearer = authorization.and_then(|value| value.strip_prefix("Bearer "));
    let in_cookie = || cookie(&session.peer().request.as_ref()?.headers);
    let token = headers.get("passcode").or(bearer).or_else(in_cookie);
    let refused = || ClientError::new("login-required", "Log in at /login, then connect again.");
    let (user, expires) = find(&site, token).ok_or_else(refused)?;
    session.expires_at(expires.into_std());
    Ok(user)
}

async fn only_staff(State(site): State<Site>, request: Request, next: middleware::Next) -> Answer {
    match find(&site, cookie(request.headers())) {
        Some((user, _)) if user.has_role("staff") => Ok(next.run(request).await),
        _ => Err(StatusCode::FORBIDDEN),
    }
}

/// POST /notify/{user}: sends the body to the sessions of this user that are subscribed to /notices.
async fn notify(State(site): State<Site>, Path(user): Path<String>, text: String) -> StatusCode {
    let sent = site.sessions.send(&user.into(), "/notices", text);
    sent.map_or(StatusCode::NOT_FOUND, |()| StatusCode::OK)
}

/// GET /online: the names of the users who are connected.
async fn online(State(site): State<Site>) -> Json<BTreeSet<String>> {
    let name = |session: Session| session.principal().map(Principal::to_string);
    Json(site.sessions.all().into_iter().filter_map(name).collect())
}

fn app() -> Result<App, BoxError> {
    let rules = Rules::new()
        .send("/topic/users.>", Who::role("staff"))
        .subscribe("/topic/users.{user}.>", Who::Authenticated);
    let site = Site::default();
    let config = session::Config::default().sessions(site.sessions.clone());
    let http = Router::new()
        .route("/notify/{user}", routing::post(notify))
        .route("/online", routing::get(online))
        .route_layer(middleware::from_fn_with_state(site.clone(), only_staff))
        .route("/login", routing::post(log_in));
    Ok(App::new()
        .connect(connect)
        .subscribe("/notices", async || {})
        .broker(&Broker::new(Config::default().rules(rules))?)
        .session_config(config.max_sessions_per_principal(20))
        .websocket_path("/stomp")
        .http(http.with_state(site.clone()))
        .with_state(site))
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let app = app()?.shutdown(server::Shutdown::on_signals()?);
    Ok(app.listen("127.0.0.1:8080").await?)
}

#[cfg(test)]
mod tests;
