//! Requests and what is printed of their answers.

use std::io::Write;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use tapway_api::endpoint::{self, Method};
use tapway_api::list::{List, Page};
use tapway_api::write::Done;

use crate::args::PageArgs;
use crate::client::Client;
use crate::failure::Failure;
use crate::output::{Answer, print};
use crate::render;
use crate::style::Style;

/// The daemon, and how its answers are printed.
pub(crate) struct Session<'o> {
    pub(crate) out: &'o mut dyn Write,
    pub(crate) client: Client,
    pub(crate) json: bool,
    pub(crate) style: Style,
}

/// Makes text of an answer.
pub(crate) type Render<T> = fn(&T, Style) -> String;

impl Session<'_> {
    /// Prints an answer that is never "no".
    pub(crate) async fn get_yes<T: DeserializeOwned>(
        &mut self,
        path: &str,
        render: Render<T>,
    ) -> Result<Answer, Failure> {
        self.get(path, render).await.map(|_| Answer::Yes)
    }

    pub(crate) async fn get<T: DeserializeOwned>(
        &mut self,
        path: &str,
        render: Render<T>,
    ) -> Result<Option<T>, Failure> {
        self.ask(Method::Get, path, &(), render).await
    }

    pub(crate) async fn act(
        &mut self,
        method: Method,
        path: &str,
        request: &impl Serialize,
    ) -> Result<Answer, Failure> {
        let render: Render<Done> = render::write::done;
        self.ask(method, path, request, render).await?;
        Ok(Answer::Yes)
    }

    pub(crate) async fn ask<T: DeserializeOwned>(
        &mut self,
        method: Method,
        path: &str,
        request: &impl Serialize,
        render: Render<T>,
    ) -> Result<Option<T>, Failure> {
        let bytes = self.client.ask(method, path, body(request)?).await?;
        self.print(path, &bytes, render)
    }

    /// Every page of a list as one, unless a page was asked for.
    pub(crate) async fn pages<T: DeserializeOwned>(
        &mut self,
        mut query: Query,
        page: PageArgs,
        render: Render<List<T>>,
    ) -> Result<Answer, Failure> {
        if page.limit.is_some() || page.offset.is_some() {
            query.add("limit", page.limit);
            query.add("offset", page.offset);
            return self.get_yes(query.path(), render).await;
        }
        query.add("limit", Some(Page::MAX_LIMIT));
        let mut bytes = self
            .client
            .ask(Method::Get, query.path(), Vec::new())
            .await?;
        let mut all: List<Box<RawValue>> = parse(query.path(), &bytes)?;
        let first = all.items.len();
        while (all.items.len() as u64) < all.total {
            let mut rest = query.clone();
            rest.add("offset", Some(all.items.len()));
            let more = self
                .client
                .ask(Method::Get, rest.path(), Vec::new())
                .await?;
            let more: List<Box<RawValue>> = parse(rest.path(), &more)?;
            // The list became shorter meanwhile.
            if more.items.is_empty() {
                break;
            }
            all.items.extend(more.items);
        }
        if all.items.len() > first {
            all.total = all.items.len() as u64;
            bytes = body(&all)?.into();
        }
        self.print(query.path(), &bytes, render)?;
        Ok(Answer::Yes)
    }

    /// Prints an answer; gives it too, when it is understood.
    fn print<T: DeserializeOwned>(
        &mut self,
        path: &str,
        bytes: &[u8],
        render: Render<T>,
    ) -> Result<Option<T>, Failure> {
        if self.json {
            print(self.out, bytes)?;
            return Ok(parse(path, bytes).ok());
        }
        let value = parse(path, bytes)?;
        print(self.out, render(&value, self.style).as_bytes())?;
        Ok(Some(value))
    }
}

/// A path with its query.
#[derive(Clone, Debug)]
pub(crate) struct Query {
    path: String,
}

impl Query {
    pub(crate) fn new(path: &str) -> Query {
        Query {
            path: path.to_owned(),
        }
    }

    /// The whole, ready to be asked for.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// Adds a parameter, if it has a value.
    pub(crate) fn add(&mut self, key: &str, value: Option<impl ToString>) {
        if let Some(value) = value {
            let mark = if self.path.contains('?') { '&' } else { '?' };
            let value = endpoint::encode(&value.to_string());
            self.path.push_str(&format!("{mark}{key}={value}"));
        }
    }
}

pub(crate) fn parse<T: DeserializeOwned>(request: &str, bytes: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(bytes).map_err(|error| Failure::Answer {
        request: request.to_owned(),
        error: error.to_string(),
    })
}

/// JSON, or nothing for `()`.
pub(crate) fn body(value: &impl Serialize) -> Result<Vec<u8>, Failure> {
    let bytes = serde_json::to_vec(value).map_err(|error| Failure::Output(error.into()))?;
    Ok(if bytes == b"null" { Vec::new() } else { bytes })
}
