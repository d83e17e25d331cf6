//! Job definitions: find, compare, register.
//!
//! A file holds what RegisterJobDefinition takes, so that is what is sent and compared: JSON in the service's own
//! names. Going through the SDK's types would drop whatever this version of them does not know.

use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_batch::Client;
use aws_sdk_batch::types::JobDefinitionType;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::AfterDeserializationInterceptorContextRef;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::ConfigBag;
use dayfill_engine::ports::{ErrorKind, PortError};
use serde_json::Value;

use crate::connection::Connection;
use crate::error::{Asked, port_error};

mod differs;
mod shape;

pub use differs::{Difference, differs};
pub use shape::check;

/// A revision that is registered.
#[derive(Debug, Clone, PartialEq)]
pub struct RegisteredDefinition {
    /// Its name, without the revision.
    pub name: String,
    /// Counted from 1 by the service.
    pub revision: u32,
    /// `arn:aws:batch:{Region}:{account}:job-definition/{name}:{revision}`.
    pub arn: String,
    /// `ACTIVE`, or `INACTIVE` once it was deregistered.
    pub status: String,
    /// All of it, in the shape of DescribeJobDefinitions.
    pub content: Value,
}

impl RegisteredDefinition {
    /// `name:revision`, as a submission names it.
    pub fn id(&self) -> String {
        format!("{}:{}", self.name, self.revision)
    }

    fn of(content: &Value) -> Option<Self> {
        let text = |field: &str| content.get(field)?.as_str().map(ToOwned::to_owned);
        Some(Self {
            name: text("jobDefinitionName")?,
            revision: u32::try_from(content.get("revision")?.as_u64()?).ok()?,
            arn: text("jobDefinitionArn")?,
            status: text("status")?,
            content: content.clone(),
        })
    }
}

/// The job definitions of a connection.
#[derive(Clone)]
pub struct JobDefinitions {
    client: Client,
    endpoint: String,
    region: String,
}

/// Which revisions are asked for.
enum Wanted<'a> {
    /// The active ones of this name.
    Active(&'a str),
    /// This one, whatever its status: `name:revision` or an ARN.
    One(&'a str),
}

impl JobDefinitions {
    /// The definitions that this connection reaches.
    pub fn new(connection: &Connection) -> Self {
        Self {
            client: connection.batch(),
            endpoint: connection.endpoint("Batch"),
            region: connection.region().to_owned(),
        }
    }

    /// The latest active revision of this name.
    pub async fn active(&self, name: &str) -> Result<Option<RegisteredDefinition>, PortError> {
        Ok(self.described(&Wanted::Active(name)).await?.into_iter().max_by_key(|d| d.revision))
    }

    /// A definition by `name` (its latest active revision), `name:revision` or ARN.
    ///
    /// An error where it is missing or inactive, which says which revisions are active.
    pub async fn named(&self, id: &str) -> Result<RegisteredDefinition, PortError> {
        let bare = id.rsplit('/').next().unwrap_or(id);
        let (name, revision) = match bare.split_once(':') {
            Some((name, revision)) => (name, Some(revision)),
            None => (bare, None),
        };
        let wanted = if revision.is_some() { Wanted::One(id) } else { Wanted::Active(name) };
        let found = self.described(&wanted).await?.into_iter().max_by_key(|d| d.revision);
        let state = match found {
            Some(found) if found.status == "ACTIVE" => return Ok(found),
            Some(_) => "is inactive",
            None => "does not exist",
        };
        let what = format!("the job definition {id} {state} in {}", self.region);
        let mut active: Vec<_> =
            self.described(&Wanted::Active(name)).await?.iter().map(|d| d.revision).collect();
        active.sort_unstable();
        let active: Vec<_> = active.iter().map(|r| format!("{name}:{r}")).collect();
        let hint = if active.is_empty() {
            "no revision of it is active: register it with `dayfill register`".to_owned()
        } else {
            format!("active: {}; name one of these in the YAML, and plan", active.join(", "))
        };
        Err(PortError::new(ErrorKind::NotFound, what).hint(hint))
    }

    /// Registers a definition and returns its `name:revision`.
    ///
    /// `content` has the shape of RegisterJobDefinition's request; what [`check`] does not know is refused before
    /// anything is sent.
    pub async fn register(&self, content: &Value) -> Result<String, PortError> {
        let name = check(content).map_err(|why| {
            PortError::new(ErrorKind::Other, format!("cannot register the job definition: {why}"))
        })?;
        let body = content.to_string();
        // The builder's two members only satisfy the SDK; what is sent is the file.
        let registered = self
            .client
            .register_job_definition()
            .job_definition_name(name)
            .r#type(JobDefinitionType::Container)
            .customize()
            .mutate_request(move |request| {
                request.headers_mut().insert("content-length", body.len().to_string());
                *request.body_mut() = SdkBody::from(body.as_str());
            })
            .send()
            .await;
        let asked = || self.asked(format!("register the job definition {name}"), "RegisterJobDefinition");
        let registered = registered.map_err(|e| port_error(&e, &asked()))?;
        match (registered.job_definition_name(), registered.revision()) {
            (Some(name), Some(revision)) => Ok(format!("{name}:{revision}")),
            _ => Err(PortError::new(
                ErrorKind::Other,
                format!("the answer to the registration of {name} names no revision"),
            )),
        }
    }

    async fn described(&self, wanted: &Wanted<'_>) -> Result<Vec<RegisteredDefinition>, PortError> {
        let mut found = Vec::new();
        let mut token = None;
        loop {
            let request = self.client.describe_job_definitions().set_next_token(token);
            let (request, what) = match *wanted {
                Wanted::Active(name) => (request.job_definition_name(name).status("ACTIVE"), name),
                Wanted::One(id) => (request.job_definitions(id), id),
            };
            let answer = Answer::default();
            let page = request.customize().interceptor(answer.clone()).send().await;
            let asked =
                || self.asked(format!("describe the job definition {what}"), "DescribeJobDefinitions");
            let page = page.map_err(|e| port_error(&e, &asked()))?;
            let content = answer.take();
            let definitions = content.get("jobDefinitions").and_then(Value::as_array);
            found.extend(definitions.into_iter().flatten().filter_map(RegisteredDefinition::of));
            token = page.next_token;
            if token.is_none() {
                return Ok(found);
            }
        }
    }

    fn asked(&self, doing: String, action: &str) -> Asked<'_> {
        let permission = format!("batch:{action} on *");
        Asked { doing, permission, endpoint: &self.endpoint, region: &self.region }
    }
}

/// The body of an answer as the service wrote it.
#[derive(Debug, Clone, Default)]
struct Answer(Arc<Mutex<Value>>);

impl Answer {
    fn take(&self) -> Value {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Intercept for Answer {
    fn name(&self) -> &'static str {
        "Answer"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        // An answer that is no JSON is the SDK's to report.
        let body = context.response().body().bytes().unwrap_or_default();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) =
            serde_json::from_slice(body).unwrap_or_default();
        Ok(())
    }
}

#[cfg(test)]
mod tests;
