//! From bytes to typed requests, from typed answers to bytes.

use std::str::FromStr;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;
use hyper::body::Body as _;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tapway_api::{ApiError, ErrorCode, Place};
use tapway_document::Problem;

use super::request::ApiReply;

/// The longest body that is taken.
pub(super) const MAX_BODY: usize = 4 * 1024 * 1024;
/// How much of a body that is too long is read and thrown away, so that the client, which writes
/// first, gets to read why.
const MAX_DISCARDED: usize = 64 * 1024 * 1024;
/// How long a body may take to arrive.
const BODY_DEADLINE: Duration = Duration::from_secs(10);

/// An [`ApiError`] as a response.
#[derive(Debug)]
pub(super) struct Refusal(pub(super) ApiError);

impl From<ApiError> for Refusal {
    fn from(error: ApiError) -> Refusal {
        Refusal(error)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let code = self.0.error.code;
        let status =
            StatusCode::from_u16(code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = json(status, &self.0);
        if code == ErrorCode::Overloaded {
            response
                .headers_mut()
                .insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

impl IntoResponse for ApiReply {
    fn into_response(self) -> Response {
        json(StatusCode::OK, &self)
    }
}

fn json(status: StatusCode, value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(bytes) => {
            let mut response = (status, Body::from(bytes)).into_response();
            response
                .headers_mut()
                .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            response
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// A JSON body.
pub(super) struct Json<T>(pub(super) T);

impl<S: Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, _: &S) -> Result<Self, Refusal> {
        Ok(Json(parse(&read(request.into_body()).await?)?))
    }
}

/// A JSON body that may be empty.
pub(super) struct JsonOrDefault<T>(pub(super) T);

impl<S: Sync, T: DeserializeOwned + Default> FromRequest<S> for JsonOrDefault<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, _: &S) -> Result<Self, Refusal> {
        let bytes = read(request.into_body()).await?;
        if bytes.is_empty() {
            return Ok(JsonOrDefault(T::default()));
        }
        Ok(JsonOrDefault(parse(&bytes)?))
    }
}

async fn read(body: Body) -> Result<Bytes, ApiError> {
    match tokio::time::timeout(BODY_DEADLINE, read_all(body)).await {
        Ok(result) => result,
        Err(_) => Err(ApiError::new(
            ErrorCode::SlowRequest,
            format!(
                "the body did not arrive within {} s",
                BODY_DEADLINE.as_secs()
            ),
        )),
    }
}

async fn read_all(mut body: Body) -> Result<Bytes, ApiError> {
    let expected = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    let mut bytes = Vec::with_capacity(expected.min(MAX_BODY));
    let mut length = 0usize;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            ApiError::new(ErrorCode::Malformed, format!("the body broke off: {error}"))
        })?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        length = length.saturating_add(data.len());
        if length <= MAX_BODY {
            bytes.extend_from_slice(&data);
        } else {
            bytes = Vec::new();
            if length > MAX_DISCARDED {
                break;
            }
        }
    }
    if length > MAX_BODY {
        return Err(ApiError::new(
            ErrorCode::TooLarge,
            format!(
                "the body is larger than {} MiB ({MAX_BODY} bytes)",
                MAX_BODY / (1024 * 1024)
            ),
        )
        .with_remedy("send it in several requests"));
    }
    Ok(bytes.into())
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    tapway_document::parse_json("body", bytes).map_err(|problem| malformed::<T>(bytes, problem))
}

/// Adds to a problem what only a second, slower look can tell: whether it is JSON at all, and the key.
fn malformed<T: DeserializeOwned>(bytes: &[u8], problem: Problem) -> ApiError {
    let mut again = serde_json::Deserializer::from_slice(bytes);
    let error = serde_path_to_error::deserialize::<_, T>(&mut again).err();
    let is_json = error.as_ref().is_some_and(|e| e.inner().is_data());
    let key = error
        .map(|e| e.path().to_string())
        .filter(|key| is_json && key != "." && !key.contains('?'));
    let mut error = ApiError::new(
        ErrorCode::Malformed,
        if is_json {
            problem.reason
        } else {
            format!("the body is not JSON: {}", problem.reason)
        },
    )
    .with_place(Place {
        file: None,
        line: problem.line.filter(|n| *n > 0),
        column: problem.column.filter(|n| *n > 0),
        key: problem.key.or(key),
    });
    error.error.remedy = problem.remedy;
    error
}

/// The query.
pub(super) struct Params<T>(pub(super) T);

impl<S: Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        match Query::<T>::try_from_uri(&parts.uri) {
            Ok(Query(value)) => Ok(Params(value)),
            Err(error) => {
                let text = std::error::Error::source(&error)
                    .map_or_else(|| error.to_string(), ToString::to_string);
                Err(ApiError::new(ErrorCode::Malformed, format!("query: {text}")).into())
            }
        }
    }
}

/// The name in the path.
pub(super) struct Name<T>(pub(super) T);

impl<S, T> FromRequestParts<S> for Name<T>
where
    S: Sync + Send,
    T: FromStr<Err: std::fmt::Display>,
{
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let Path(text) = Path::<String>::from_request_parts(parts, state)
            .await
            .map_err(|error| ApiError::new(ErrorCode::Malformed, error.body_text()))?;
        match text.parse() {
            Ok(name) => Ok(Name(name)),
            Err(error) => Err(ApiError::new(ErrorCode::Malformed, error.to_string()).into()),
        }
    }
}
