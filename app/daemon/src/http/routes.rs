//! Every route and the request that it becomes.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::Value;
use tapway_api::announcement::AnnouncementQuery;
use tapway_api::config::CheckBody;
use tapway_api::drain::Drain;
use tapway_api::endpoint;
use tapway_api::explain::ExplainQuery;
use tapway_api::instance::InstanceQuery;
use tapway_api::mrt::MrtDump;
use tapway_api::peer::{Disable, Reset};
use tapway_api::policy::PolicyTest;
use tapway_api::route::RouteQuery;
use tapway_api::rpki::RpkiQuery;
use tapway_api::shutdown::Shutdown;
use tapway_api::{ApiError, ErrorCode, Page, Place};
use tapway_model::spec::{InstanceSpec, SpecError};
use tapway_model::{Instance, InstanceName, PeerName, PolicyName};
use tokio::sync::watch;

use super::body::{Json, JsonOrDefault, Name, Params, Refusal};
use super::events::EventSink;
use super::queue::{Gate, stopping};
use super::request::{ApiReply, ApiRequest, CheckedPolicy};
use crate::policy_test;
use crate::settings::{invalid, read_policy};

/// How long the answer of a dump of the RIB is waited for.
const DUMP_DEADLINE: std::time::Duration = std::time::Duration::from_secs(600);
/// The most watchers at a time.
const MAX_WATCHERS: usize = 32;
/// The longest message to a peer in bytes (RFC 9003 §2).
const MAX_MESSAGE: usize = 255;

/// What every handler can reach.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) gate: Gate,
    pub(super) events: EventSink,
    pub(super) stop: watch::Receiver<bool>,
}

/// Who is on the other end of a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// Somebody with access to the Unix socket.
    Full,
    /// Anybody.
    ReadOnly,
}

type Answer = Result<ApiReply, Refusal>;
type App = State<Arc<Shared>>;

pub(super) fn router(shared: Arc<Shared>, access: Access) -> Router {
    let router = Router::new()
        .route(endpoint::STATUS, get(plain(ApiRequest::Status)))
        .route(
            endpoint::INSTANCES,
            get(list_instances).post(apply_instances),
        )
        .route(
            endpoint::INSTANCE,
            get(by_name(ApiRequest::InstanceShow))
                .put(apply_instance)
                .delete(by_name(ApiRequest::InstanceRemove)),
        )
        .route(endpoint::PEERS, get(plain(ApiRequest::PeerList)))
        .route(
            endpoint::PEER,
            get(by_name(ApiRequest::PeerShow))
                .put(apply_peer)
                .delete(by_name(ApiRequest::PeerRemove)),
        )
        .route(endpoint::PEER_RESET, post(reset_peer))
        .route(endpoint::PEER_DISABLE, post(disable_peer))
        .route(endpoint::PEER_ENABLE, post(by_name(ApiRequest::PeerEnable)))
        .route(endpoint::POLICIES, get(plain(ApiRequest::PolicyList)))
        .route(
            endpoint::POLICY,
            get(by_name(ApiRequest::PolicyShow))
                .put(apply_policy)
                .delete(by_name(ApiRequest::PolicyRemove)),
        )
        .route(endpoint::POLICY_TEST, post(test_policy))
        .route(endpoint::ROUTES, get(list_routes))
        .route(endpoint::RPKI, get(plain(ApiRequest::RpkiCaches)))
        .route(endpoint::RPKI_STATE, get(rpki_state))
        .route(endpoint::MRT_DUMP, post(dump_rib))
        .route(endpoint::BMP, get(plain(ApiRequest::BmpList)))
        .route(endpoint::BMP_COLLECTOR, get(by_name(ApiRequest::BmpShow)))
        .route(endpoint::ANNOUNCEMENTS, get(list_announcements))
        .route(endpoint::CONFLICTS, get(plain(ApiRequest::ConflictList)))
        .route(endpoint::PROBLEMS, get(plain(ApiRequest::ProblemList)))
        .route(endpoint::SOURCES, get(plain(ApiRequest::SourceList)))
        .route(
            endpoint::SOURCE_REFRESH,
            post(by_name(ApiRequest::SourceRefresh)),
        )
        .route(
            endpoint::SOURCE_FORGET,
            post(by_name(ApiRequest::SourceForget)),
        )
        .route(endpoint::KERNEL, get(plain(ApiRequest::KernelList)))
        .route(endpoint::PLAN, get(plain(ApiRequest::Plan)))
        .route(endpoint::EXPLAIN, get(explain))
        .route(endpoint::DOCTOR, get(plain(ApiRequest::Doctor)))
        .route(endpoint::EVENTS, get(watch_events))
        .route(endpoint::CONFIG, get(plain(ApiRequest::ConfigShow)))
        .route(endpoint::CONFIG_CHECK, post(check_config))
        .route(
            endpoint::CONFIG_RELOAD,
            post(plain(ApiRequest::ConfigReload)),
        )
        .route(endpoint::DRAIN, axum::routing::put(drain))
        .route(endpoint::SHUTDOWN, post(shut_down))
        .fallback(no_such_route)
        .method_not_allowed_fallback(method_not_allowed);
    let router = match access {
        Access::Full => router,
        Access::ReadOnly => router.layer(axum::middleware::from_fn(read_only)),
    };
    router.with_state(shared)
}

type Pending = Pin<Box<dyn Future<Output = Answer> + Send>>;

async fn put(shared: &Shared, request: ApiRequest) -> Answer {
    Ok(shared.gate.ask(request).await?)
}

/// A handler without parameters.
fn plain(request: ApiRequest) -> impl Fn(App) -> Pending + Clone + Send + Sync + 'static {
    move |State(shared)| {
        let request = request.clone();
        Box::pin(async move { put(&shared, request).await })
    }
}

/// A handler that needs only the name in the path.
fn by_name<T: Send + 'static>(
    request: fn(T) -> ApiRequest,
) -> impl Fn(App, Name<T>) -> Pending + Clone + Send + Sync + 'static {
    move |State(shared), Name(name)| Box::pin(async move { put(&shared, request(name)).await })
}

fn check_page(page: Page) -> Result<(), ApiError> {
    if page.limit <= Page::MAX_LIMIT {
        return Ok(());
    }
    Err(ApiError::invalid(
        "limit",
        format!("{} items are too many for one page", page.limit),
    )
    .with_remedy(format!(
        "ask for at most {} and use offset for the rest",
        Page::MAX_LIMIT
    )))
}

async fn list_instances(State(shared): App, Params(query): Params<InstanceQuery>) -> Answer {
    check_page(query.page())?;
    put(&shared, ApiRequest::InstanceList(query)).await
}

async fn apply_instance(
    State(shared): App,
    Name(name): Name<InstanceName>,
    Json(spec): Json<InstanceSpec>,
) -> Answer {
    if spec.name != name.as_str() {
        return Err(ApiError::invalid(
            "name",
            format!("the body names \"{}\", the path \"{name}\"", spec.name),
        )
        .with_remedy("write the same name in both")
        .into());
    }
    let checked = check_instance(spec, "")?;
    put(&shared, ApiRequest::InstanceApply(vec![checked])).await
}

async fn apply_instances(State(shared): App, Json(specs): Json<Vec<InstanceSpec>>) -> Answer {
    let mut all = Vec::with_capacity(specs.len());
    let mut names: BTreeMap<InstanceName, usize> = BTreeMap::new();
    for (i, spec) in specs.into_iter().enumerate() {
        let checked = check_instance(spec, &format!("[{i}]."))?;
        if let Some(first) = names.insert(checked.name.clone(), i) {
            return Err(ApiError::invalid(
                format!("[{i}].name"),
                format!("\"{}\" is the name of [{first}] already", checked.name),
            )
            .with_remedy("nothing was applied; give every instance its own name")
            .into());
        }
        all.push(checked);
    }
    put(&shared, ApiRequest::InstanceApply(all)).await
}

fn check_instance(spec: InstanceSpec, at: &str) -> Result<Instance, ApiError> {
    let wrong = |error: SpecError| ApiError::invalid(format!("{at}{}", error.key), error.reason);
    spec.parse().map_err(wrong)
}

async fn apply_peer(
    State(shared): App,
    Name(name): Name<PeerName>,
    Json(value): Json<Value>,
) -> Answer {
    check_object(&value)?;
    put(&shared, ApiRequest::PeerApply(name, value)).await
}

async fn apply_policy(
    State(shared): App,
    Name(name): Name<PolicyName>,
    Json(value): Json<Value>,
) -> Answer {
    check_object(&value)?;
    let policy = read_policy(&name, value.clone()).map_err(invalid)?;
    let checked = Box::new(CheckedPolicy { value, policy });
    put(&shared, ApiRequest::PolicyApply(checked)).await
}

/// Prefixes that one request may ask about.
const MAX_TESTED: usize = 1000;

async fn test_policy(
    State(shared): App,
    Name(name): Name<PolicyName>,
    Json(test): Json<PolicyTest>,
) -> Answer {
    if !(1..=MAX_TESTED).contains(&test.prefixes.len()) {
        return Err(ApiError::invalid(
            "prefixes",
            format!(
                "{} prefixes cannot be tested at a time",
                test.prefixes.len()
            ),
        )
        .with_remedy(format!("give 1 to {MAX_TESTED}"))
        .into());
    }
    let given = policy_test::read(&test)?;
    put(&shared, ApiRequest::PolicyTest(name, Box::new(test), given)).await
}

fn check_object(value: &Value) -> Result<(), ApiError> {
    if value.is_object() {
        return Ok(());
    }
    Err(
        ApiError::new(ErrorCode::Malformed, "the body is JSON, but not an object").with_place(
            Place {
                line: Some(1),
                column: Some(1),
                ..Place::default()
            },
        ),
    )
}

fn check_message(message: Option<&str>) -> Result<(), ApiError> {
    match message {
        Some(text) if text.len() > MAX_MESSAGE => Err(ApiError::invalid(
            "message",
            format!(
                "the message has {} bytes; BGP carries at most {MAX_MESSAGE}",
                text.len()
            ),
        )
        .with_remedy("shorten it")),
        _ => Ok(()),
    }
}

async fn reset_peer(
    State(shared): App,
    Name(name): Name<PeerName>,
    JsonOrDefault(reset): JsonOrDefault<Reset>,
) -> Answer {
    check_message(reset.message.as_deref())?;
    put(&shared, ApiRequest::PeerReset(name, reset)).await
}

async fn disable_peer(
    State(shared): App,
    Name(name): Name<PeerName>,
    JsonOrDefault(disable): JsonOrDefault<Disable>,
) -> Answer {
    check_message(disable.message.as_deref())?;
    put(&shared, ApiRequest::PeerDisable(name, disable)).await
}

async fn list_routes(State(shared): App, Params(query): Params<RouteQuery>) -> Answer {
    check_page(query.page())?;
    let kinds = [
        query.received.is_some(),
        query.advertised.is_some(),
        query.best,
    ];
    if kinds.into_iter().filter(|k| *k).count() > 1 {
        return Err(ApiError::invalid(
            "received",
            "received, advertised and best exclude each other",
        )
        .with_remedy("ask for one of them")
        .into());
    }
    put(&shared, ApiRequest::RouteList(query)).await
}

async fn list_announcements(
    State(shared): App,
    Params(query): Params<AnnouncementQuery>,
) -> Answer {
    check_page(query.page())?;
    put(&shared, ApiRequest::AnnouncementList(query)).await
}

async fn rpki_state(State(shared): App, Params(query): Params<RpkiQuery>) -> Answer {
    put(&shared, ApiRequest::RpkiState(query)).await
}

async fn explain(State(shared): App, Params(query): Params<ExplainQuery>) -> Answer {
    put(&shared, ApiRequest::Explain(query)).await
}

async fn check_config(State(shared): App, JsonOrDefault(body): JsonOrDefault<CheckBody>) -> Answer {
    put(&shared, ApiRequest::ConfigCheck(body)).await
}

/// A large table on a slow disk takes long, and nobody else waits for it.
async fn dump_rib(State(shared): App, Json(body): Json<MrtDump>) -> Answer {
    let gate = shared.gate.clone().with_deadline(DUMP_DEADLINE);
    Ok(gate.ask(ApiRequest::MrtDump(body)).await?)
}

async fn drain(State(shared): App, Json(body): Json<Drain>) -> Answer {
    put(&shared, ApiRequest::Drain(body)).await
}

async fn shut_down(State(shared): App, JsonOrDefault(body): JsonOrDefault<Shutdown>) -> Answer {
    check_message(body.message.as_deref())?;
    put(&shared, ApiRequest::Shutdown(body)).await
}

async fn watch_events(State(shared): App) -> Result<Response, Refusal> {
    if *shared.stop.borrow() {
        return Err(stopping().into());
    }
    if shared.events.watchers() >= MAX_WATCHERS {
        return Err(ApiError::new(
            ErrorCode::Overloaded,
            format!("{MAX_WATCHERS} watchers are there already"),
        )
        .with_remedy("end one of them")
        .into());
    }
    let mut response = shared.events.stream(shared.stop.clone()).into_response();
    response.headers_mut().insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/x-ndjson"),
    );
    Ok(response)
}

async fn no_such_route(request: Request) -> Refusal {
    Refusal(
        ApiError::new(
            ErrorCode::NoSuchRoute,
            format!("there is no route {}", request.uri().path()),
        )
        .with_remedy("docs/reference/api.md lists them; names in a path are percent-encoded"),
    )
}

async fn method_not_allowed(request: Request) -> Refusal {
    Refusal(ApiError::new(
        ErrorCode::MethodNotAllowed,
        format!(
            "{} is not for {}; the Allow header says what is",
            request.method(),
            request.uri().path()
        ),
    ))
}

async fn read_only(request: Request, next: Next) -> Response {
    if matches!(*request.method(), Method::GET | Method::HEAD) {
        return next.run(request).await;
    }
    Refusal(
        ApiError::new(ErrorCode::ReadOnly, "this listener is read-only")
            .with_remedy("write through the Unix socket"),
    )
    .into_response()
}
