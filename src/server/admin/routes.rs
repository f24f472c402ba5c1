//! Every endpoint of the admin port: who may ask, and what it answers.
//!
//! Reads figures and asks the server's control. What is counted, and what a command does, is told elsewhere.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{ConnectInfo, DefaultBodyLimit, Query, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use tracing::info;

use super::guard::{Secret, Stranger, check_names};
use super::listen::Peer;
use super::metrics::Scrape;
use super::reply::Reply;
use super::tokens::Issuer;
use super::{COMMIT, VERSION};
use crate::id::ClientId;
use crate::server::ServerControl;
use crate::server::control::Standing;

/// The longest body that is read: a kick with its text is 200 bytes.
const MAX_BODY: usize = 4_096;

/// The world ticks at least once a second; one that has not for so long is stuck.
const LATELY: Duration = Duration::from_secs(5);

/// The longest grace of `/drain`: an hour.
const MAX_GRACE_SECONDS: u64 = 3_600;

/// Clients that `/state` shows unless it is asked for more: 200 kB of JSON.
const DEFAULT_STATES: usize = 1_000;

/// One thing that can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Endpoint {
    /// `GET` or `POST`.
    pub method: &'static str,
    /// The path.
    pub path: &'static str,
    /// Whether the bearer token is needed where one is set.
    pub needs_token: bool,
}

const fn open(path: &'static str) -> Endpoint {
    Endpoint {
        method: "GET",
        path,
        needs_token: false,
    }
}

const fn command(path: &'static str) -> Endpoint {
    Endpoint {
        method: "POST",
        path,
        needs_token: true,
    }
}

/// Everything that can be asked. `docs/operating.md` has a row for each.
pub const ENDPOINTS: &[Endpoint] = &[
    open("/livez"),
    open("/readyz"),
    open("/healthz"),
    open("/version"),
    open("/metrics"),
    open("/state"),
    command("/connect-token"),
    command("/kick"),
    command("/ban"),
    command("/unban"),
    command("/drain"),
];

/// What every request may look at.
#[derive(Debug)]
pub(super) struct Shared {
    control: ServerControl,
    local: SocketAddr,
    secret: Option<Secret>,
    issuer: Option<Issuer>,
    draining: Arc<AtomicBool>,
    scrape: Scrape,
}

impl Shared {
    pub(super) fn new(
        control: ServerControl,
        local: SocketAddr,
        secret: Option<Secret>,
        issuer: Option<Issuer>,
        draining: Arc<AtomicBool>,
    ) -> Self {
        Self {
            scrape: Scrape::new(control.clone()),
            control,
            local,
            secret,
            issuer,
            draining,
        }
    }

    fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire) || self.control.is_stopping()
    }

    /// Whether the request brought the bearer token.
    fn brought_token(&self, headers: &HeaderMap) -> bool {
        self.secret
            .as_ref()
            .is_some_and(|secret| secret.is_in(headers))
    }

    /// Lets commands pass: with the token where there is one; without one, whoever reaches the loopback port.
    fn authorise(&self, headers: &HeaderMap) -> Result<(), Reply> {
        if self.secret.is_none() || self.brought_token(headers) {
            return Ok(());
        }
        Err(Reply::error(
            StatusCode::UNAUTHORIZED,
            "this needs the admin token: send `Authorization: Bearer TOKEN`",
        ))
    }

    /// Why nobody new should come here.
    fn unready(&self) -> Option<String> {
        if self.is_draining() {
            return Some("draining: the server is about to end".to_owned());
        }
        let Standing { seated, capacity } = self.control.standing();
        (seated >= capacity).then(|| format!("full: {seated} of {capacity} places are taken"))
    }
}

type Server = State<Arc<Shared>>;
type Body = Result<Bytes, BytesRejection>;
type Answer = Result<Reply, Reply>;

/// All endpoints, behind the door.
pub(super) fn router(shared: Shared) -> Router {
    let shared = Arc::new(shared);
    Router::new()
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/healthz", get(livez))
        .route("/version", get(version))
        .route("/metrics", get(metrics))
        .route("/state", get(state))
        .route("/connect-token", post(connect_token))
        .route("/kick", post(kick))
        .route("/ban", post(ban))
        .route("/unban", post(unban))
        .route("/drain", post(drain))
        .fallback(not_found)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(middleware::from_fn_with_state(Arc::clone(&shared), door))
        .with_state(shared)
}

/// Refuses strangers, and closes the connection behind every answer: each has its time limit from the start.
async fn door(State(shared): Server, request: Request, next: Next) -> Response {
    let mut response = match check_names(shared.local, request.headers()) {
        Ok(()) => next.run(request).await,
        Err(stranger) => {
            let text = match stranger {
                Stranger::Host => {
                    "the Host header is not a name of this port: ask for 127.0.0.1 or localhost"
                }
                Stranger::Origin => "pages of other sites may not ask here",
            };
            Reply::error(StatusCode::FORBIDDEN, text).into_response()
        }
    };
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONNECTION, "close"),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

async fn not_found() -> Reply {
    let known: Vec<_> = ENDPOINTS
        .iter()
        .map(|it| format!("{} {}", it.method, it.path))
        .collect();
    let body = json!({ "error": "there is no such endpoint", "endpoints": known });
    Reply::new(StatusCode::NOT_FOUND, body)
}

async fn wrong_method() -> Reply {
    Reply::error(
        StatusCode::METHOD_NOT_ALLOWED,
        "this endpoint takes another method: see the Allow header",
    )
}

async fn livez(State(shared): Server) -> Reply {
    let age = shared.control.tick_age();
    // Once it is asked to stop the world stands still on purpose, while clients are told.
    let is_live = age < LATELY || shared.control.is_stopping();
    let body = json!({ "live": is_live, "tick_age_seconds": age.as_secs_f64() });
    let status = if is_live {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    Reply::new(status, body)
}

async fn readyz(State(shared): Server) -> Reply {
    match shared.unready() {
        None => Reply::ok(json!({ "ready": true })),
        Some(reason) => Reply::new(
            StatusCode::SERVICE_UNAVAILABLE,
            json!({ "ready": false, "reason": reason }),
        ),
    }
}

async fn version() -> Reply {
    Reply::ok(json!({ "version": VERSION, "commit": COMMIT }))
}

async fn metrics(State(shared): Server, headers: HeaderMap) -> Response {
    let (content_type, text) = shared
        .scrape
        .answer(headers.get(header::ACCEPT), shared.is_draining());
    ([(header::CONTENT_TYPE, content_type)], text).into_response()
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct StateQuery {
    limit: Option<usize>,
}

/// Figures for everybody; who the clients are for operators; where they are for those with the token.
async fn state(
    State(shared): Server,
    headers: HeaderMap,
    query: Result<Query<StateQuery>, QueryRejection>,
) -> Answer {
    let Query(query) = query.map_err(|error| {
        Reply::error(
            StatusCode::BAD_REQUEST,
            format!("{}: `limit` is the only parameter", error.body_text()),
        )
    })?;
    let shows_who = shared.authorise(&headers).is_ok();
    let shows_where = shared.brought_token(&headers);
    let control = &shared.control;
    let states = control.clients();
    let clients: Vec<Value> = states
        .iter()
        .take(query.limit.unwrap_or(DEFAULT_STATES))
        .map(|client| {
            let mut row = match serde_json::to_value(client.figures) {
                Ok(Value::Object(row)) => row,
                _ => Map::new(),
            };
            let who = client.resident;
            row.insert("slot".to_owned(), json!(who.slot.to_string()));
            row.insert("shard".to_owned(), json!(who.shard));
            row.insert(
                "connected_seconds".to_owned(),
                json!(client.connected_seconds),
            );
            if shows_who {
                row.insert("client_id".to_owned(), json!(who.client.0));
            }
            if shows_where {
                row.insert("address".to_owned(), json!(who.address.to_string()));
            }
            Value::Object(row)
        })
        .collect();
    let stats = control.stats();
    Ok(Reply::ok(json!({
        "uptime_seconds": stats.uptime_seconds,
        "tick": stats.tick.tick,
        "seated": stats.seated,
        "capacity": stats.capacity,
        "draining": shared.is_draining(),
        "clients_total": states.len(),
        "clients": clients,
    })))
}

/// The JSON in a body; an empty one says nothing in particular.
fn read<T: DeserializeOwned>(body: Body) -> Result<T, Reply> {
    let bytes = body.map_err(|error| Reply::error(error.status(), error.body_text()))?;
    let text: &[u8] = if bytes.is_empty() { b"{}" } else { &bytes };
    serde_json::from_slice(text).map_err(|error| {
        let text = format!("the body is not what this endpoint takes: {error}");
        Reply::error(StatusCode::BAD_REQUEST, text)
    })
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenRequest {
    client_id: Option<u64>,
}

async fn connect_token(
    State(shared): Server,
    ConnectInfo(Peer(peer)): ConnectInfo<Peer>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Reply> {
    shared.authorise(&headers)?;
    let issuer = shared.issuer.as_ref().ok_or_else(|| {
        Reply::error(
            StatusCode::NOT_FOUND,
            "this server does not issue connect tokens",
        )
    })?;
    if issuer.is_loopback_only() && !peer.ip().to_canonical().is_loopback() {
        return Err(Reply::error(
            StatusCode::FORBIDDEN,
            "the key of this server lives as long as its process: tokens are for this machine only",
        ));
    }
    let request: TokenRequest = read(body)?;
    if shared.is_draining() {
        let text = "draining: the server takes nobody in any more";
        return Err(Reply::error(StatusCode::SERVICE_UNAVAILABLE, text));
    }
    let (client, token) = issuer
        .issue(request.client_id)
        .map_err(|error| Reply::error(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (
            HeaderName::from_static("tickwire-client-id"),
            client.to_string(),
        ),
    ];
    Ok((headers, token.to_bytes().to_vec()).into_response())
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct KickRequest {
    client_id: u64,
    #[serde(default)]
    text: String,
}

async fn kick(State(shared): Server, headers: HeaderMap, body: Body) -> Answer {
    shared.authorise(&headers)?;
    let KickRequest { client_id, text } = read(body)?;
    if shared.control.kick(ClientId(client_id), &text) {
        info!(client = client_id, "kicked by the operator");
        Ok(Reply::ok(json!({ "kicked": client_id })))
    } else {
        let text =
            format!("client {client_id} is not connected, or its shard is too busy to be told");
        Err(Reply::error(StatusCode::NOT_FOUND, text))
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct BanRequest {
    client_id: u64,
}

async fn ban(State(shared): Server, headers: HeaderMap, body: Body) -> Answer {
    shared.authorise(&headers)?;
    let BanRequest { client_id } = read(body)?;
    shared.control.ban(ClientId(client_id));
    info!(client = client_id, "banned by the operator");
    Ok(Reply::ok(json!({ "banned": client_id })))
}

async fn unban(State(shared): Server, headers: HeaderMap, body: Body) -> Answer {
    shared.authorise(&headers)?;
    let BanRequest { client_id } = read(body)?;
    if shared.control.lift_ban(ClientId(client_id)) {
        Ok(Reply::ok(json!({ "unbanned": client_id })))
    } else {
        let text = format!("client {client_id} is not banned");
        Err(Reply::error(StatusCode::NOT_FOUND, text))
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct DrainRequest {
    grace_seconds: Option<u64>,
    #[serde(default)]
    text: String,
}

/// From now on nobody should come here; with a grace, players are warned and the server ends after it.
async fn drain(State(shared): Server, headers: HeaderMap, body: Body) -> Answer {
    shared.authorise(&headers)?;
    let DrainRequest {
        grace_seconds,
        text,
    } = read(body)?;
    if grace_seconds.is_some_and(|grace| grace > MAX_GRACE_SECONDS) {
        let text = format!("grace_seconds is at most {MAX_GRACE_SECONDS}");
        return Err(Reply::error(StatusCode::BAD_REQUEST, text));
    }
    shared.draining.store(true, Ordering::Release);
    info!(grace_seconds, "draining: asked by the operator");
    if let Some(grace) = grace_seconds.map(Duration::from_secs) {
        let control = shared.control.clone();
        control.announce_shutdown(grace);
        tokio::spawn(async move {
            tokio::time::sleep(grace).await;
            control.stop(&text);
        });
    }
    Ok(Reply::ok(
        json!({ "draining": true, "ends_in_seconds": grace_seconds }),
    ))
}
